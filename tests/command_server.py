"""Runs the command in copies of a process that has imported everything: the imports take 5 s, a copy 10 ms.

On stdin lines of requests, `[{"folder": ..., "arguments": [...], "environment": {...}, "stdout": ..., "stderr": ...,
"script": ...}]`; on stdout two lines for each: process numbers, and when all have ended, exit statuses. In every other
respect the copy is the command: a process with its own arguments, folder, exit status, stdout and stderr. A script is
run in place of the command as `python script` runs it.
"""

from __future__ import annotations

import gc
import json
import os
import runpy
import signal
import sys
import traceback
from typing import Any, NoReturn

import hydra._internal.utils
import mlflow.pyfunc
import optuna.importance
import pytorch_lightning
import torch

import noiseworks.search.summary
import noiseworks.sweep.batch
import noiseworks.sweep.one_job
import noiseworks.sweep.parent_run
import noiseworks.tracking.live_run
import noiseworks.tracking.logged_model
from noiseworks.cli import main

HEAVY = (mlflow.pyfunc, optuna.importance, pytorch_lightning, torch, noiseworks)  # no plugins: Hydra imports them anew
LONGEST = 300  # seconds that a copy may live: a test that waits for ever says nothing


def become(request: dict) -> None:
    signal.alarm(LONGEST)
    os.chdir(request["folder"])
    os.environ.update(request["environment"])
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for descriptor, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(request[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC), descriptor)
    sys.argv = [request["script"] or "noiseworks", *request["arguments"]]


hydra._internal.utils.is_under_debugger = lambda: False  # it reads the source of all frames, among all that is imported


def run(script: str | None) -> NoReturn:
    """The interpreter's own ending would take a second, with all that is imported."""
    status: Any = 0
    try:
        if script is None:
            main()
        else:
            sys.path.insert(0, os.path.dirname(script))
            runpy.run_path(script, run_name="__main__")
    except SystemExit as end:
        status = end.code or 0
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
                run(request["script"])
        print(json.dumps(children), flush=True)
        statuses = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        print(json.dumps(statuses), flush=True)


serve()
