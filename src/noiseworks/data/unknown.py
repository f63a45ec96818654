"""What to say of a name that is not there."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches


def nearest(name: str, names: Sequence[str]) -> str:
    """'; did you mean X?' if one of `names` resembles `name`, capitals aside, else an empty string."""
    plain = {other.casefold(): other for other in reversed(names)}
    close = get_close_matches(name.casefold(), list(plain), n=1, cutoff=0.5)
    return f"; did you mean {plain[close[0]]}?" if close else ""


def listing(names: Sequence[str], limit: int = 10) -> str:
    shown = ", ".join(names[:limit])
    return shown if len(names) <= limit else f"{shown} ... ({len(names)} in all)"


def not_there(said: str, name: str, names: Sequence[str]) -> str:
    """Two sentences: `said`, with the nearest of `names`, and what there is."""
    close = nearest(name, names)
    return f"{said}{close or '.'} There are {listing(names)}."
