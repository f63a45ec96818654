"""Exercises in their small form, through the real command: some of them, and in the soak all, as `make exercises
SMOKE=1` runs them."""

import json
import math
import re
from collections import Counter

import pytest
import yaml

from noiseworks.config.experiment import exercise_files, file_of
from noiseworks.paths import conf_folder, experiments_folder
from noiseworks.studies.exercise import exercises

QUESTIONS = ["1.1", "1.2", "1.3", "2", "3", *(f"4.{i}" for i in range(1, 5)), "5.1", "5.2", "5.3", "6"]
QUESTIONS += ["7.1", "7.2", "7.3", *(f"8.{i}" for i in range(1, 5)), *(f"T{i}" for i in range(1, 10))]


@pytest.fixture(params=["few_exercises", pytest.param("smoke", marks=pytest.mark.soak)])
def verdicts(request):
    return json.loads((request.getfixturevalue(request.param) / "report" / "verdicts.json").read_text())


@pytest.fixture
def all_verdicts(smoke):
    return json.loads((smoke / "report" / "verdicts.json").read_text())


@pytest.mark.soak
@pytest.mark.parametrize("question", QUESTIONS)
def test_every_question_has_a_claim_and_a_control(all_verdicts, question):
    kinds = Counter(
        v["kind"] for v in all_verdicts if v["exercise"].split(".")[: question.count(".") + 1] == question.split(".")
    )
    assert kinds["claim"] >= 1
    assert kinds["control"] >= 1


def test_verdicts_follow_the_rule(verdicts):
    for v in verdicts:
        assert list(v) == ["exercise", "claim", "kind", "theory", "estimate", "lo", "hi", "margin", "verdict"]
        low, high = v["theory"] - v["margin"], v["theory"] + v["margin"]
        if None in (v["lo"], v["hi"]):  # no number, or infinite
            assert v["verdict"] == "differs"
            continue
        inside, outside = low <= v["lo"] and v["hi"] <= high, v["hi"] < low or v["lo"] > high
        assert v["verdict"] == ("agrees" if inside else "differs" if outside else "inconclusive")
        assert math.isfinite(v["estimate"])


def test_no_verdict_is_wrong(verdicts):
    wrong = {"claim": "differs", "control": "agrees"}
    assert [v for v in verdicts if v["verdict"] == wrong[v["kind"]]] == []


def test_sentences_tell_claims_apart(verdicts):
    twice = [k for k, n in Counter((v["exercise"], v["kind"], v["claim"]) for v in verdicts).items() if n > 1]
    assert twice == []


@pytest.mark.parametrize("path", exercise_files(), ids=lambda path: path.stem)
def test_pages_answer_in_one_sentence(path):
    text = path.with_suffix(".md").read_text()
    assert text.startswith("# ")
    questions = re.findall(r"^## (\S+) (.*)\n\n> (.*(?:\n> .*)*)\n", text, re.MULTILINE)
    assert len(questions) == len(re.findall("^## ", text, re.MULTILINE)) > 0
    for number, question, answer in questions:
        assert number.startswith(path.stem.partition("_")[0].removeprefix("ex").upper())
        assert question.endswith("?")
        assert answer.rstrip().endswith(".")


@pytest.mark.soak
def test_the_report_is_there(smoke):
    assert {path.stem for path in (smoke / "report").glob("*.html")} == {"index", *(e.number for e in exercises())}
    assert "verdicts as they should be" in (smoke / "stdout").read_text()


def test_parts_are_no_exercises():
    assert {path.parent for path in exercise_files()} == {experiments_folder()}
    assert file_of("ex8_draws").name == "ex8_counts.py"


def test_experiments_belong_to_one_exercise():
    names = [name for exercise in exercises() for name in exercise.experiments]
    assert len(names) == len(set(names))
    for exercise in exercises():
        assert {name.partition("_")[0] for name in exercise.experiments} == {exercise.name.partition("_")[0]}


def test_fresh_seeds_leave_sweeps_over_seeds_as_long():
    for exercise in exercises():
        for name, overrides in exercise.overrides(smoke=False, seed=7).items():
            content = yaml.safe_load((conf_folder() / "experiment" / f"{name}.yaml").read_text())
            own = content.get("hydra", {}).get("sweeper", {}).get("params", {}).get("seed")
            assert own in (None, "range(0,20)")
            assert overrides == (["seed=range(7000,7020)", "data.seed=7"] if own else ["seed=7"])
