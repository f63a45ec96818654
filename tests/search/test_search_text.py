"""What is said of a study: against numbers computed here. The studies are real, their values are made up."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from mlflow.utils.validation import _validate_metric_name, _validate_tag_name
from optuna.samplers import RandomSampler, TPESampler
from optuna.study import Study, create_study
from optuna.trial import Trial, TrialState
from search_study import CONFIRMS_FROM, End

from noiseworks.runs import journal
from noiseworks.runs.journal import Row
from noiseworks.search.findings import Findings
from noiseworks.search.summary import report_study
from noiseworks.search.text import describe
from noiseworks.tracking.parents import StudyFacts

Value = Callable[[Trial, float, float], Any]


def study_of(count: int, value: Value, directions: Sequence[str] = ("minimize",), seed: int = 0) -> Study:
    """Trials with x and y in (0, 1); a value of None fails."""
    study = create_study(sampler=RandomSampler(seed=seed), directions=list(directions), study_name="a-study")
    for _ in range(count):
        trial = study.ask()
        told = value(trial, trial.suggest_float("x", 0, 1), trial.suggest_float("y", 0, 1))
        study.tell(trial, told, state=TrialState.FAIL if told is None else None)
    return study


def said(study: Study, rows: Sequence[Row] = ()) -> list[str]:
    return describe(Findings(study, CONFIRMS_FROM, rows)).split("\n\n")


def table(blocks: Sequence[str], title: str) -> list[list[str]]:
    lines = blocks[blocks.index(title) + 1].splitlines()
    return [line.split() for line in lines[2:]]


def row(job: int, objective: float | None, failure: str | None = None, **metrics: float) -> Row:
    named = {name.replace("_", "/"): value for name, value in metrics.items()}
    asked = {} if objective is None else {"val/nll": objective}
    return Row(job, {}, "FAILED" if failure else "FINISHED", failure, asked, f"run{job}", named, None)


def test_counts():
    def value(trial, x, y):
        return None if trial.number in (3, 4, 5) else x

    study = study_of(20, value)
    for trial, state in ((study.ask(), TrialState.PRUNED), (study.ask(), TrialState.PRUNED)):
        study.tell(trial, state=state)
    died = study.ask()
    died.set_user_attr("died", "with its process")
    study.tell(died, state=TrialState.FAIL)
    study.ask()
    study.enqueue_trial({"x": 0.5, "y": 0.5})
    counts = "17 complete, 2 pruned, 3 failed, 1 running, 1 waiting, 1 died and queued again"
    assert said(study)[0] == f"study a-study, sampler random, to minimize objective\n{counts}"


def test_the_sampler_is_called_as_in_the_configuration():
    study = create_study(sampler=TPESampler(seed=0))
    assert "sampler tpe" in said(study)[0]


def test_nothing_is_complete():
    study = study_of(3, lambda trial, x, y: None)
    blocks = said(study)
    assert blocks[0].endswith("\n3 failed")
    assert blocks[1:] == ["No trial is complete: there is no best one."]
    assert said(create_study())[0].endswith("\nno trials")


def test_the_largest_is_the_best_where_that_is_asked_for():
    """The mirror image of a study says the same, up to the sign."""
    small, large = study_of(30, lambda trial, x, y: x - y), study_of(30, lambda t, x, y: y - x, ["maximize"])
    values = {trial.number: trial.params["y"] - trial.params["x"] for trial in large.trials}
    ranking = sorted(values, key=values.get, reverse=True)
    assert said(large)[1].splitlines()[0] == f"the best is trial {ranking[0]}, objective {values[ranking[0]]:.6g}"
    assert [int(line[0]) for line in table(said(large), "the best 5:")] == ranking[:5]
    assert [line[0] for line in table(said(small), "the best 5:")] == [str(number) for number in ranking[:5]]
    assert Findings(small, CONFIRMS_FROM, []).importances == Findings(large, CONFIRMS_FROM, []).importances


def test_what_breaks_a_constraint_is_not_the_best():
    def value(trial, x, y):
        trial.set_constraint("val/mae", 0.5 - x)
        return x

    study = study_of(40, value)
    kept = {t.number: t.params["x"] for t in study.trials if t.params["x"] >= 0.5}
    blocks = said(study)
    assert blocks[0].endswith(f"\n{len(kept)} of 40 complete trials keep to the constraints (val/mae)")
    assert blocks[1].startswith(f"the best is trial {min(kept, key=kept.get)}, ")
    assert [int(line[0]) for line in table(blocks, "the best 5:")] == sorted(kept, key=kept.get)[:5]


def test_nothing_keeps_to_the_constraints():
    def value(trial, x, y):
        trial.set_constraint("val/mae", x + 1e-9)
        return x

    blocks = said(study_of(5, value))
    assert "0 of 5 complete trials keep to the constraints (val/mae)" in blocks[0]
    assert blocks[1] == "No trial keeps to the constraints: there is no best one."
    assert "the best 5:" not in blocks


def dominated(one: Sequence[float], other: Sequence[float]) -> bool:
    """The first objective is to be small, the second large."""
    no_worse = other[0] <= one[0] and other[1] >= one[1]
    return no_worse and tuple(one) != tuple(other)


@pytest.mark.parametrize("count", [15, 400])
def test_the_pareto_front(count):
    study = study_of(count, lambda trial, x, y: [x + y * y, x * (1 - y)], ["minimize", "maximize"])
    values = {trial.number: trial.values for trial in study.trials}
    front = [k for k in values if not any(dominated(values[k], other) for other in values.values())]
    front.sort(key=lambda k: values[k][0])
    (title,) = (block for block in said(study) if block.startswith("the Pareto front"))
    assert title == f"the Pareto front, {len(front)} of {count} complete trials:"
    lines = table(said(study), title)
    assert [int(line[0]) for line in lines if line[0] != "..."] == front[:20]
    assert [line[3:5] for line in lines[:5]] == [[f"{v:.6g}" for v in values[k]] for k in front[:5]]
    assert (lines[-1][:4] == ["...", "and", str(len(front) - 20), "more;"]) == (len(front) > 20)
    assert not any(block.startswith("the best") for block in said(study))
    first, second = Findings(study, CONFIRMS_FROM, []).importances
    assert first["x"] + first["y"] == pytest.approx(1)
    assert second != first


def confirmed(searched: float, error: float | None, fresh: float | None, fresh_error: float, direction="minimize"):
    def value(trial, x, y):
        if error is not None:
            trial.set_user_attr("standard_error", error)
        return searched

    study = study_of(1, value, [direction])
    study.set_user_attr("confirmed", {"0": {"objective": fresh, "standard_error": fresh_error, "seeds": 4}})
    return study


@pytest.mark.parametrize(
    ("searched", "error", "fresh", "direction", "verdict"),
    [
        (1.0, 0.4, 1.99, "minimize", None),  # hypot(0.4, 0.3) = 0.5
        (1.0, 0.4, 2.01, "minimize", "worse"),
        (1.0, 0.4, -0.01, "minimize", "better"),
        (1.0, 0.4, -0.01, "maximize", "worse"),
        (1.0, 0.4, 2.01, "maximize", "better"),
        (1.0, None, 2.3, "minimize", None),  # one seed: 0.3 sqrt(4) = 0.6, and hypot(0.6, 0.3) = 0.67
        (1.0, None, 2.4, "minimize", "worse"),
    ],
)
def test_the_winners_curse(searched, error, fresh, direction, verdict):
    study = confirmed(searched, error, fresh, 0.3, direction)
    blocks = said(study)
    (line,) = table(blocks, "trained again on fresh seeds:")
    shown = [f"{searched:g}", *([] if error is None else ["±", f"{error:g}"])]
    assert line == ["0", *shown, f"{fresh:g}", "±", "0.3", "4"]
    sentences = [block for block in blocks if block.startswith("Trial 0 is")]
    assert [sentence.split()[3] for sentence in sentences] == ([verdict] if verdict else [])
    if verdict:
        spread = 0.5 if error else math.hypot(0.6, 0.3)
        assert f"by {abs(fresh - searched):.2g} (standard error {spread:.2g})" in sentences[0]
        assert ("luck" in sentences[0]) == (verdict == "worse")


def test_a_confirmation_that_failed():
    rows = [row(0, 1.0, val_nll=1.0), row(CONFIRMS_FROM, None, "it diverged")]
    blocks = said(confirmed(1.0, None, None, 0.3), rows)
    assert table(blocks, "trained again on fresh seeds:") == [["0", "1", "failed", "4", f"run{CONFIRMS_FROM}"]]
    assert blocks[-1] == "trial 0 on fresh seeds failed: it diverged"


def test_a_confirmation_is_never_the_best():
    """Nor are its metrics taken for those of a trial."""
    rows = [row(0, 1.0, val_nll=1.0), row(CONFIRMS_FROM, 0.1, val_nll=0.1)]
    found = Findings(confirmed(1.0, None, 0.1, 0.3), CONFIRMS_FROM, rows)
    assert found.best_row == rows[0]
    assert found.objectives[0].name == "val/nll"


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ([], ["objective 1", "objective 2"]),
        ([{"val/mae": 1.0, "val/rmse": 2.0}], ["val/mae", "val/rmse"]),
        ([{}, {"trainer/steps": 3.0, "trainer/epochs": 3.0}], ["trainer/steps", "trainer/epochs"]),
    ],
)
def test_the_names_of_the_objectives(asked, names):
    """Those that the jobs say they minimised."""
    study = study_of(2, lambda t, x, y: [1.0 + 2 * t.number, 2.0 + 2 * t.number], ["minimize", "minimize"])
    kept = [replace(row(number, None), objectives=objectives) for number, objectives in enumerate(asked)]
    assert [o.name for o in Findings(study, CONFIRMS_FROM, kept).objectives] == names
    study.set_user_attr("objectives", ["one", "another"])
    assert [o.name for o in Findings(study, CONFIRMS_FROM, kept).objectives] == ["one", "another"]


def test_importances_need_two_values():
    assert Findings(study_of(1, lambda trial, x, y: x), CONFIRMS_FROM, []).importances == [{}]
    assert Findings(study_of(5, lambda trial, x, y: 1.0), CONFIRMS_FROM, []).importances == [{}]
    (shares,) = Findings(study_of(2, lambda trial, x, y: x), CONFIRMS_FROM, []).importances
    assert sum(shares.values()) == pytest.approx(1)


def test_a_key_that_is_in_some_trials_only():
    def value(trial, x, y):
        return x + (trial.suggest_float("z", 0, 1) if trial.number == 7 or x > 0.5 else 0)

    study = study_of(60, value)
    (shares,) = Findings(study, CONFIRMS_FROM, []).importances
    assert max(shares, key=shares.get) == "x"
    assert shares.keys() == {"x", "y", "z"}
    assert all(len(line) == 4 for line in table(said(study), "the best 5:"))  # trial, x, y, value: z is in none


def test_keys_become_names_that_mlflow_takes(tmp_path):
    study = create_study(sampler=RandomSampler(seed=0), study_name="a-study")
    for value in (1.0, 2.0, 3.0):
        trial = study.ask()
        trial.suggest_categorical("noise@data.noise", ["gaussian", "laplace"])
        study.tell(trial, value)
    report = report_study(tmp_path, study, StudyFacts("a-study", "1", ["minimize"], CONFIRMS_FROM), [], None)
    assert report.tags["best.noise_data.noise"] == study.best_params["noise@data.noise"]
    assert report.metrics == {"best/value": 1.0, "importance/noise_data.noise": 1.0}
    for name in report.tags:
        _validate_tag_name(name)
    for name in report.metrics:
        _validate_metric_name(name)


@pytest.fixture
def folder(tmp_path) -> Path:
    facts = StudyFacts("a-study", "1", ["minimize"], CONFIRMS_FROM)
    (tmp_path / "study.json").write_text(json.dumps(asdict(facts)))
    return tmp_path


def test_what_the_command_complains_of(folder):
    """Failed trials are part of a search."""
    good = study_of(4, lambda trial, x, y: None if trial.number else x)
    journal.append(folder, [row(0, 1.0), row(1, None, "it diverged")])
    end = End(folder, good)
    assert end.complaint is None
    assert "trial 1 failed: it diverged" in end.out
    assert End(folder, good, ValueError("no such key")).complaint.endswith("ended by an error: no such key")
    none = study_of(4, lambda trial, x, y: None)
    assert End(folder, none).complaint == "no trial of the study a-study is complete."


def test_another_study_of_this_process_is_not_meant(folder):
    journal.append(folder, [row(0, 1.0), row(1, None, "it diverged")])
    other = create_study(study_name="another")
    for study in (None, other):
        end = End(folder, study)
        assert end.complaint == "1 of 2 jobs failed; job 1: it diverged."
        assert "study" not in end.out.replace(str(folder), "")


def test_without_its_trials_the_jobs_are_summed_up(folder):
    """Where the storage is what failed."""
    from optuna.study import delete_study

    study = study_of(3, lambda trial, x, y: x)
    delete_study(study_name="a-study", storage=study._storage)
    journal.append(folder, [row(0, 1.0, val_nll=1.0), row(CONFIRMS_FROM, 0.5, val_nll=0.5)])
    assert "2 FINISHED" in End(folder, study, OSError("gone")).out
