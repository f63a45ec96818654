"""Text in columns."""

from __future__ import annotations

from collections.abc import Sequence


def layout(rows: Sequence[Sequence[str]]) -> str:
    """Columns aligned: names to the left, numbers to the right, a line under the header."""
    width = [max(len(row[i]) for row in rows if i < len(row)) for i in range(len(rows[0]))]
    rule = ["-" * (sum(width) + 2 * (len(width) - 1))]
    lines = [[(str.rjust if i else str.ljust)(cell, width[i]) for i, cell in enumerate(row)] for row in rows]
    return "\n".join("  " + "  ".join(line) for line in [lines[0], rule, *lines[1:]])
