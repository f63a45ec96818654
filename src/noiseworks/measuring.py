"""The sources that the result of a measure(cfg) depends on, beside the library's own."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

CONCLUDING = {"runs", "run", "sweep", "axes"}  # parameters of functions that read runs
DECLARED = {"EXPERIMENTS", "ARGUMENTS", "ALONE"}  # what to type and when, not what to measure
FOLLOWED = ("noiseworks_experiments.parts.", "noiseworks.study.")  # modules that only exercises use


def measuring(exercise: ModuleType) -> list[str]:
    """Definitions and constants of the module that defines `measure`, and of those that it imports from parts/ and
    study/, but for what concludes something from runs."""
    measure = getattr(exercise, "measure", None)
    home = exercise.__name__ if measure is None else measure.__module__
    return [text for name in sorted(_reached(home)) for text in _texts(name)]


def _reached(home: str) -> set[str]:
    found, waiting = {home}, [home]
    while waiting:
        more = set(_imported(waiting.pop())) - found
        found |= more
        waiting += more
    return found


def _imported(name: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(_source(name))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith(FOLLOWED))
        elif isinstance(node, ast.ImportFrom) and f"{node.module}.".startswith(FOLLOWED):
            yield from _modules(str(node.module), [alias.name for alias in node.names])


def _modules(origin: str, names: list[str]) -> Iterator[str]:
    """Of `from origin import names`: a name may be that of a module, or of something in one."""
    found = [name for name in names if isinstance(getattr(import_module(origin), name, None), ModuleType)]
    yield from (f"{origin}.{name}" for name in found)
    if f"{origin}." not in FOLLOWED and len(found) < len(names):
        yield origin


def _source(name: str) -> str:
    return Path(str(import_module(name).__file__)).read_text()


def _texts(name: str) -> Iterator[str]:
    source = _source(name)
    lines = source.splitlines()
    for node in ast.parse(source).body:
        if isinstance(node, (ast.Import, ast.ImportFrom, ast.Expr)) or _concludes(node) or _declares(node):
            continue
        decorators = node.decorator_list if isinstance(node, (ast.FunctionDef, ast.ClassDef)) else []
        first = min([node.lineno, *(decorator.lineno for decorator in decorators)])
        yield "\n".join(lines[first - 1 : node.end_lineno])


def _concludes(node: ast.stmt) -> bool:
    return isinstance(node, ast.FunctionDef) and bool(CONCLUDING & {each.arg for each in node.args.args})


def _declares(node: ast.stmt) -> bool:
    return isinstance(node, ast.Assign) and bool(DECLARED & {t.id for t in node.targets if isinstance(t, ast.Name)})
