"""The text of an exercise, from the Markdown file beside it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markdown_it.token import Token
from mdit_py_plugins.dollarmath import dollarmath_plugin

from noiseworks.errors import UserError
from noiseworks.report.formula import FormulaError, inline, mathml

PUNCTUATED = re.compile(r'(<span class="math inline">(?:(?!</span>).)*</span>)([.,;:!?)’”]+)', re.DOTALL)
NUMBERED = re.compile(r"^((?:\d+|T\d+)(?:\.\d+)?)\s+(.+)$", re.DOTALL)


@dataclass(frozen=True)
class Question:
    """`## 5.3 What can go wrong?`, the quotation under it that answers, and the theory; all but the number as HTML."""

    number: str
    asked: str
    answer: str
    theory: str


@dataclass(frozen=True)
class Page:
    title: str
    introduction: str
    questions: Sequence[Question]


def read_page(path: Path) -> Page:
    """The page of experiments/ex5_laplace.md. What is missing or not understood is an error that names the place."""
    if not path.exists():
        raise UserError(f"{path.parent.name}/{path.name} is missing: the text of the study {path.stem}.")
    try:
        return _page(path.name, path.read_text())
    except FormulaError as error:
        raise UserError(f"{path.name}: {error}.") from error


def _page(name: str, text: str) -> Page:
    markdown = _markdown()
    tokens = markdown.parse(text, {})
    if not tokens or tokens[0].tag != "h1":
        raise UserError(f"{name} must begin with `# ` and a title.")
    starts = [i for i, token in enumerate(tokens) if token.type == "heading_open" and token.tag == "h2"]
    introduction = tokens[3 : starts[0] if starts else len(tokens)]
    sections = [tokens[i:j] for i, j in zip(starts, [*starts[1:], len(tokens)])]
    if not sections:
        raise UserError(f"{name} has no question; each begins with `## ` and its number, such as `## 5.3 `.")
    html = lambda part: PUNCTUATED.sub(_with_punctuation, _render(markdown, part))  # noqa: E731
    return Page(html(tokens[1:2]), html(introduction), [_question(name, section, html) for section in sections])


def _with_punctuation(match: re.Match[str]) -> str:
    """The (last segment of the) formula and the punctuation behind it, on one line."""
    head, wbr, last = match[1].removesuffix("</span>").rpartition("<wbr>")
    opened, last = (head + wbr, last) if wbr else ('<span class="math inline">', last.partition(">")[2])
    return f'{opened}<span class="whole">{last}{match[2]}</span></span>'


def _render(markdown: MarkdownIt, tokens: Sequence[Token]) -> str:
    return str(markdown.renderer.render(tokens, markdown.options, {}))


def _question(name: str, tokens: Sequence[Token], html: Any) -> Question:
    heading = NUMBERED.match(html(tokens[1:2]))
    if heading is None:
        raise UserError(f"{name}: `## {tokens[1].content}` must begin with its number, such as `## 5.3 `.")
    number, asked = heading.groups()
    kinds = [token.type for token in tokens]
    if len(tokens) < 4 or kinds[3] != "blockquote_open":
        raise UserError(f"{name}: under `## {number}` must stand its answer, one sentence after `> `.")
    end = kinds.index("blockquote_close")
    if kinds[4:end] != ["paragraph_open", "inline", "paragraph_close"]:
        raise UserError(f"{name}: the answer under `## {number}` must be one paragraph.")
    return Question(number, asked, html(tokens[5:6]), html(tokens[end + 1 :]))


def _markdown() -> MarkdownIt:
    markdown = MarkdownIt("commonmark", {"html": False, "typographer": True}).enable(["table", "smartquotes"])
    markdown.use(dollarmath_plugin, allow_digits=False, double_inline=True, renderer=_formula)
    markdown.core.ruler.before("text_join", "dollars", _check_dollars)
    markdown.add_render_rule("table_open", lambda *_: '<div class="scroll" tabindex="0"><table>\n')
    markdown.add_render_rule("table_close", lambda *_: "</table></div>\n")
    return markdown


def _formula(latex: str, options: dict[str, Any]) -> str:
    block = bool(options["display_mode"])
    try:
        return mathml(latex, "block") if block else inline(latex)
    except FormulaError as error:
        raise FormulaError(f"the formula ${latex.strip()}$ {error}") from error


def _check_dollars(state: StateCore) -> None:
    """Before the signs that were written as \\$ are joined with the text around them."""
    parts = [part for token in state.tokens for part in token.children or ()]
    for part in parts:
        if part.type == "text" and "$" in part.content:
            raise FormulaError(
                f"a $ without a partner in `{part.content.strip()}`; a formula stands between two, and the sign "
                r"itself is \$"
            )
