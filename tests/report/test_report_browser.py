"""Every page of a report in headless Chromium, wide and narrow, light and dark, and printed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from report_browser import WINDOWS, browser, problems

from command_line import client
from noiseworks.studies.exercise import exercises

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")  # Playwright leaves its pipes to the collector


def test_a_reader_stumbles_over_nothing(few_exercises: Path) -> None:
    assert len(list((few_exercises / "report").glob("*.html"))) == 1 + 1
    with browser() as started:
        assert problems(started, few_exercises / "report", [(1280, "light"), (360, "dark")]) == []


@pytest.mark.soak
def test_of_all_pages(smoke: Path) -> None:
    assert len(list((smoke / "report").glob("*.html"))) == 1 + len(exercises())
    with browser() as started:
        assert problems(started, smoke / "report", WINDOWS) == []


BROKEN = {
    "the page scrolls sideways": '<div style="width: 2000px">wide</div>',
    "h3 before": "<h3>a</h3><h5>b</h5>",
    "id twice": '<p id="same">a</p><p id="same">b</p>',
    "broken link": '<a href="nowhere.html">a</a><a href="#noplace">b</a>',
    "image": '<img src="nothing.png">',
    "request: http": '<img src="http://127.0.0.1:9/a.png" alt="a">',
    "console": '<script>console.log("a")</script>',
    "TEXT second over TEXT first": '<figure><svg role="img" viewBox="0 0 99 99" width="99"><desc>d</desc>'
    '<text x="9" y="50">first</text><text x="10" y="51">second</text></svg></figure>',
    "cut off in TEXT outside": '<figure><svg role="img" viewBox="0 0 99 99" width="99"><desc>d</desc>'
    '<text x="90" y="50">outside</text></svg></figure>',
    "P low over": '<div><p>high</p><p style="margin-top: -3em">low</p></div>',
    "formula not shown": "<math></math>",
    "black text": '<figure><svg role="img" viewBox="0 0 99 99" width="99"><desc>d</desc>'
    '<text x="9" y="50" style="fill: #000">a</text></svg></figure>',
    "folded lines are lost": '<style media="print">details::details-content { content-visibility: hidden !important }'
    "</style><details><ul><li>a</li></ul></details>",
}


@pytest.mark.soak
def test_what_is_broken_is_seen(few_exercises: Path, tmp_path: Path) -> None:
    """Each mistake put into the first page is found: else the tests above say nothing."""
    text = (few_exercises / "report" / "index.html").read_text()
    (tmp_path / "style.css").write_text((few_exercises / "report" / "style.css").read_text())
    missed = []
    with browser() as started:
        for said, mistake in BROKEN.items():
            (tmp_path / "index.html").write_text(text.replace("</main>", f"{mistake}</main>"))
            if not any(said in found for found in problems(started, tmp_path, [(1280, "dark")])):
                missed.append(said)
    assert missed == []


def test_the_report_is_a_run_in_mlflow(few_exercises: Path) -> None:
    verdicts = json.loads((few_exercises / "report" / "verdicts.json").read_text())
    store = client(few_exercises)
    (run,) = store.search_runs([store.get_experiment_by_name("report").experiment_id])
    claims = [verdict for verdict in verdicts if verdict["kind"] == "claim"]
    assert run.info.status == "FINISHED"
    assert run.data.metrics["claims"] == len(claims)
    assert run.data.metrics["T6/claims"] == sum(claim["exercise"].startswith("T6") for claim in claims) > 0
    assert run.data.metrics["claims_agree"] == sum(claim["verdict"] == "agrees" for claim in claims)
    assert run.data.metrics["controls"] == len(verdicts) - len(claims)
    caught = sum(verdict["kind"] == "control" and verdict["verdict"] == "differs" for verdict in verdicts)
    assert run.data.metrics["controls_caught"] == caught
    files = {file.path for file in store.list_artifacts(run.info.run_id)}
    assert files == {"index.html", *(f"{one}.html" for one in ("T6",)), "style.css", "verdicts.json"}


def test_the_page_names_its_runs_and_commands(few_exercises: Path) -> None:
    page = (few_exercises / "report" / "T6.html").read_text()
    store = client(few_exercises)
    for name in ("t6_new",):
        assert f"noiseworks -m experiment={name}" in page
        runs = store.search_runs([store.get_experiment_by_name(name).experiment_id])
        assert [run.info.run_id for run in runs if run.info.run_id not in page] == []
    assert "make exercises EX=T6" in page
    assert "Made from small runs" in page
