"""A report's pages in headless Chromium: what a reader would stumble over."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urldefrag

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
WINDOWS = [(width, scheme) for width in (1280, 360) for scheme in ("light", "dark")]
SCRIPT = Path(__file__).with_name("report_page.js").read_text()


@contextmanager
def browser() -> Iterator[Any]:
    """Debian's Chromium, driven by Playwright; without one of the two the test is skipped."""
    api = pytest.importorskip("playwright.sync_api", reason="the pages are read by Playwright (the extra dev)")
    if CHROMIUM is None:
        pytest.skip("there is no Chromium (Debian's package chromium)")
    with api.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            yield started
        finally:
            started.close()


def problems(started: Any, folder: Path, windows: Sequence[tuple[int, str]]) -> list[str]:
    """Of all pages of the report, wide and narrow, light and dark, and printed."""
    return [found for page in sorted(folder.glob("*.html")) for found in _of_page(started, page, windows)]


def _of_page(started: Any, path: Path, windows: Sequence[tuple[int, str]]) -> Iterator[str]:
    for width, scheme in windows:
        context = started.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
        page = context.new_page()
        said: list[str] = []
        page.on("console", lambda message, said=said: said.append(f"console: {message.text}"))
        page.on("pageerror", lambda error, said=said: said.append(f"error: {error}"))
        page.on("request", lambda request, said=said: said.extend(_foreign(request.url)))
        page.on("requestfailed", lambda request, said=said: said.append(f"not found: {request.url}"))
        page.goto(path.as_uri())
        found = page.evaluate(SCRIPT)
        links = _broken(found["links"]) if (width, scheme) == windows[0] else []
        page.emulate_media(media="print")
        printed = page.evaluate("printProblems()")
        yield from (f"{path.name} {width} {scheme}: {text}" for text in [*said, *found["problems"], *links, *printed])
        context.close()


def _foreign(url: str) -> list[str]:
    return [] if url.startswith("file:") else [f"request: {url}"]


def _broken(links: list[str]) -> list[str]:
    """Links to files that are not there, or to a place that is not in them."""
    broken = []
    for link in links:
        address, anchor = urldefrag(link)
        if not address.startswith("file:"):
            continue
        target = Path(unquote(address.removeprefix("file://")))
        if not target.is_file() or (anchor and f'id="{unquote(anchor)}"' not in target.read_text()):
            broken.append(f"broken link: {link}")
    return broken
