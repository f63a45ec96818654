"""What latex2mathml leaves undone for browsers: MathML Core has no mathvariant but `normal`, relations are operators,
names of functions need their spaces, and accents sit close."""

from __future__ import annotations

import html
import unicodedata
from xml.etree.ElementTree import Element

# The first letters of the Unicode alphabets that stand for mathvariant: upper case, lower case, digit.
ALPHABETS = {
    "bold": (0x1D400, 0x1D41A, 0x1D7CE),
    "bold-italic": (0x1D468, 0x1D482, 0x1D7CE),
    "sans-serif": (0x1D5A0, 0x1D5BA, 0x1D7E2),
    "double-struck": (0x1D538, 0x1D552, 0x1D7D8),
}
GREEK = {"bold": 0x1D6C2, "bold-italic": 0x1D736}
ACCENTS = set("^~¯´`˙¨ˇ→―")
OPERATORS = {"Sm", "Ps", "Pe"}  # Unicode categories: mathematical symbols and brackets
LETTERS = set("∞∂∇")  # mathematical symbols that stand for a thing
TIGHT = set("/|‖.!…⋯′")  # operators that TeX sets without space
SIGNS = set("−±∓+")


def mend(root: Element) -> None:
    for element in root.iter():
        _plain(element)
        if element.tag == "mrow":
            _join(element)
    for element in root.iter():
        for child in [c for c in element if c.tag == "mo" and not c.text and not c.attrib]:
            element.remove(child)
        if element.tag in ("mover", "munder") and element[1].text in ACCENTS:
            element.set("accent" if element.tag == "mover" else "accentunder", "true")
        _space_names(element)
        _space_signs(element)


def _plain(element: Element) -> None:
    """Entities as characters, alphabets as their letters, relations as operators."""
    raw = element.text or ""
    text = html.unescape(raw)
    element.text = _letters(text, element.attrib.pop("mathvariant", ""), element) if text.strip() else element.text
    if element.tag == "mi" and raw != text and len(text) == 1 and text.isascii() and text.isalpha():
        element.set("mathvariant", "normal")  # \mathrm of one letter
    if element.tag == "mi" and len(text) == 1 and text not in LETTERS and unicodedata.category(text) in OPERATORS:
        element.tag, element.text = "mo", "∼" if text == "~" else text
        if unicodedata.category(text) in ("Ps", "Pe"):
            element.set("stretchy", "false")
    if element.tag in ("mi", "mo") and text in TIGHT and "fence" not in element.attrib:
        element.tag, element.attrib = "mo", {"lspace": "0", "rspace": "0", "stretchy": "false"}
    if element.tag == "mspace" and element.get("width") == "negativethinmathspace":
        element.set("width", "-0.167em")


def _letters(text: str, variant: str, element: Element) -> str:
    if variant == "normal":
        element.set("mathvariant", "normal")
    if variant not in ALPHABETS or len(text) != 1:
        return text
    upper, lower, digit = ALPHABETS[variant]
    for first, start in (("A", upper), ("a", lower), ("0", digit)):
        if text.isascii() and text.isalnum() and 0 <= ord(text) - ord(first) < (10 if first == "0" else 26):
            return chr(start + ord(text) - ord(first))
    if variant in GREEK and "α" <= text <= "ω":
        return chr(GREEK[variant] + ord(text) - ord("α"))
    return text


def _join(row: Element) -> None:
    """The letters of \\mathrm{KL} are one name; the comma of 1{,}000 takes no space."""
    if len(row) > 1 and all(child.tag == "mi" and child.get("mathvariant") == "normal" for child in row):
        name = Element("mi")
        name.text = "".join(child.text or "" for child in row)
        row[:] = [name]
    if len(row) == 1 and row[0].tag == "mo" and row[0].text == ",":
        row[0].attrib.update(lspace="0", rspace="0")


def _space_names(row: Element) -> None:
    """A thin space around the name of a function: not before its bracket, and not at the beginning."""
    children = list(row) if row.tag in ("math", "mrow", "mtd", "mstyle") else []
    for before, child, after in zip([None, *children[:-1]], children, [*children[1:], None]):
        name = _core(child)
        if name.tag not in ("mi", "mo") or not (name.text or "").isalpha() or len(name.text or "") < 2:
            continue
        name.tag = "mo"
        bracket = after is not None and _core(after).text in ("(", "[", "{", ")", "]")
        crowded = before is not None and _core(before).tag != "mo"
        name.attrib.update(form="prefix", lspace="0.17em" if crowded else "0", rspace="0" if bracket else "0.17em")


def _space_signs(row: Element) -> None:
    """The minus of = -x is a sign, not a difference."""
    for before, child in zip(list(row), list(row)[1:]):
        after_operator = before.tag == "mo" and before.text not in TIGHT and not _closes(before.text or " ")
        if after_operator and child.tag == "mo" and child.text in SIGNS:
            child.attrib.update(form="prefix", lspace="0", rspace="0")


def _closes(operator: str) -> bool:
    return unicodedata.category(operator[-1]) == "Pe"


def _core(element: Element) -> Element:
    """max of max_i."""
    while element.tag in ("msub", "msup", "msubsup", "munder", "mover", "munderover", "mrow") and len(element):
        element = element[0]
    return element
