"""A PostgreSQL server of our own, from the distribution's packages."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass
class Postgres:
    folder: Path  # of its socket: it listens nowhere else
    bin: Path
    made: int = 0

    def database(self, password: str = "") -> str:
        """The URL of a new one. No password is asked for; one that is given is taken."""
        self.made += 1
        name = f"study{self.made}"
        self.run("createdb", "-h", str(self.folder), "-U", "postgres", name)
        return f"postgresql+psycopg://postgres{password and ':' + password}@/{name}?host={self.folder}"

    def run(self, program: str, *arguments: str) -> None:
        """As somebody who is not root: the server refuses to run as root."""
        user = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
        command = [*user, str(self.bin / program), *arguments]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr


def programs() -> Path:
    """Where initdb and pg_ctl are; the test is skipped if they are not installed."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    found = shutil.which("initdb")
    for folder in [*reversed(debian), *([Path(found).parent] if found else [])]:
        if all((folder / program).exists() for program in ("initdb", "pg_ctl", "createdb")):
            return folder
    pytest.skip("PostgreSQL is not installed (apt-get install postgresql)")


@contextlib.contextmanager
def serving() -> Iterator[Postgres]:
    """Not in pytest's folder, which is root's alone."""
    bin = programs()
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))  # a socket's name has at most 107 letters
    if os.getuid() == 0:
        shutil.chown(folder, "postgres")
    server = Postgres(folder, bin)
    data, options = str(folder / "data"), f"-k {folder} -c listen_addresses='' -c fsync=off"
    try:
        server.run("initdb", "-D", data, "-U", "postgres", "-A", "trust", "--no-sync")
        server.run("pg_ctl", "-D", data, "-l", str(folder / "log"), "-o", options, "-w", "start")
        yield server
    finally:
        if (folder / "data" / "postmaster.pid").exists():
            server.run("pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")
        shutil.rmtree(folder, ignore_errors=True)
