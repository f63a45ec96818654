"""The text of the pages: Markdown and formulas, strictly; numbers, drawings of verdicts, colours."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure as Drawing

from noiseworks import studies as study
from noiseworks.errors import UserError
from noiseworks.paths import experiments_folder
from noiseworks.report.exercise_page import Study, Tally, strip
from noiseworks.report.formula import FormulaError, inline, mathml
from noiseworks.report.page import read_page
from noiseworks.report.site import header, number, power, read_header, sentence
from noiseworks.studies import Figure, Interval, claim, control, exactly
from noiseworks.studies.exercise import Exercise, exercises

GOOD = "# Title\n\nHello $x$.\n\n## 9.1 Why?\n\n> Because $n = 5$.\n\nTheory.\n\n$$a = b$$\n\n## 9.2 And?\n\n> So.\n"


def page(folder: Path, text: str) -> Path:
    path = folder / "ex9_nothing.md"
    path.write_text(text)
    return path


def test_a_page_is_its_title_and_its_questions(tmp_path: Path) -> None:
    found = read_page(page(tmp_path, GOOD))
    assert found.title == "Title"
    assert [question.number for question in found.questions] == ["9.1", "9.2"]
    first = found.questions[0]
    assert first.asked == "Why?"
    assert "<math" in first.answer
    assert 'display="block"' in first.theory
    assert "blockquote" not in first.theory


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (GOOD.replace("$x$", r"$\foo x$"), r"ex9_nothing.md: the formula $\foo x$ has the unknown command \foo."),
        (GOOD.replace("$$a = b$$", r"$$\frac{a}{b$$"), r"the formula $\frac{a}{b$ has braces without a partner"),
        (GOOD.replace("$$a = b$$", r"$$\left( a$$"), r"the formula $\left( a$ cannot be converted"),
        (GOOD.replace("$x$", "$x"), r"a $ without a partner in `Hello $x.`"),
        (GOOD.replace("$x$", "between $5 and $6"), "a $ without a partner"),
        (GOOD.removeprefix("# Title"), "must begin with `# ` and a title"),
        (GOOD.replace("## 9.1 Why?", "## Why?"), "`## Why?` must begin with its number"),
        (GOOD.replace("> Because", "Because"), "under `## 9.1` must stand its answer"),
        (GOOD.replace("> So.", "> So.\n>\n> Or not."), "the answer under `## 9.2` must be one paragraph"),
        ("# Title\n\nNo question.\n", "has no question"),
    ],
)
def test_what_a_page_lacks_is_said_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UserError, match=re.escape(said)) as error:
        read_page(page(tmp_path, text))
    assert str(error.value).startswith("ex9_nothing.md")


def test_a_missing_page_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"ex9_nothing\.md is missing: the text of the study ex9_nothing"):
        read_page(tmp_path / "ex9_nothing.md")


def test_money_is_written_with_a_backslash(tmp_path: Path) -> None:
    found = read_page(page(tmp_path, GOOD.replace("$x$", r"A share costs \$5, or $x$")))
    assert "costs $5, or" in found.introduction


def test_html_in_the_text_is_text(tmp_path: Path) -> None:
    found = read_page(page(tmp_path, GOOD.replace("Theory.", "<script>alert(1)</script> & <b>")))
    assert "<script>" not in found.questions[0].theory


@pytest.mark.parametrize("exercise", exercises(), ids=lambda one: one.name)
def test_every_exercise_has_a_page_that_can_be_read(exercise: Exercise) -> None:
    found = read_page(exercise.path.with_suffix(".md"))
    assert all(question.number.partition(".")[0] == exercise.number for question in found.questions)


def texts(latex: str) -> str:
    return "".join(ElementTree.fromstring(mathml(latex)).itertext())


def elements(latex: str, tag: str) -> list[ElementTree.Element]:
    return [e for e in ElementTree.fromstring(mathml(latex)).iter() if e.tag.endswith(f"}}{tag}")]


@pytest.mark.parametrize(
    ("latex", "shown"),
    [
        (r"\mathbb{E}[x] \sim \mathcal{N}(0, 1)", "𝔼[x]∼𝒩(0,1)"),
        (r"\boldsymbol{w}^\top \boldsymbol\beta", "𝒘⊤𝜷"),
        (r"\mathbf{1}_{\mathrm{KL}}", "𝟏KL"),
        (r"\operatorname{var}(x)", "var(x)"),
        (r"\operatorname*{arg\,min}_b f", "arg\u2009minbf"),
        (r"\arg\min_b f", "arg\u2009minbf"),
        (r"a < b \perp c", "a<b⟂c"),
        (r"\begin{aligned} a &= b \\ c &= d \end{aligned}", "a=bc=d"),
        (r"1{,}000", "1,000"),
        (r"\#\{x_i < b\}", "#{xi<b}"),
    ],
)
def test_formulas_are_what_their_authors_meant(latex: str, shown: str) -> None:
    assert texts(latex) == shown


def test_names_of_functions_have_their_spaces() -> None:
    """a thin space from what stands before and behind, but not before a bracket."""
    (name,) = [e for e in elements(r"n \operatorname{var}(x)", "mo") if e.text == "var"]
    assert (name.get("lspace"), name.get("rspace")) == ("0.17em", "0")
    (name,) = [e for e in elements(r"\log n", "mo") if e.text == "log"]
    assert (name.get("lspace"), name.get("rspace")) == ("0", "0.17em")


def test_a_minus_after_a_relation_is_a_sign() -> None:
    difference, sign = (e for e in elements("a - b = -c", "mo") if e.text == "−")
    assert difference.get("form") is None
    assert sign.get("form") == "prefix"


def test_a_long_formula_may_be_broken_behind_its_relations_but_in_no_bracket() -> None:
    long = r"\mathbb{E}[\hat\sigma^2 = 1] = (a + b)^2 / (c - d) \le -\sigma^2 + 1"
    parts = [re.sub("<[^>]*>", "", part) for part in inline(long).split("<wbr>")]
    assert parts == ["𝔼[σ^2=1]=", "(a+b)2/(c−d)≤", "−σ2+", "1"]
    assert "<wbr>" not in inline("a = b + c")


@pytest.mark.parametrize("latex", [r"\foo", "a_{1", "a}", r"\left( x", "a & b", r"a\ "])
def test_what_is_not_understood_is_no_silent_text(latex: str) -> None:
    with pytest.raises(FormulaError):
        mathml(latex.strip())


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (1.43417, "1.434"),
        (-0.02, "−0.02"),
        (0.0, "0"),
        (100.0, "100"),
        (123456.0, "123500"),
        (1e-9, "10<sup>−9</sup>"),
        (-7.238e-12, "−7.238 × 10<sup>−12</sup>"),
        (2.5e7, "2.5 × 10<sup>7</sup>"),
        (0.00099999, "0.001"),
        (9.99996e-5, "0.0001"),
        (float("nan"), "not a number"),
        (float("-inf"), "−∞"),
    ],
)
def test_numbers(value: float, shown: str) -> None:
    assert number(value) == shown


def test_sentences_show_their_formulas_and_escape_the_rest() -> None:
    assert sentence("n var / sigma^2 = 1, a<b") == "n var / σ<sup>2</sup>\u00a0=\u00a01, a&lt;b"
    assert sentence("leaves 1 - lr of it, at -2 and 10^-3") == "leaves 1 − lr of it, at −2 and 10<sup>−3</sup>"
    assert sentence("least-squares beats spin") == "least-squares beats spin"  # no pi in spin, no minus in a hyphen


def test_a_strip_is_in_units_of_the_margin() -> None:
    """theory in the middle (50), the margin's ends at 25 and 75, and arrows for what is two margins away."""
    found = strip(claim("9.1", "", 10.0, Interval(12.0, 11.0, 13.0, 0.4), 4.0))
    assert (found.lo, found.middle, found.hi, found.beyond) == pytest.approx((56.25, 62.5, 68.75, 0))
    assert strip(claim("9.1", "", 0.0, exactly(99.0), 1.0)).beyond == 1
    assert strip(claim("9.1", "", 0.0, exactly(-99.0), 1.0)).beyond == -1
    assert strip(claim("9.1", "", 0.0, Interval(0, -99.0, 99.0, 1), 1.0)).beyond == 0
    assert strip(claim("9.1", "", 0.0, exactly(float("nan")), 1.0)) is None


def test_a_tally_counts_and_has_a_state() -> None:
    good = claim("9.1", "", 0.0, exactly(0.0), 1.0)
    open_ = claim("9.1", "", 0.0, Interval(0, -2, 2, 1), 1.0)
    wrong = control("9.1", "", 0.0, exactly(0.0), 1.0)
    assert [Tally(claims).state for claims in ([], [good], [good, open_], [good, open_, wrong])] == [
        "none",
        "good",
        "open",
        "wrong",
    ]
    tally = Tally([good, open_, wrong])
    assert (tally.count("claim"), tally.as_hoped("claim"), tally.count("control"), tally.as_hoped("control")) == (
        2,
        1,
        1,
        0,
    )


def test_a_claim_without_its_question_is_refused(tmp_path: Path) -> None:
    (exercise,) = exercises(["1"])
    text = read_page(page(tmp_path, GOOD))
    with pytest.raises(
        UserError, match=r"ex1_location\.py has a claim of 9\.3, but ex1_location\.md has no `## 9\.3 `"
    ):
        Study(exercise, text, [claim("9.3", "", 0.0, exactly(0.0), 1.0)], [], [])


def test_headers_of_experiments(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(
        "# @package _global_\n# Question: 1.1: what\n#           is it?\n# Cost:     2 s.\ntask: fit\n# Expect: no\n"
    )
    assert read_header(path) == {"Question": "1.1: what is it?", "Cost": "2 s."}
    assert header("ex1_median")["Command"] == "noiseworks -m experiment=ex1_median"


def test_power_as_the_script_writes_it(tmp_path: Path) -> None:
    miss = {"exercise": "5.3", "kind": "claim", "claim": "so", "verdict": "inconclusive", "times": 2}
    rates = [{"kind": "claim", "count": 1000, "as_hoped": 998, "opposite": 0, "rate": 0.998, "lo": 0.99, "hi": 1.0}]
    (tmp_path / "power.json").write_text(json.dumps({"seeds": [1, 2], "rates": rates, "misses": [miss]}))
    found = power(tmp_path)
    assert found is not None
    assert (found.repetitions, found.rates[0].interval.estimate, found.misses[0]["times"]) == (2, 0.998, 2)
    (tmp_path / "power.json").write_text('{"rates": [1]}')
    with pytest.raises(UserError, match=r"is not as scripts/verdict_power\.py writes it"):
        power(tmp_path)


def drawn() -> Figure:
    drawing, axes = study.panels()
    study.theory(axes, [1, 2], [1, 2])
    study.estimates(axes, [1, 2], [exactly(1.0), exactly(2.0)], "found")
    axes.text(1, 1, "outside of the style")
    axes.legend()
    return Figure("9.1", alt='a < b & "c"', caption="", drawing=drawing)


def test_figures_take_the_colours_of_the_page() -> None:
    svg = drawn().svg("f9")
    assert "var(--series-1, #0072" in svg.replace("b2", "B2").lower()
    assert not re.search(r"#(000000|010203)", svg)
    legend = svg[svg.index("legend_1") :]
    assert "fill: #ffffff" not in legend
    assert svg.count("currentColor") > 5


def test_figures_are_named_and_their_ids_are_their_own() -> None:
    svg = ElementTree.fromstring(drawn().svg("f9"))
    assert svg.get("role") == "img"
    assert svg.get("width") is None
    ids = [element.get("id") for element in svg.iter() if element.get("id")]
    assert set(str(svg.get("aria-labelledby")).split()) <= set(ids)
    assert all(str(one).startswith("f9-") for one in ids)
    assert [element.text for element in svg.iter() if element.tag.endswith("desc")] == ['a < b & "c"']


def test_drawing_leaves_the_style_of_others_alone() -> None:
    before = dict(plt.rcParams)
    drawn().svg("f9")
    assert isinstance(drawn().drawing, Drawing)
    assert dict(plt.rcParams) == before


def luminance(color: str) -> float:
    """WCAG 2: relative luminance of #rrggbb."""
    channels = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast(one: str, other: str) -> float:
    dark, light = sorted([luminance(one), luminance(other)])
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_text_and_curves_stand_out_from_the_page(scheme: int) -> None:
    """WCAG 2.1 AA: 4.5 for text, 3 for graphics."""
    css = (experiments_folder().parent / "src/noiseworks/report/templates/style.css").read_text()
    block = re.findall(r":root \{(.*?)\}", css, re.DOTALL)[scheme]
    colors = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block))
    for ground in ("page", "raised"):
        for text in ("ink", "soft", "link", "good", "wrong", "open"):
            assert contrast(colors[text], colors[ground]) >= 4.5, (text, ground)
    for series in range(1, 7):
        assert contrast(colors[f"series-{series}"], colors["page"]) >= 3, series
    assert contrast(colors["ink"], colors["band"]) >= 4.5
