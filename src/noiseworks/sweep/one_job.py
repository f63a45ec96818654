"""One job that runs by itself: a single run, or a job of a sweep under a launcher that runs one after the other."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from noiseworks.config.job import check_added, make_job
from noiseworks.errors import FitFailed, UserError
from noiseworks.runs.execution import Circumstances, run_jobs
from noiseworks.runs.journal import swept_values
from noiseworks.runs.printed_table import printed
from noiseworks.runs.result import JobRequest, JobResult
from noiseworks.sweep.noise_ranking import check_criteria
from noiseworks.sweep.recording import keep_in_journal, write_files
from noiseworks.tracking.parents import SweepFolder
from noiseworks.tracking.recorder import LiveRecorder, Recorder
from noiseworks.tracking.store import check_store
from noiseworks.train.monitor import Watch


def run_one_job(cfg: DictConfig, check: Callable[[], None]) -> Any:
    """What a sweeper minimises, once the result is printed, on disk and recorded. `check` raises if the command is to
    stop. A mistake that only the data reveal is an error of a single run, and a FAILED job of a sweep."""
    hydra, started = HydraConfig.get(), time.monotonic()
    job = make_job(cfg, hydra.runtime.choices)
    check_added(hydra.overrides.task, job.config)
    sweep, num, swept = None, 0, dict[str, Any]()
    if hydra.mode == RunMode.MULTIRUN:
        sweep, num = SweepFolder(Path(hydra.sweep.dir).absolute()), int(hydra.job.num)
        check_criteria([job], sweep.folder)
        swept = swept_values(list(hydra.overrides.task), job.config, job.choices)
    request = JobRequest(num, job, swept, Path(hydra.runtime.output_dir))
    recorder = Recorder()
    if job.tracking.tracked:
        check_store(job.tracking.uri)
        recorder = LiveRecorder(request, lambda: {} if sweep is None else sweep.tags(job, num))
    in_study = sweep is not None and sweep.study is not None
    watch = Watch(live=recorder.live, check=check)
    under = Circumstances(sweep is not None, in_study, watch, begin=recorder.begin, started=started)
    with recorder:
        (result,) = run_jobs([request], under)
        if sweep is None and recorder.run is None and isinstance(result.error, UserError):
            raise result.error  # nothing was begun that would have to be ended
        _hand_on(result, recorder, check)
    if sweep is not None:
        keep_in_journal([result], sweep)
    return _returned(result, recorder)


def _hand_on(result: JobResult, recorder: Recorder, check: Callable[[], None]) -> None:
    """On disk and on the screen, then to the store."""
    write_files(result)
    table = printed(result)
    if table is not None:
        print(f"\n{table}\n", flush=True)
    try:
        recorder.finish(result, None if result.in_sweep else table)
    except Exception:
        check()  # it may be what a signal was turned into
        raise
    if table is not None:
        print(f"{recorder.where}files in {result.request.folder}", flush=True)


def _returned(result: JobResult, recorder: Recorder) -> Any:
    if result.error is not None:
        raise FitFailed(str(result.error)) if result.in_sweep and isinstance(result.error, UserError) else result.error
    if result.failure is not None:
        raise FitFailed(f"The fit failed: {result.failure}. {recorder.where}files in {result.request.folder}")
    return result.returned
