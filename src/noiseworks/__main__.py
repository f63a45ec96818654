from noiseworks.cli import main

main()
