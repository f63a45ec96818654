"""Prints, in bytes, what a group of 300 jobs was thought to take, and what it took at its peak."""

from __future__ import annotations

import copy
import json
import re
import sys
from pathlib import Path

import torch
from sweep_jobs import Bar, jobs_of, make_jobs, run_group

from fast_configs import configuration
from noiseworks.sweep.groups import GIB, Group, make_groups

BASE = ["data=synthetic", "data.num_features=10", "trainer.max_epochs=2", "tracking=none"]


def status(key: str) -> int:
    found = re.search(rf"{key}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found
    return 1024 * int(found[1])


def sizeable(own: bool) -> Group:
    first, choices = configuration([*BASE, "data.num_examples=5000"])
    configs = [copy.deepcopy(first) for _ in range(300)]
    for seed, config in enumerate(configs):
        config["seed"] = seed
        config["data"]["seed"] = seed if own else 0
    (group,) = make_groups(jobs_of([(config, choices) for config in configs]), 100 * GIB)
    return group


torch.set_num_threads(1)
(warm_up,) = make_groups(make_jobs([["data.num_examples=60"]], BASE), GIB)
list(run_group(warm_up, Bar()))  # loads what the first fit of a process loads
group = sizeable(own=sys.argv[1] == "own")
Path("/proc/self/clear_refs").write_text("5")  # the peak is counted from here on
before = status("VmRSS")
assert all(ended.failure is None for ended in run_group(group, Bar()))
print(json.dumps([group.bytes, status("VmHWM") - before]))
