"""Installs JAX, TensorFlow and MXNet, each in an environment of its own: .venv-backends/<name> (3 GB in all).

    make setup-backends
    python scripts/setup_backends.py jax mxnet --python ~/python3.11/bin/python --again

They are for exercise T7 alone, which runs without them. scripts/backends/<name>.txt says what is installed; its line
`# python: 3.8 to 3.11` which Pythons can have it: ours if it is one of them, else the newest on the PATH, or --python.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
LISTS = CHECKOUT / "scripts" / "backends"
ENVIRONMENTS = CHECKOUT / ".venv-backends"
VERSION = "import ensurepip, sys, venv; print(*sys.version_info[:2])"
Version = tuple[int, int]


class NotInstalled(Exception):
    """Why."""


def main() -> None:
    given = arguments()
    missing = 0
    for name in given.names or names():
        try:
            print(f"{name}: {set_up(name, given)}", flush=True)
        except NotInstalled as why:
            missing += 1
            print(f"{name}: not installed: {why}", file=sys.stderr, flush=True)
    if missing:
        sys.exit("The exercises run without; T7 then shows only what is installed.")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "names", nargs="*", metavar="name", help=f"of {', '.join(names())}; all of them if none is named"
    )
    parser.add_argument("--python", help="the interpreter that the environments are made with")
    parser.add_argument("--again", action="store_true", help="install anew what is there")
    given = parser.parse_args()
    if unknown := set(given.names) - set(names()):
        parser.error(f"{', '.join(sorted(unknown))}: there are {', '.join(names())}")
    return given


def names() -> list[str]:
    return sorted(path.stem for path in LISTS.glob("*.txt"))


def set_up(name: str, given: argparse.Namespace) -> str:
    """A file `ready` is written last; it holds the list that was installed."""
    wanted, environment = (LISTS / f"{name}.txt").read_text(), ENVIRONMENTS / name
    ready = environment / "ready"
    if not given.again and ready.exists() and ready.read_text() == wanted:
        return "installed already"
    python = interpreter(supported(wanted), given.python)
    print(f"{name}: installing with {python} ...", flush=True)
    shutil.rmtree(environment, ignore_errors=True)
    call([python, "-m", "venv", str(environment)])
    own = environment / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    pip = [str(own), "-m", "pip", "install", "-q", "--disable-pip-version-check", "--only-binary", ":all:"]
    call([*pip, "-r", str(LISTS / f"{name}.txt")])
    call([str(own), str(CHECKOUT / "scripts" / "time_additions.py"), name, "--sizes", "10", "--rows", "10"])
    ready.write_text(wanted)
    return "installed"


def supported(wanted: str) -> tuple[Version, Version]:
    """The oldest and the newest Python of a list's line `# python: 3.8 to 3.11`."""
    found = re.search(r"^# python: 3\.(\d+) to 3\.(\d+)$", wanted, re.MULTILINE)
    assert found is not None
    return (3, int(found[1])), (3, int(found[2]))


def interpreter(bounds: tuple[Version, Version], asked: str | None) -> str:
    """The first that starts and has the right version."""
    oldest, newest = bounds
    for python in candidates(bounds, asked):
        version = version_of(python)
        if version is not None and oldest <= version <= newest:
            return python
    where = f"{asked} is none" if asked else "none was found; name one with ARGS='--python PATH'"
    raise NotInstalled(f"it needs a Python from 3.{oldest[1]} to 3.{newest[1]}: {where}.")


def candidates(bounds: tuple[Version, Version], asked: str | None) -> Iterator[str]:
    if asked:
        yield asked
        return
    yield sys.executable
    for minor in range(bounds[1][1], bounds[0][1] - 1, -1):
        if found := shutil.which(f"python3.{minor}"):
            yield found


def version_of(python: str) -> Version | None:
    """None if it does not start, or cannot make environments."""
    try:
        done = subprocess.run([python, "-c", VERSION], capture_output=True, text=True, timeout=60)
        major, minor = map(int, done.stdout.split())
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    return major, minor


def call(command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except OSError as error:
        raise NotInstalled(str(error)) from None
    if done.returncode:
        raise NotInstalled(reason(done.stderr or done.stdout))


def reason(output: str) -> str:
    """pip's last error, or the last line."""
    lines = [line for line in output.strip().splitlines() if line.strip()] or ["it said nothing"]
    errors = [line for line in lines if line.startswith("ERROR:")]
    return (errors or lines)[-1].removeprefix("ERROR: ")


if __name__ == "__main__":
    main()
