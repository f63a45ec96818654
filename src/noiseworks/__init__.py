"""noiseworks: a research workbench for linear regression. See README.md."""

__version__ = "0.1.0"
