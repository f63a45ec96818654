"""LaTeX to MathML, strictly: what the converter does not know is an error, not text in the page."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterator
from copy import deepcopy
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from latex2mathml.converter import Converter

from noiseworks.report.mathml import mend

LONG = 16  # characters; shorter formulas stay whole
BREAKS = set("=<>≤≥≈∼→⇒≠≡∈∝,+−·")


def segments(root: Element) -> list[Element]:
    """The <math> itself, or several that make it up, cut behind the relations and signs that stand in no bracket."""
    if len("".join(root.itertext())) <= LONG or len(root) != 1 or root[0].tag != "mrow":
        return [root]
    found: list[Element] = []
    for children in _cut(root[0]):
        segment = Element("math", root.attrib if not found else {"xmlns": root.get("xmlns", "")})
        row = Element("mrow")
        row.extend(children)
        segment.append(row)
        found.append(segment)
    return found


def _cut(row: Element) -> Iterator[list[Element]]:
    """The children of each segment."""
    children: list[Element] = []
    depth = 0
    for child in map(deepcopy, row):
        children.append(child)
        depth += _brackets(child)
        sign = child.get("form") == "prefix" or len(children) == 1
        if depth == 0 and child.tag == "mo" and child.text in BREAKS and not sign:
            if child.text != ",":
                child.set("form", "infix")
            yield children
            children = []
    if children:
        yield children


def _brackets(element: Element) -> int:
    """1 for an opening bracket, -1 for a closing one, with or without an exponent."""
    while element.tag in ("msub", "msup", "msubsup"):
        element = element[0]
    text = element.text or ""
    if element.tag != "mo" or len(text) != 1:
        return 0
    return {"Ps": 1, "Pe": -1}.get(unicodedata.category(text), 0)


class FormulaError(ValueError):
    """What is wrong with a formula, in words that follow its text."""


# What authors write -> what the converter knows.
SPELLINGS = [
    (re.compile(r"\\(begin|end)\{aligned\}"), r"\\\1{align*}"),
    (re.compile(r"\\operatorname\*?\{\s*arg\s*(?:\\[,;! ])?\s*(min|max)\s*\}"), r"\\arg\1 "),
    (re.compile(r"\\arg\s*\\(min|max)(?![a-zA-Z])"), r"\\arg\1 "),
    (re.compile(r"\\operatorname\*\{"), r"\\operatorname{"),
]


def mathml(latex: str, display: str = "inline") -> str:
    """The formula as a <math> element; display: inline or block. The source stays readable as alttext."""
    return _text(_converted(latex, display))


def inline(latex: str) -> str:
    """The formula for a line of text; a long one is cut where the line may be broken, behind its relations."""
    return "<wbr>".join(map(_text, segments(_converted(latex, "inline"))))


def _text(root: Element) -> str:
    return ElementTree.tostring(root, encoding="unicode")


def _converted(latex: str, display: str) -> Element:
    _check_braces(latex)
    text = latex
    for known, replacement in SPELLINGS:
        text = known.sub(replacement, text)
    try:
        root = Converter(display=display).convert_to_element(text.strip())
    except Exception as error:  # of many kinds, some without a text
        raise FormulaError(f"cannot be converted ({type(error).__name__})") from error
    _check_known(root)
    mend(root)
    root.set("alttext", " ".join(latex.split()))
    return root


def _check_braces(latex: str) -> None:
    depth = 0
    for brace in re.findall(r"\\.|[{}]", latex, re.DOTALL):
        depth += {"{": 1, "}": -1}.get(brace, 0)
        if depth < 0:
            break
    if depth:
        raise FormulaError("has braces without a partner")


def _check_known(root: Element) -> None:
    """A command that the converter does not know stands in the result as text."""
    for element in root.iter():
        text = html.unescape(element.text or "")
        if "\\" in text and element.tag != "mtext":
            raise FormulaError(f"has the unknown command {text.strip()}")
        if text == "&" or element.tag == "menclose":
            raise FormulaError(f"has {text or element.get('notation')} in a place where it is not understood")
