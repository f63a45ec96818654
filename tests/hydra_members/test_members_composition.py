"""Composer gives what Hydra gives: the same content, flags and types, or the same error."""

import random
from pathlib import Path
from typing import Any

import members_app
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from members_hydra import assert_same_jobs, outcome, start
from omegaconf import OmegaConf

from hydra_members.composer import Composer
from hydra_members.hydra_internals import parse_number
from soaked import every

pytestmark = [
    pytest.mark.usefixtures("hydra_restore_singletons"),
    # hydra.searchpath names a package that is not there: Hydra says so at every composition, Composer once
    pytest.mark.filterwarnings("ignore:provider=hydra.searchpath:UserWarning"),
]

NOISEWORKS = [
    ["seed=1", "seed=2", "seed=3", "seed=null", "seed=x"],
    ["optimizer.lr=0.1", "optimizer.lr=1e-3", "optimizer.lr=3", "optimizer.lr=[0.1,0.2]", "optimizer.lr=???"],
    ["data.seed=1", "data.seed=${seed}", "data.seed=4", "data.seed=null"],
    ["data.features=[area]", "data.features=null", "data.features=[age,area]", "data.features=${oc.env:HOME}"],
    ["data.order=stream", "data.order='a b'", "data.order=shuffle"],
    ["trainer.max_epochs=3", "trainer.max_epochs=10", "tracking.uri=null", "tracking.uri=x"],
    ["noise.scale=2.0", "noise.scale=null", "sed=3", "data={batch_size:3}", "trainer=null", "schedule.averaging=true"],
]
NOISEWORKS_OTHERS = [
    "noise=laplace", "noise=huber", "noise=nonsense", "optimizer=adam", "optimizer=exact", "model=quadratic",
    "data=synthetic", "data=apples", "experiment=houses_robust", "schedule=constant", "tracking=none",
    "noise@data.noise=laplace", "+note=hello", "+tags={a:1,b:[x,2]}", "++seed=5", "~data.order", "~experiment",
    "hydra.job.name=other", "hydra.output_subdir=null", "hydra.sweep.subdir=${hydra.job.override_dirname}", "seed=1,2",
    "+seed=3", "trainer=gpu",
]  # fmt: skip


def loads(composer: Composer, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Filled with the jobs that Hydra's own loader is asked for."""
    asked: list[Any] = []
    assert composer._fast is not None
    load = composer._fast._load
    monkeypatch.setattr(composer._fast, "_load", lambda overrides, num: asked.append(overrides) or load(overrides, num))
    return asked


@pytest.mark.parametrize("number", every(12, range(24)))
def test_random_jobs_of_an_application_with_everything(number: int, tmp_path: Path) -> None:
    sweep = start(members_app.make(tmp_path))
    composer = Composer(sweep.loader, sweep.master)
    chance = random.Random(number)
    for _ in range(2):
        assert_same_jobs(sweep, composer, members_app.random_jobs(chance, length=4))


@pytest.mark.parametrize("number", every(8, range(8)))
def test_random_jobs_of_noiseworks(number: int) -> None:
    sweep = start()
    composer = Composer(sweep.loader, sweep.master)
    chance = random.Random(number)
    groups = chance.sample(NOISEWORKS, 3)
    shared = chance.sample(NOISEWORKS_OTHERS, chance.randint(0, 2))
    assert_same_jobs(sweep, composer, [[*shared, *map(chance.choice, groups)] for _ in range(3)])


@pytest.mark.parametrize(
    "jobs",
    every(6, [
        [["n=1"], ["n=x"], ["n=2"]],  # a resolver fails
        [["typed.port=1", "n=1"], ["typed.port=bad", "n=5"], ["typed.port=2", "n=2"], ["typed.port=3", "n=3"]],
        [["n=4", "typed.port=1"], ["n=5", "typed.port=bad"], ["n=6", "typed.port=2"]],  # fails half way
        [["open=null"], ["open={a:5}"], ["open=null"], ["open=[1]"], ["open=5"]],
        [["open.b.c=1", "open.b={c:3}"], ["open.b.c=2", "open.b={c:4}"]],
        [["typed.numbers=[5,6]", "typed.numbers.0=1"], ["typed.numbers=[7]", "typed.numbers.0=2"]],
        [["nothing=[1,2]"], ["nothing=1"], ["nothing=[3]"], ["nothing=null"]],
        [["missing=1"], ["missing=2"]],
        [["alias.host=a"], ["alias.host=b"]],  # through an interpolation, into db
        [["text=a", "n=1"], ["text=${name}", "n=2"], ["text=b", "n=3"]],
        [["n=1", "n=2"], ["n=3", "n=4"]],
        [["db=postgres", "n=1"], ["db=mysql", "n=1"], ["db=postgres", "n=2"], ["db=mysql", "n=2"]],
        [["hydra.job.name=${name}", "name=a"], ["hydra.job.name=${name}", "name=b"]],
        [["hydra.job.env_copy=${mixed}", "mixed=[HOME]"], ["hydra.job.env_copy=${mixed}", "mixed=[]"]],
        [["+hydra.job.env_set={PLUGINS_TEST:'${name}'}", "name=a"],
         ["+hydra.job.env_set={PLUGINS_TEST:'${name}'}", "name=b"]],
        [["hydra.job.config.override_dirname.kv_sep=${name}", "name=a"],
         ["hydra.job.config.override_dirname.kv_sep=${name}", "name=b"]],
        [["hydra.sweep.subdir=null", "n=1"], ["hydra.sweep.subdir=null", "n=2"]],
        [["typed.either=7"], ["typed.either=word"], ["typed.either=8"]],
        [["typed.folder=a"], ["typed.folder=b"]],
        [["typed.colour=blue"], ["typed.colour=red"]],
        [["+new=1", "n=1"], ["+new=1", "n=2"], ["+new=2", "n=2"]],
        [["name=a"], ["name=b"], ["name=c/d"]],  # in hydra.sweep.dir
        [["text=${hydra.job.num}"], ["text=${hydra.job.num}"]],  # a task's configuration has no hydra node
        [["open.a=${open.b.c}", "open.b.c=1"], ["open.a=${open.b.c}", "open.b.c=[2]"]],
    ]),
)  # fmt: skip
def test_chosen_sequences(jobs: list[list[str]], tmp_path: Path) -> None:
    sweep = start(members_app.make(tmp_path))
    assert_same_jobs(sweep, Composer(sweep.loader, sweep.master), jobs)


def test_a_job_name_that_only_later_jobs_can_resolve(tmp_path: Path) -> None:
    OmegaConf.register_new_resolver("picky", lambda n: "name" if n > 1 else 1 / 0, replace=True)
    file = members_app.make(tmp_path) / "config.yaml"
    file.write_text(file.read_text().replace("  job:\n", "  job:\n    name: ${picky:${n}}\n"))
    sweep = start(tmp_path)
    composer = Composer(sweep.loader, sweep.master)
    assert_same_jobs(sweep, composer, [["n=1"], ["n=2"], ["n=3"]])


@pytest.mark.soak
def test_a_choice_leaves_nothing_to_the_next() -> None:
    sweep = start()
    composer = Composer(sweep.loader, sweep.master)
    assert_same_jobs(sweep, composer, [[f"data={data}"] for data in ("synthetic", "apples", "stocks", "synthetic")])


def test_jobs_that_set_the_same_keys_are_composed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    sweep = start()
    composer = Composer(sweep.loader, sweep.master)
    asked = loads(composer, monkeypatch)
    for num in range(20):
        overrides = [f"noise={['laplace', 'huber'][num % 2]}", f"seed={num}", f"optimizer.lr={num / 7}"]
        composer.check(overrides, num)
        composer.compose(overrides, num)
        job = composer.job(overrides, num)
        assert (job.config["seed"], job.config["data"]["seed"], job.config["optimizer"]["lr"]) == (num, num, num / 7)
    assert len(asked) == 2


def test_a_failed_job_costs_one_composition(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    sweep = start(members_app.make(tmp_path))
    composer = Composer(sweep.loader, sweep.master)
    composer.job(["typed.port=1"], 0)
    asked = loads(composer, monkeypatch)
    assert "bad" in str(outcome(lambda: composer.check(["typed.port=bad"], 1)))
    assert composer.job(["typed.port=2"], 2).config["typed"]["port"] == 2
    assert composer.job(["typed.port=3"], 3).config["typed"]["port"] == 3
    assert asked == [["typed.port=bad"], ["typed.port=2"]]


def test_check_leaves_interpolations_alone(tmp_path: Path) -> None:
    sweep = start(members_app.make(tmp_path))
    composer = Composer(sweep.loader, sweep.master)
    for num in range(2):
        composer.check(["text=${nowhere}", f"n={num}"], num)
        composer.check(["hydra.sweep.subdir=${nowhere}", f"n={num}"], num)
    assert isinstance(outcome(lambda: composer.job(["text=${nowhere}", "n=1"], 1)), list)


def test_jobs_share_nothing(tmp_path: Path) -> None:
    sweep = start(members_app.make(tmp_path))
    composer = Composer(sweep.loader, sweep.master)
    first = composer.job(["n=1"], 0)
    first.config["mixed"].append("mine")
    first.config["alias"]["host"] = "mine"
    first.choices["db"] = "mine"
    second = composer.job(["n=1"], 1)
    second.config["mixed"].append("mine")
    third = composer.job(["n=1"], 2)
    assert third.config["mixed"] == [1, 1, {"deep": "run_1"}]
    assert third.config["alias"]["host"] == "my"
    assert third.choices["db"] == "mysql"
    composed = composer.compose(["n=1"], 3)
    composed.db.host = "mine"
    assert composer.compose(["n=1"], 3).db.host == "my"


def test_what_a_resolver_said_for_one_job_is_not_told_to_the_next(tmp_path: Path) -> None:
    told: list[int] = []
    OmegaConf.register_new_resolver("tell", lambda: told.append(0) or len(told), use_cache=True, replace=True)
    file = members_app.make(tmp_path) / "config.yaml"
    file.write_text(file.read_text().replace("run_${n}", "${tell:}").replace("${hydra.job.num}_", "job${tell:}_"))
    sweep = start(tmp_path)
    composer = Composer(sweep.loader, sweep.master)
    jobs = [composer.job([f"n={num}"], num) for num in range(3)]
    assert [job.config["text"] for job in jobs] == [1, 2, 3]
    assert [Path(job.output_dir).name for job in jobs] == ["job1_0_my", "job2_1_my", "job3_2_my"]


def test_the_files_of_a_sweep_are_read_once(tmp_path: Path) -> None:
    sweep = start(members_app.make(tmp_path))
    composer = Composer(sweep.loader, sweep.master)
    composer.job(["db=postgres"], 0)
    (tmp_path / "db" / "postgres.yaml").write_text("host: changed\n")
    assert composer.job(["db=postgres", "n=1"], 1).config["db"]["host"] == "post"


def test_a_loader_of_somebody_else_is_asked_for_each_job(tmp_path: Path) -> None:
    sweep = start(members_app.make(tmp_path))

    class Other(type(sweep.loader)):  # type: ignore[misc]
        def load_sweep_config(self, *args: Any, **kwargs: Any) -> Any:
            config = super().load_sweep_config(*args, **kwargs)
            config.name = "other"
            return config

    composer = Composer(Other(sweep.loader.config_search_path), sweep.master)
    assert [composer.job([f"n={num}"], num).config["name"] for num in range(2)] == ["other", "other"]


def test_more_choices_and_keys_than_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hydra_members.fast_composition.KEPT_COPIES", 1)
    monkeypatch.setattr("hydra_members.fast_composition.KEPT_LINES", 2)
    monkeypatch.setattr("hydra_members.hydra_internals.KEPT_CONFIGURATIONS", 1)
    sweep = start(members_app.make(tmp_path))
    composer = Composer(sweep.loader, sweep.master)
    assert_same_jobs(sweep, composer, [["db=mysql", "n=1"], ["db=postgres", "n=2"], ["db=mysql", "name=x"]])
    fast = composer._fast
    assert fast is not None
    assert len(fast._copies) == len(fast._loader._merged) == 1
    assert len(fast._lines) <= 2


def test_numbers_are_read_as_hydras_parser_reads_them() -> None:
    parser = OverridesParser.create()
    chance = random.Random(0)
    pieces = ["0", "1", "7", "12", "-", "+", ".", "e", "E", "_", "5", "inf", " ", "x", "٣"]
    texts = ["".join(chance.choices(pieces, k=chance.randint(1, 6))) for _ in range(1500)]
    texts += [str(chance.uniform(-1, 1) * 10.0 ** chance.randint(-30, 30)) for _ in range(500)]
    keys = ["a", "a.b_1", "_x.y2", "null", "e5.inf"]
    lines = [f"{chance.choice(keys)}={text}" for text in texts] + ["1.a=3", "a.0=3", "a=3\n", "a==3", "a.=3", "=3"]
    read = [(line, parse_number(line)) for line in lines]
    assert sum(found is not None for _, found in read) > 600
    for line, found in read:
        if found is not None:
            assert repr(found) == repr(parser.parse_override(line)), line
