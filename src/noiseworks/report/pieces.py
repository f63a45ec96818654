"""Where a formula in a line of text may be broken: browsers never break one."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from copy import deepcopy
from xml.etree.ElementTree import Element

LONG = 16  # characters; shorter formulas stay whole
BREAKS = set("=<>≤≥≈∼→⇒≠≡∈∝,+−·")


def pieces(root: Element) -> list[Element]:
    """The <math> itself, or several that make it up, cut behind the relations and signs that stand in no bracket."""
    if len("".join(root.itertext())) <= LONG or len(root) != 1 or root[0].tag != "mrow":
        return [root]
    found: list[Element] = []
    for children in _cut(root[0]):
        piece = Element("math", root.attrib if not found else {"xmlns": root.get("xmlns", "")})
        row = Element("mrow")
        row.extend(children)
        piece.append(row)
        found.append(piece)
    return found


def _cut(row: Element) -> Iterator[list[Element]]:
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
