"""Every YAML in conf/ composes, and its keys are the arguments of its target."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf

from command_line import MUTE, output_folder, read
from soaked import every

CONF = Path(__file__).parents[2] / "conf"
GIVEN = ["data.path=t.csv", "data.target=y"]  # what data=table asks for
PAIRS = sorted((path.parent.name, path.stem) for path in CONF.glob("*/*.yaml"))
OPTIONS = [pair for pair in PAIRS if pair[0] != "experiment"]


def composed(*overrides: str) -> DictConfig:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("config", overrides=list(overrides), return_hydra_config=False)


def nodes_with_targets(node: DictConfig):
    if "_target_" in node:
        yield node
    for value in node.values():
        if isinstance(value, DictConfig):
            yield from nodes_with_targets(value)


def assert_binds(node: DictConfig) -> None:
    arguments = {key: value for key, value in node.items() if not key.startswith("_")}
    signature = inspect.signature(get_object(node["_target_"]))
    if node.get("_partial_"):
        signature.bind("parameters", **arguments)
    else:
        signature.bind(**arguments)


@pytest.mark.parametrize(("group", "option"), OPTIONS)
def test_the_keys_bind_to_the_target(group, option):
    cfg = composed(f"{group}={option}", *(GIVEN if option == "table" else []))
    assert "_target_" in cfg[group]
    for node in nodes_with_targets(cfg):
        assert_binds(node)
    OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)


def test_no_group_is_without_a_test():
    assert {group for group, _ in PAIRS} >= {"data", "noise", "model", "optimizer", "schedule", "trainer", "tracking"}
    yamls = {path for path in CONF.rglob("*.yaml") if path != CONF / "config.yaml"}
    assert {CONF / group / f"{option}.yaml" for group, option in PAIRS} == yamls


def test_defaults_name_options_in_the_order_of_the_pipeline():
    defaults = [entry for entry in OmegaConf.load(CONF / "config.yaml").defaults if entry != "_self_"]
    hydra = {key: value for entry in defaults for key, value in entry.items() if key.startswith("override")}
    assert hydra == {"override hydra/sweeper": "grid", "override hydra/launcher": "vectorized"}
    defaults = defaults[: -len(hydra)]
    groups = [next(iter(entry)) for entry in defaults]
    assert groups == ["data", "noise", "model", "optimizer", "schedule", "trainer", "tracking", "experiment"]
    for entry in defaults:
        ((group, option),) = entry.items()
        assert option is None or (CONF / group / f"{option}.yaml").is_file()


@pytest.mark.parametrize("name", every(6, sorted(path.stem for path in (CONF / "experiment").glob("*.yaml"))))
def test_experiments_compose(name):
    for node in nodes_with_targets(composed(f"experiment={name}")):
        assert_binds(node)


def test_the_truth_follows_the_assumption_until_it_is_set():
    def targets(*overrides: str) -> tuple[str, str]:
        cfg = composed("data=synthetic", *overrides)
        return cfg.noise._target_.rpartition(".")[2], cfg.data.noise._target_.rpartition(".")[2]

    assert targets() == ("Gaussian", "Gaussian")
    assert targets("noise=laplace") == ("Laplace", "Laplace")
    assert targets("noise=gaussian", "noise@data.noise=laplace") == ("Gaussian", "Laplace")
    assert targets("noise@data.noise=student_t", "noise=laplace") == ("Laplace", "StudentT")
    # a scale assumed is not a scale made true
    cfg = composed("data=synthetic", "noise.scale=2", "data.noise.scale=0.5")
    assert (cfg.noise.scale, cfg.data.noise.scale) == (2, 0.5)


def test_seeds_follow_seed_until_they_are_set():
    assert composed("seed=7").data.seed == 7
    assert composed("seed=7", "data.seed=1").data.seed == 1


def test_a_persons_own_configs(command, tmp_path):
    for name, text in {
        "data/mine.yaml": "defaults: [table, _self_]\npath: rows.csv\ntarget: y\nfeatures: [b]\n",
        "noise/wide.yaml": "defaults: [laplace, _self_]\nscale: 3.0\n",
    }.items():
        path = tmp_path / "my_conf" / name
        path.parent.mkdir(parents=True)
        path.write_text(text)
    (tmp_path / "rows.csv").write_text("y,a,b\n" + "".join(f"{i % 5},{i % 3},{i % 7}\n" for i in range(60)))
    own = ["--config-dir", "my_conf", "data=mine", "noise=wide", "optimizer=exact"]
    result = command(tmp_path, *own, *MUTE).succeeded()
    assert "y ~ b, laplace noise" in result.out
    assert list(read(tmp_path, "coefficients.json")["coefficients"]) == ["intercept", "b"]
    assert OmegaConf.load(output_folder(tmp_path) / "config.yaml").noise.scale == 3
    wrong = command(tmp_path, "--config-dir", "my_conf", "noise=wyde", *MUTE)
    assert (wrong.status, wrong.out) == (2, "")
    assert "nearest is noise=wide" in wrong.err
