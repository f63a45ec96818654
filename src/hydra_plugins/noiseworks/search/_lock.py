"""What only one process of this machine may do at a time. (The system frees the lock of a process that is killed.)"""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock


@contextmanager
def alone(storage: str, name: str) -> Iterator[None]:
    """Making a storage, beginning the study of this name in it, taking trials of it."""
    digest = hashlib.sha256(f"{storage}\0{name}".encode()).hexdigest()[:16]
    user = os.getuid() if hasattr(os, "getuid") else 0
    with FileLock(Path(tempfile.gettempdir()) / f"study-{user}-{digest}.lock"):
        yield
