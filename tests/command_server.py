"""Runs the command in copies of a process that has imported everything: the imports take 5 s, a copy 10 ms.

On stdin lines of requests, `[{"folder": ..., "arguments": [...], "environment": {...}, "stdout": ..., "stderr": ...}]`;
on stdout lines of exit statuses. In every other respect the copy is the command: a process with its own arguments,
folder, exit status, stdout and stderr.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import traceback
from typing import Any, NoReturn

import mlflow.pyfunc
import pytorch_lightning
import torch

import noiseworks.run
import noiseworks.tracking.model
import noiseworks.tracking.run
from noiseworks.cli import main

HEAVY = (mlflow.pyfunc, pytorch_lightning, torch, noiseworks.run, noiseworks.tracking.model, noiseworks.tracking.run)


def become(request: dict) -> None:
    os.chdir(request["folder"])
    os.environ.update(request["environment"])
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for descriptor, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(request[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC), descriptor)
    sys.argv = ["noiseworks", *request["arguments"]]


def run() -> NoReturn:
    """The interpreter's own ending would take a second, with all that is imported."""
    status: Any = 0
    try:
        main()
    except SystemExit as end:
        status = end.code
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def serve() -> None:
    """Requests of one line run at the same time."""
    gc.freeze()  # else the first collection in a copy touches, and so copies, all memory
    print("ready", flush=True)
    for line in iter(sys.stdin.readline, ""):
        children = []
        for request in json.loads(line):
            children.append(os.fork())
            if children[-1] == 0:
                become(request)
                run()
        statuses = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        print(json.dumps(statuses), flush=True)


serve()
