"""What a batch's jobs return is light, until somebody reads their configurations."""

import importlib
import pickle
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from unittest import mock

import members_app
import pytest
from hydra.core.utils import JobStatus
from members_hydra import anatomy, start

from hydra_members.batch_run import BatchJobReturn
from hydra_members.composer import Composer


def make(folder: Path) -> Composer:
    sweep = start(members_app.make(folder))
    return Composer(sweep.loader, sweep.master)


def assert_pickled_without_configurations(folder: Path, pickler_name: str) -> None:
    pickler = importlib.import_module(pickler_name)
    composer = make(folder)
    job = composer.job(["n=5"], 3)
    returned = BatchJobReturn(composer, job, "app", 42)
    with mock.patch.object(Composer, "job_config", None):
        text, again = repr(returned), pickler.loads(pickler.dumps([returned, returned]))[1]
    assert "n=5" in text
    assert repr(again) == text
    assert (again.return_value, again.status, again.task_name) == (42, JobStatus.COMPLETED, "app")
    assert again.working_dir == job.output_dir
    assert anatomy(again.cfg) == anatomy(composer.job_config(["n=5"], 3).task)
    assert again.cfg is again.cfg
    assert again.hydra_cfg.hydra.job.num == 3
    assert again.hydra_cfg.hydra.runtime.output_dir == job.output_dir
    assert pickle.loads(pickle.dumps(job)) == job


@pytest.mark.parametrize("pickler", ["pickle", "cloudpickle"])
def test_pickled_without_configurations(tmp_path: Path, pickler: str) -> None:
    # in a process of its own: where Hydra has looked for plugins twice, its own classes cannot be pickled
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        pool.submit(assert_pickled_without_configurations, tmp_path, pickler).result()


@pytest.mark.usefixtures("hydra_restore_singletons")
def test_a_failed_job(tmp_path: Path) -> None:
    composer = make(tmp_path)
    returned = BatchJobReturn(composer, composer.job(["n=5"], 3), "app", KeyError("lost"))
    assert returned.status is JobStatus.FAILED
    with pytest.raises(KeyError, match="lost"):
        _ = returned.return_value
    returned.cfg = None
    assert returned.cfg is None
    assert returned.hydra_cfg.hydra.job.num == 3
