"""How far one has to walk through src/ to follow a run: files entered, in order, and steps back.

    python scripts/walk.py config [--in CHECKOUT]   # a default run of one epoch
    python scripts/walk.py rows [--in CHECKOUT]     # the exact answer for a CSV of 200 rows

With the interpreter of that checkout. A file is entered by a call of a function in it (not by its import, nor by what
its import calls); the caller is the nearest frame in src/, so that what Hydra instantiates is called by who asked it.
A step back is a call into a file that was entered before, from another file; each pair of files counts once, however
often a loop repeats it.

config: all files from the command until MLflow has the run's parameters, and beside it those only whose functions are
given the configuration: among the arguments, or one level below, is a DictConfig, a dict of all groups, or an object
of a class that a `_target_` of conf/ names. rows: files whose functions are given the rows until coefficients.json is
opened for writing: among the arguments, or at most two levels below (attributes of objects of src/, values of dicts,
items of lists), is the path, or an array, tensor or Arrow column of 200 or 1 x 200 rows.
"""

from __future__ import annotations

import argparse
import inspect
import os
import random
import re
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, NamedTuple

ROWS, BELOW, SHOWN = 200, {"config": 1, "rows": 2}, 30  # of a list, so many items are looked at
GROUPS = {"data", "noise", "model", "optimizer", "trainer", "tracking"}


class Call(NamedTuple):
    file: str
    caller: str
    level: int | None  # how deep among the arguments it was found


class Walk:
    """The calls of functions in src/ while `until` has not come."""

    def __init__(self, src: Path, below: int, wanted: Callable[[Any], bool], until: str) -> None:
        self.src, self.below, self.wanted, self.until = f"{src}{os.sep}", below, wanted, until
        self.calls: list[Call] = []
        self.files: dict[CodeType, str] = {}
        self.busy = self.ended = False

    def file(self, code: CodeType) -> str:
        """Below src/; "" of other code. Code of a module or class body has no optimized names."""
        if code not in self.files:
            ours = code.co_filename.startswith(self.src)
            self.files[code] = code.co_filename.removeprefix(self.src) if ours else ""
        return self.files[code]

    def __call__(self, frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        if self.busy or self.ended or event != "call":
            return
        self.ended = code.co_name == self.until and f"{os.sep}mlflow{os.sep}" in code.co_filename
        if not self.file(code) or not code.co_flags & inspect.CO_OPTIMIZED:
            return
        back = frame.f_back
        while back is not None and not self.file(back.f_code):
            back = back.f_back
        if back is not None and not back.f_code.co_flags & inspect.CO_OPTIMIZED:
            return  # an import
        self.busy = True
        try:
            given = [frame.f_locals[name] for name in self.arguments(code) if name in frame.f_locals]
            levels = (level for level in range(self.below + 1) if any(self.holds(each, level) for each in given))
            caller = self.file(back.f_code) if back is not None else ""
            self.calls.append(Call(self.file(code), caller, next(levels, None)))
        finally:
            self.busy = False

    @staticmethod
    def arguments(code: CodeType) -> tuple[str, ...]:
        stars = bool(code.co_flags & inspect.CO_VARARGS) + bool(code.co_flags & inspect.CO_VARKEYWORDS)
        return code.co_varnames[: code.co_argcount + code.co_kwonlyargcount + stars]

    def holds(self, value: Any, level: int) -> bool:
        return self.wanted(value) or (level > 0 and any(self.holds(each, level - 1) for each in self.inside(value)))

    def inside(self, value: Any) -> Iterator[Any]:
        if isinstance(value, dict):
            yield from list(value.values())
        elif isinstance(value, (list, tuple)):
            yield from value[:SHOWN]
        elif str(getattr(sys.modules.get(type(value).__module__), "__file__", "")).startswith(self.src):
            yield from list(getattr(value, "__dict__", {}).values())


def print_walk(name: str, calls: list[Call], listed: bool = True) -> None:
    order = dict.fromkeys(call.file for call in calls)
    entered, back = set[str](), set[tuple[str, str]]()
    for call in calls:
        if call.caller not in ("", call.file) and call.file in entered:
            back.add((call.caller, call.file))
        entered.add(call.file)
    print(f"\n{name}: {len(order)} files, {len(back)} steps back, {len(calls)} calls")
    for number, file in enumerate(order if listed else (), 1):
        print(f"  {number:3} {file}")


def is_configuration(conf: Path) -> Callable[[Any], bool]:
    targets = {name for path in conf.rglob("*.yaml") for name in re.findall(r"_target_: (\S+)", path.read_text())}
    named = {(name.split(".")[0], name.split(".")[-1]) for name in targets}

    def test(value: Any) -> bool:
        if isinstance(value, dict):
            return value.keys() >= GROUPS
        kinds = [(kind.__module__.split(".")[0], kind.__name__) for kind in type(value).__mro__]
        return ("omegaconf", "Container") in kinds or any(kind in named for kind in kinds)

    return test


def are_rows(path: str) -> Callable[[Any], bool]:
    def test(value: Any) -> bool:
        if isinstance(value, (str, Path)):
            return str(value) == path
        if type(value).__module__.split(".")[0] not in ("numpy", "torch", "pyarrow"):
            return False
        shape = getattr(value, "shape", ())
        shape = tuple(shape) if isinstance(shape, tuple) else ()  # of a class it is a descriptor
        shape = shape or ((len(value),) if "Array" in type(value).__name__ else ())
        return shape[:1] == (ROWS,) or shape[:2] == (1, ROWS)

    return test


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("config", "rows"))
    parser.add_argument("--in", dest="checkout", type=Path, default=Path(__file__).parents[1])
    given = parser.parse_args()
    checkout, folder = given.checkout.absolute(), Path(tempfile.mkdtemp(prefix="walk-"))
    os.chdir(folder)
    arguments, wanted, until = ["trainer.max_epochs=1"], is_configuration(checkout / "conf"), "log_batch"
    if given.what == "rows":
        draw, table = random.Random(1), folder / "table.csv"
        rows = [[draw.gauss(0, 1) for _ in "aby"] for _ in range(ROWS)]
        table.write_text("a,b,y\n" + "".join(f"{a},{b},{a - b + e}\n" for a, b, e in rows))
        arguments = ["optimizer=exact", "data=table", f"data.path={table}", "data.target=y"]
        wanted, until = are_rows(str(table)), ""
    walk = Walk(checkout / "src", BELOW[given.what], wanted, until)
    whole = Walk(checkout / "src", -1, wanted, "")

    def both(frame: FrameType, event: str, value: Any) -> None:
        walk(frame, event, value)
        whole(frame, event, value)

    def is_written(event: str, values: tuple[Any, ...]) -> None:
        if given.what == "rows" and event == "open" and str(values[0]).endswith("coefficients.json"):
            walk.ended = True

    sys.argv = ["noiseworks", "trainer.progress_bar=false", *arguments]
    sys.addaudithook(is_written)
    from noiseworks.cli import main as command

    threading.setprofile(both)
    sys.setprofile(both)
    try:
        command()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    if not walk.ended:
        raise SystemExit("the end of the walk did not come")
    if given.what == "config":
        print_walk("configuration, from the command to MLflow's parameters", walk.calls)
    for level in range(BELOW[given.what] + 1):
        calls = [call for call in walk.calls if call.level is not None and call.level <= level]
        print_walk(f"given the {given.what}, at most {level} levels deep", calls, level == BELOW[given.what])
    print_walk("the whole run", whole.calls)


if __name__ == "__main__":
    main()
