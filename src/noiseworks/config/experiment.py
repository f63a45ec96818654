"""The file of an experiment, experiments/<exercise>_*.py for conf/experiment/<exercise>_*.yaml, and a digest of what
its runs depend on."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import sys
from collections.abc import Iterator
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml

from noiseworks.errors import UserError
from noiseworks.paths import conf_folder, experiments_folder

CONCLUDING = {"runs", "run", "sweep", "axes"}  # parameters of functions that read runs
DECLARED = {"EXPERIMENTS", "ARGUMENTS", "ALONE"}  # what to type and when, not what to measure
FOLLOWED = ("noiseworks_experiments.parts.", "noiseworks.studies.")  # modules that only exercises use


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


def exercise_files() -> list[Path]:
    """One for each exercise, in the order of the chapter: the exercises, then the text."""
    return sorted(experiments_folder().glob("[a-z]*_*.py"), key=lambda path: (path.name[0], _number(path)))


def _number(path: Path) -> int:
    return int("".join(filter(str.isdigit, path.stem.partition("_")[0])) or 0)


def load(path: Path) -> ModuleType:
    """As a module of the package noiseworks_experiments, whose parts/ it may import."""
    name = f"noiseworks_experiments.{path.stem}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules[name]


def file_of(experiment: str) -> Path:
    """ex4_gram belongs to the exercise whose file begins with ex4_; a name that is not shipped to the file of the
    working folder that it names or begins with (mine_pi.py, of mine_pi and mine_pi_fine), else to the only mine_*.py.
    """
    prefix = experiment.partition("_")[0]
    if shipped := sorted(experiments_folder().glob(f"{prefix}_*.py")):
        return shipped[0]
    own = Path.cwd() / "experiments"
    named = [path for path in own.glob("*.py") if f"{experiment}_".startswith(f"{path.stem}_")]
    if named:
        return max(named, key=lambda path: len(path.stem))
    if len(alike := list(own.glob(f"{prefix}_*.py"))) == 1:
        return alike[0]
    raise UserError(
        f"task=measure: there is no file experiments/{prefix}_*.py, which would define measure(cfg) for "
        f"experiment={experiment}."
    )


def arguments(experiment: str) -> list[str]:
    """What has to be typed beside its name: ARGUMENTS of the exercise's file, such as the sweeper of a search."""
    try:
        module = load(file_of(experiment))
    except UserError:  # it belongs to no exercise
        return []
    return list(getattr(module, "ARGUMENTS", {}).get(experiment, []))


def configuration(experiment: str) -> dict[str, Any] | None:
    """As conf/experiment/ has it, not composed; None for an experiment that is not there."""
    path = conf_folder() / "experiment" / f"{experiment}.yaml"
    return (yaml.safe_load(path.read_text()) or {}) if path.exists() else None


@lru_cache
def digest(experiment: str) -> str | None:
    """Of what its runs depend on: the configuration, without comments, what has to be typed beside the name, and where
    the task is to measure the sources of measure(cfg). None for an experiment that is not in conf/."""
    content = configuration(experiment)
    if content is None:
        return None
    parts = [repr(content)]
    if _of_an_exercise(experiment):
        parts += arguments(experiment)
    if content.get("task") == "measure":
        parts += measuring(load(file_of(experiment)))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _of_an_exercise(experiment: str) -> bool:
    return experiment.partition("_")[0] in {path.stem.partition("_")[0] for path in exercise_files()}
