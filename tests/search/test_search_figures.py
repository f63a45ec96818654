"""The figures of a study: that they are there, that nothing in them is blank or cut, and that they show its numbers."""

from __future__ import annotations

import math
import random
from itertools import accumulate
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.figure import Figure
from matplotlib.image import imread
from optuna.samplers import RandomSampler, TPESampler
from optuna.study import Study, create_study
from optuna.trial import TrialState
from search_study import CONFIRMS_FROM

from noiseworks.runs.figures import BLUE, ORANGE
from noiseworks.search.figures import draw_study
from noiseworks.search.findings import Findings
from soaked import every

LONG = "optimizer.weight_decay_of_the_second_layer"
ONE = {"history", "slice", "contour", "importances", "intermediate"}


def search(count: int, direction: str = "minimize", constrained: bool = False) -> Study:
    """A learning rate, a choice of long names, a long key, one that only some trials have; some fail, some are pruned,
    one is far off."""
    study, rng = create_study(direction=direction, sampler=TPESampler(seed=0)), random.Random(1)
    for k in range(count):
        trial = study.ask()
        lr = trial.suggest_float("optimizer.lr", 1e-4, 1, log=True)
        size = trial.suggest_int("data.batch_size", 8, 128, log=True)
        noise = trial.suggest_categorical("noise", ["gaussian", "laplace", "student_t", "negative_binomial"])
        decay = trial.suggest_float(LONG, 0, 1)
        trial.suggest_categorical("schedule.averaging", [True, False])
        if noise == "student_t":
            trial.suggest_float("noise.df", 1, 30)
        value = (math.log10(lr) + 2) ** 2 + (math.log2(size) - 5) ** 2 / 40 + len(noise) / 20 + decay / 10
        value = 1e6 if k == 9 else value + rng.gauss(0, 0.02)
        value = -value if direction == "maximize" else value
        if constrained:
            trial.set_constraint("val/mae", 0.5 - decay)
        for epoch in range(1, 4):
            trial.report(value * (1 + 1 / epoch), epoch)
        state = {2: TrialState.FAIL, 3: TrialState.PRUNED}.get(k % 8, TrialState.COMPLETE)
        study.tell(trial, value if state == TrialState.COMPLETE else None, state=state)
    return study


def several(count: int, directions: list[str]) -> Study:
    study = create_study(directions=directions, sampler=RandomSampler(seed=0))
    for _ in range(count):
        trial = study.ask()
        x, y = trial.suggest_float("x", 0, 1), trial.suggest_float("y", 0, 1)
        study.tell(trial, [x + y * y, x * (1 - y), abs(y - 0.5)][: len(directions)])
    return study


def draw(folder: Path, study: Study, monkeypatch: pytest.MonkeyPatch) -> dict[str, Figure]:
    """The figures by name, besides the files."""
    drawn: dict[str, Figure] = {}
    save = Figure.savefig

    def kept(figure: Figure, path: Path) -> None:
        drawn[path.stem] = figure
        save(figure, path)

    monkeypatch.setattr(Figure, "savefig", kept)
    paths = draw_study(folder, Findings(study, CONFIRMS_FROM, []))
    assert sorted(paths) == sorted(folder.glob("*"))
    assert {path.stem for path in paths} == drawn.keys()
    return drawn


def has_colour(image: np.ndarray, colour: str) -> bool:
    """Whether 20 pixels have it, or it half transparent on white."""
    rgb = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    near = [np.abs(image[..., :3] - (a * rgb + 1 - a)).max(-1) < 0.06 for a in (1.0, 0.5, 0.4)]
    return int(np.logical_or.reduce(near).sum()) >= 20


@pytest.mark.parametrize(("count", "direction"), every(2, [(20, "maximize"), (200, "minimize")]))
def test_one_objective(tmp_path, monkeypatch, count, direction):
    drawn = draw(tmp_path, search(count, direction), monkeypatch)
    assert drawn.keys() == ONE
    assert_nothing_is_cut(drawn)
    colours = {name: [BLUE, ORANGE] for name in ONE} | {"importances": [BLUE], "contour": [ORANGE]}
    for name in ONE:
        image = imread(tmp_path / f"{name}.png")
        assert image.shape[0] > 200
        assert all(has_colour(image, colour) for colour in colours[name]), name
    panels = imread(tmp_path / "slice.png")
    height, width = panels.shape[0] // 2, panels.shape[1] // 3
    for i in range(6):  # two rows of three
        top, left = height * (i // 3), width * (i % 3)
        assert has_colour(panels[top : top + height, left : left + width], BLUE), i


def assert_nothing_is_cut(drawn: dict[str, Figure]) -> None:
    for name, figure in drawn.items():
        renderer, whole = FigureCanvasAgg(figure).get_renderer(), figure.bbox
        for axes in figure.axes:
            box = axes.get_tightbbox(renderer)
            assert box.x0 >= -1, name
            assert box.y0 >= -1, name
            assert box.x1 <= whole.x1 + 1, name
            assert box.y1 <= whole.y1 + 1, name
        assert not overlapping(figure, renderer), name


def overlapping(figure: Figure, renderer: RendererAgg) -> bool:
    """Whether labels of neighbouring panels run into each other."""
    boxes = [axes.xaxis.label.get_window_extent(renderer) for axes in figure.axes if axes.get_xlabel()]
    return any(one.overlaps(other) for i, one in enumerate(boxes) for other in boxes[:i])


@pytest.mark.soak
def test_the_history_shows_the_best_so_far(tmp_path, monkeypatch):
    for direction, better in (("minimize", min), ("maximize", max)):
        study = search(40, direction)
        axes = draw(tmp_path / direction, study, monkeypatch)["history"].axes[0]
        complete = [trial for trial in study.trials if trial.state == TrialState.COMPLETE]
        (line,) = axes.lines
        assert list(line.get_ydata())[:-1] == list(accumulate((t.value for t in complete), better))
        assert list(line.get_xdata()) == [*(trial.number for trial in complete), 39]
        marks = {str(each.get_label()): each.get_offsets() for each in axes.collections}
        assert sorted(marks) == ["complete", "failed", "far off", "pruned"]
        assert [x for x, _ in marks["far off"]] == [9]
        assert len(marks["failed"]) == sum(trial.state == TrialState.FAIL for trial in study.trials)
        assert len(marks["pruned"]) == sum(trial.state == TrialState.PRUNED for trial in study.trials)
        edge = {y for name in ("failed", "far off", "pruned") for _, y in marks[name]}
        assert [better(*edge, y) for y in marks["complete"][:, 1]] == list(marks["complete"][:, 1])  # the worse edge
        low, high = axes.get_ylim()
        assert low < study.best_value < high
        assert high - low < 100


@pytest.mark.soak
def test_the_slice(tmp_path, monkeypatch):
    study = search(40)
    panels = {axes.get_xlabel(): axes for axes in draw(tmp_path, study, monkeypatch)["slice"].axes}
    assert panels.keys() - {"optimizer.lr", "data.batch_size", "noise", "noise.df", "schedule.averaging"} == {
        "...ght_decay_of_the_second_layer"
    }
    assert [panels[key].get_xscale() for key in ("optimizer.lr", "data.batch_size", "noise.df")] == [
        "log",
        "log",
        "linear",
    ]
    assert shown(panels["noise"]) == ["gaussian", "laplace", "student_t", "negative_binomial"]
    assert shown(panels["schedule.averaging"]) == ["True", "False"]
    points = next(each for each in panels["optimizer.lr"].collections if each.get_label() == "complete")
    near = [t for t in study.trials if t.state == TrialState.COMPLETE and t.value < 1e5]
    low, high = panels["optimizer.lr"].get_ylim()
    expected = [(t.params["optimizer.lr"], t.value) for t in near if low <= t.value <= high]
    assert points.get_offsets().tolist() == pytest.approx(np.array(expected))
    only = sum(len(each.get_offsets()) for each in panels["noise.df"].collections)
    assert only == sum("noise.df" in trial.params for trial in study.trials)


def shown(axes: Axes) -> list[str]:
    return [label.get_text() for label in axes.get_xticklabels()]


@pytest.mark.soak
def test_the_contour_is_over_the_two_most_important_numbers(tmp_path, monkeypatch):
    study = search(60)
    axes = draw(tmp_path, study, monkeypatch)["contour"].axes[0]
    (shares,) = Findings(study, CONFIRMS_FROM, []).importances
    first, second = [key for key in shares if key not in ("noise", "schedule.averaging")][:2]
    short = {LONG: "...ght_decay_of_the_second_layer"}
    assert (axes.get_xlabel(), axes.get_ylabel()) == (short.get(first, first), short.get(second, second))
    star = next(line for line in axes.lines if line.get_label() == "best")
    best = study.best_trial.params
    assert (list(star.get_xdata()), list(star.get_ydata())) == ([best[first]], [best[second]])


@pytest.mark.soak
def test_what_breaks_a_constraint_is_marked(tmp_path, monkeypatch):
    study = search(40, constrained=True)
    drawn = draw(tmp_path, study, monkeypatch)
    labels = {str(each.get_label()) for each in drawn["history"].axes[0].collections}
    assert {"complete", "breaks a constraint"} <= labels
    feasible = [t.value for t in study.trials if t.state == TrialState.COMPLETE and t.params[LONG] >= 0.5]
    assert list(drawn["history"].axes[0].lines[0].get_ydata())[:-1] == list(accumulate(feasible, min))


@pytest.mark.parametrize("directions", every(2, [["minimize", "maximize"], ["minimize", "maximize", "minimize"]]))
def test_several_objectives(tmp_path, monkeypatch, directions):
    study = several(60, directions)
    drawn = draw(tmp_path, study, monkeypatch)
    each = {f"{name}_{i + 1}" for name in ("history", "slice", "contour") for i in range(len(directions))}
    assert drawn.keys() == each | {"importances", "pareto_front"}
    panels = drawn["pareto_front"].axes
    assert len(panels) == math.comb(len(directions), 2)
    front = next(each for each in panels[0].collections if each.get_label() == "Pareto front")
    best = sorted(tuple(trial.values[:2]) for trial in study.best_trials)
    assert sorted(map(tuple, front.get_offsets().tolist())) == best
    assert has_colour(imread(tmp_path / "pareto_front.png"), ORANGE)
    assert len(drawn["importances"].axes) == len(directions)


@pytest.mark.soak
def test_four_objectives_have_no_figure_of_their_front(tmp_path, monkeypatch):
    study = create_study(directions=["minimize"] * 4, sampler=RandomSampler(seed=0))
    for _ in range(5):
        trial = study.ask()
        study.tell(trial, [trial.suggest_float("x", 0, 1)] * 4)
    assert "pareto_front" not in draw(tmp_path, study, monkeypatch)


def test_what_there_is_nothing_to_draw_for(tmp_path, monkeypatch):
    assert draw(tmp_path / "none", create_study(), monkeypatch) == {}
    study = create_study(sampler=RandomSampler(seed=0))
    for x in (0.2, 0.7, 0.4, 0.9, 0.5):
        study.enqueue_trial({"x": x, "y": x})  # on a line
        trial = study.ask()
        study.tell(trial, trial.suggest_float("x", 0, 1) + trial.suggest_float("y", 0, 1))
    assert draw(tmp_path / "line", study, monkeypatch).keys() == {"history", "slice", "importances"}
    alone = create_study()
    alone.tell(alone.ask(), 1.0)
    assert draw(tmp_path / "alone", alone, monkeypatch).keys() == {"history"}
