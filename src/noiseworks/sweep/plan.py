"""What a sweep is going to do, said before it does it."""

from __future__ import annotations

from collections.abc import Sequence

from noiseworks.errors import UserError
from noiseworks.sweep.groups import GIB, Group
from noiseworks.tracking.table import layout

MOST_LINES = 10


def describe(groups: Sequence[Group], memory_gib: float) -> str:
    """How many jobs, how many groups, members a group, memory."""
    jobs = sum(len(group.jobs) for group in groups)
    alone = sum(len(group.jobs) == 1 for group in groups)
    text = f"{_count(jobs, 'job')} in {_count(len(groups), 'group')}"
    if alone and jobs > 1:
        text += f" ({alone} of a single job)"
    rows = [["group", "jobs", "members", "data", "noise", "model", "optimizer", "memory"]]
    for i, group in enumerate(groups[:MOST_LINES]):
        choices, shape = group.jobs[0].job.choices, group.shape
        size = f"{shape.examples} x {shape.features}" if shape else "streamed" if _streams(group) else "unreadable"
        settings = [f"{choices['data']} {size}", choices["noise"], choices["model"], choices["optimizer"]]
        if group.jobs[0].job.measures:
            settings = ["no fit", "", "", ""]
        cells = [str(i), str(len(group.jobs)), str(group.members), *settings]
        rows.append([*cells, f"{group.bytes / GIB:.2f} GiB"])
    more = f"\n  ... and {len(groups) - MOST_LINES} more" if len(groups) > MOST_LINES else ""
    peak = max(group.bytes for group in groups) / GIB
    over = " (more than is allowed, but a job cannot be split)" if peak > memory_gib else ""
    memory = f"memory at the peak: about {peak:.2f} GiB{over}; hydra.launcher.memory_gib={memory_gib:g}"
    return f"{text}\n\n{layout(rows)}{more}\n\n{memory}"


def _streams(group: Group) -> bool:
    try:
        return group.jobs[0].job.data.streams
    except UserError:
        return False


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'s' * (number != 1)}"
