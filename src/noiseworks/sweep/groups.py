"""Which jobs can be trained side by side, how many of them fit in memory, and the plan that says so beforehand."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from noiseworks.config.job import Job
from noiseworks.data.base import Shape
from noiseworks.data.minibatches import BLOCK_BYTES, BLOCK_STEPS
from noiseworks.errors import UserError
from noiseworks.runs.result import JobRequest
from noiseworks.text_table import layout
from noiseworks.train.ensemble import CHUNK
from noiseworks.train.optimizers import shared_settings, takes_all_rows

GIB = 2**30


@dataclass
class Group:
    """Jobs trained side by side. One whose data cannot be read, or are read in chunks, and one that is no fit, has no
    shape, and is a group of its own."""

    shape: Shape | None
    jobs: list[JobRequest] = field(default_factory=list)
    members: int = 0
    bytes: int = 0
    problems: set[str] = field(default_factory=set)  # their keys: equal problems are in memory once


def make_groups(jobs: Iterable[JobRequest], memory: float) -> list[Group]:
    """In the order of the jobs; a group holds as many as `memory`, in bytes, allows, and at least one."""
    open_groups: dict[Hashable, Group] = {}
    groups = []
    for job in jobs:
        shape = _shape(job.job)
        key = job.num if shape is None else group_key(job.job, shape)
        problems = _problem_keys(job.job)
        group, problem_bytes, member_bytes = open_groups.get(key), *_bytes(job.job, shape)
        more = member_bytes + problem_bytes * len(problems - group.problems if group else problems)
        if group is None or group.bytes + more > memory:
            group = open_groups[key] = Group(shape, bytes=_fixed_bytes(shape))
            more = member_bytes + problem_bytes * len(problems)
            groups.append(group)
        group.jobs.append(job)
        group.members += job.job.replicates
        group.bytes += more
        group.problems |= problems
    return groups


def _shape(job: Job) -> Shape | None:
    try:
        return None if job.measures or job.data.in_chunks else job.data.shape()
    except UserError:
        return None  # said by the job itself, when its turn comes


def group_key(job: Job, shape: Shape) -> Hashable:
    """Equal for jobs that differ only in what members may differ in: seeds, data seeds and noise, learning rates,
    schedules, decay, momentum, initial scales, noise scales."""
    data = job.data
    common = (
        shape,
        job.val_fraction(),
        data.test_fraction,
        data.standardize,
        repr(replace(job.model, init_scale=0.0)),
        repr(job.noise.with_scale(None)),
        job.noise.scale_value is None,
    )
    if job.exact:
        return (*common, job.optimizer.standard_errors, job.optimizer.ridge > 0, job.optimizer.method)
    tracking = (job.tracking.points(True), job.tracking.trajectory)
    trainer = replace(job.trainer, progress_bar=False)
    return (*common, data.batch_size, data.order, data.fresh_noise, shared_settings(job.optimizer), trainer, tracking)


def _problem_keys(job: Job) -> set[str]:
    if job.measures:
        return set()
    return {job.problem_key(replicate) for replicate in range(job.replicates if job.varies else 1)}


def _bytes(job: Job, shape: Shape | None) -> tuple[int, int]:
    """What one more problem takes, and what one more job takes beside its problems."""
    if shape is None:
        return 0, 0
    n, d, item = shape.examples, shape.features, 4 if job.trainer.precision.startswith("32") else 8
    columns = max(job.model.num_parameters(d), d + 1)
    problem = n * (8 * (2 * d + columns + 4) + item * (columns + 3))
    steps = 1 if not job.exact and takes_all_rows(job.optimizer) else -(-n // job.data.batch_size)
    member = 16 * n + 8 * steps + item * 4 * min(steps, BLOCK_STEPS) * columns + 100 * 8 * job.tracking.points(True)
    if job.data.fresh_noise:
        member += 2 * item * n * d
    if job.tracking.trajectory:
        member += 16 * steps * job.trainer.max_epochs * columns
    return problem, job.replicates * member


def _fixed_bytes(shape: Shape | None) -> int:
    """Blocks of minibatches and the chunks of an evaluation."""
    return 0 if shape is None else 3 * BLOCK_BYTES + 6 * 8 * CHUNK


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
        size = f"{shape.examples} x {shape.features}" if shape else "in chunks" if _in_chunks(group) else "unreadable"
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


def _in_chunks(group: Group) -> bool:
    try:
        return group.jobs[0].job.data.in_chunks
    except UserError:
        return False


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'s' * (number != 1)}"
