"""How many small mistakes the tests find: draws mutants of each area of src/, runs the tests of the area on each.

    python scripts/mutants.py draw FILE [--in CHECKOUT]           # N mutants for each area, written as JSON
    python scripts/mutants.py run FILE [--in CHECKOUT] [--areas noise,exact]   # goes on where it was stopped
    python scripts/mutants.py apply FILE --to OTHER.json [--in CHECKOUT]   # the same mutants where the code has moved
    python scripts/mutants.py table FILE

`--in` is a checkout with a .venv, by default this one; its src/ must be clean, is changed while tests run, and is set
back. Run it in a copy. A mutant counts as missed where the area's tests pass, or have not failed before the limit.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import copy
import importlib.util
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

SEED, COUNT, WORKERS = 31, 10, "2"
LIMIT, PATIENCE = 120.0, 4  # seconds: of processor time for each worker; how much longer by the clock, under load
SHORT = 20  # characters of a line that says little
SOURCES = {  # under src/; "!" takes away
    "noise": "noiseworks/noise/**/*.py",
    "exact": "noiseworks/{solvers,chunked}/**/*.py noiseworks/exact.py",
    "inference": "noiseworks/inference/**/*.py noiseworks/exact_inference.py "
    "noiseworks/regressor/{likelihood_ratio,summary}.py",
    "trainer": "noiseworks/train/**/*.py noiseworks/{fit,outcome,metrics}.py",
    "sweep": "noiseworks/{runs,sweep,search,tracking}/**/*.py noiseworks/config/*.py noiseworks/cli.py",
    "plugins": "hydra_members/**/*.py",
}
TESTS = {  # under tests/, in this order: the fast and near ones first, about 100 s in all; "!" takes away
    "noise": "noise/test_*.py inference/test_inference_density.py "
    "solvers/test_solvers_{properties,likelihood_fit,quantile_tau,batched}.py train/test_train_gradient.py",
    "exact": "solvers/test_solvers_{least_squares,least_absolute,naive,ridge,batched,l*,*}.py "
    "!solvers/test_solvers_bad_input.py chunked/test_chunked_{equal,refusals}.py solvers/test_solvers_bad_input.py "
    "chunked/test_chunked_command.py",
    "inference": "inference/test_*.py regressor/test_regressor_{hypotheses,reference,errors}.py "
    "chunked/test_chunked_equal.py",
    "trainer": "solvers/test_solvers_ridge.py train/test_train_{gradient,together,rows,streams,schedule}.py "
    "model/test_*.py inference/test_inference_{exact,batched}.py runs/test_*.py "
    "train/test_train_{optimizers,hyperparameters,quantile,seeds,metrics,members,ends}.py",
    "sweep": "search/test_search_text.py sweep/test_sweep_{best,results}.py runs/test_*.py config/test_*.py "
    "tracking/test_tracking_bulk.py command/test_command_{measure,model}.py search/test_search_end.py "
    "command/test_command_default_run.py",
    "plugins": "hydra_members/search/test_study_{rows,conditions,by_slot,space,journal_file,values,trials}.py "
    "hydra_members/test_members_{job_return,commands}.py hydra_members/search/test_study_failures.py",
}
LEFT_OUT = ["noise/test_noise_reference.py::test_negative_binomial[0.0333]"]  # fails unmutated, by float32's rounding
Mutant = dict[str, Any]
SWAPPED: list[tuple[type[ast.AST], type[ast.AST]]] = [
    *((ast.Lt, ast.LtE), (ast.Gt, ast.GtE), (ast.Eq, ast.NotEq), (ast.Is, ast.IsNot), (ast.In, ast.NotIn)),
    *((ast.And, ast.Or), (ast.Add, ast.Sub), (ast.Mult, ast.Div)),
]
OPERATORS = dict(SWAPPED) | {b: a for a, b in SWAPPED}
PAIRS = [("min", "max"), ("amin", "amax"), ("argmin", "argmax"), ("minimum", "maximum"), ("clamp_min", "clamp_max")]
OPPOSITE = dict(PAIRS) | {b: a for a, b in PAIRS}
SPEAKS = {"print", "warn", "debug", "info", "warning", "error", "note"}  # what is only said


def of(globs: str, folder: Path) -> list[Path]:
    """Files in the order of the globs, {a,b} as in a shell."""
    found: dict[Path, None] = {}
    for glob in globs.split():
        head, *several = re.split(r"[{}]", glob.removeprefix("!"))
        for each in several[0].split(",") if several else [""]:
            for path in sorted(folder.glob(head + each + (several[1] if several else ""))):
                found.pop(path, None) if glob.startswith("!") else found.setdefault(path)
    return list(found)


def is_text(node: ast.expr) -> bool:
    return isinstance(node, (ast.JoinedStr, ast.List, ast.Tuple)) or (
        isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


def name_of(call: ast.expr) -> str:
    function = call.func if isinstance(call, ast.Call) else call
    return getattr(function, "attr", getattr(function, "id", ""))


def changed(node: ast.AST, **fields: Any) -> ast.AST:
    new = copy.copy(node)
    for name, value in fields.items():
        setattr(new, name, value)
    return new


def expressions(node: ast.AST) -> Iterator[ast.AST]:
    """What may stand in the place of an expression."""
    match node:
        case ast.Compare(ops=[op]) if type(op) in OPERATORS:
            yield changed(node, ops=[OPERATORS[type(op)]()])
        case ast.BinOp(left, op, right) if type(op) in OPERATORS and not (is_text(left) or is_text(right)):
            yield changed(node, op=OPERATORS[type(op)]())
        case ast.BoolOp(op):
            yield changed(node, op=OPERATORS[type(op)]())
        case ast.UnaryOp(ast.Not(), operand) | ast.UnaryOp(ast.USub(), ast.expr() as operand):
            if not isinstance(operand, ast.Constant):
                yield operand
        case ast.Constant(bool() as value):
            yield ast.Constant(not value)
        case ast.Constant(int() as value):
            yield ast.Constant(value + 1 if value < 10 else 2 * value)
        case ast.Constant(float() as value):
            yield ast.Constant(2 * value if value else 1.0)
        case ast.Name(name) if name in OPPOSITE:
            yield changed(node, id=OPPOSITE[name])
        case ast.Attribute(attr=name) if name in OPPOSITE:
            yield changed(node, attr=OPPOSITE[name])
        case ast.Call(keywords=keywords):
            for keyword in keywords:
                if keyword.arg is not None:
                    yield changed(node, keywords=[other for other in keywords if other is not keyword])


def statements(node: ast.AST, known: set[str], alone: bool) -> Iterator[tuple[ast.AST, str]]:
    """What may go or change of a statement, and its new text. A name's first assignment stays: any test misses it."""
    match node:
        case ast.Return(value=ast.expr() as value) if not (isinstance(value, ast.Constant) and value.value is None):
            yield node, "return None"
        case ast.If(body=body, test=test) if name_of(test) != "TYPE_CHECKING" and not isinstance(body[0], ast.Pass):
            yield ast.Module(body, []), "pass"
        case ast.Raise() | ast.AugAssign() if not alone:
            yield node, "pass"
        case ast.Expr(ast.Call() as call) if name_of(call) not in SPEAKS and not alone:
            yield node, "pass"
        case ast.Assign(targets=[target]) if not alone:
            if isinstance(target, (ast.Attribute, ast.Subscript)) or (getattr(target, "id", None) in known):
                yield node, "pass"


def places(tree: ast.Module) -> Iterator[tuple[str, Any, str]]:
    """(qualified name, node, new text) of all that may be mutated."""

    def walk(node: ast.AST, where: str, known: set[str], alone: bool = False) -> Iterator[tuple[str, ast.AST, str]]:
        match node:
            case ast.FunctionDef() | ast.ClassDef() | ast.AsyncFunctionDef():
                inner, names = f"{where}.{node.name}".lstrip("."), set[str]()
                if not isinstance(node, ast.ClassDef):
                    names.update(each.arg for each in ast.walk(node.args) if isinstance(each, ast.arg))
                    yield from walk(node.args, inner, names)
                for child in node.body:
                    yield from walk(child, inner, names)
                return
            case ast.Import() | ast.ImportFrom() | ast.JoinedStr() | ast.Assert() | ast.Expr(ast.Constant()):
                return
            case ast.If(test=test) if name_of(test) == "TYPE_CHECKING":
                return
            case ast.Call() if name_of(node) in SPEAKS:
                return
            case ast.expr():
                yield from ((where, node, ast.unparse(ast.fix_missing_locations(new))) for new in expressions(node))
            case ast.stmt():
                yield from ((where, what, text) for what, text in statements(node, known, alone))
        if isinstance(node, ast.Raise):  # the rest is its message
            return
        if isinstance(node, (ast.Assign, ast.AnnAssign)):
            parts = (part for part in ast.walk(node) if isinstance(part, ast.Name))
            known.update(part.id for part in parts if isinstance(part.ctx, ast.Store))
        for field, value in ast.iter_fields(node):
            inside = set(known) if field in ("body", "orelse", "handlers") else known  # a branch's names are its own
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST) and field != "annotation":
                    lone = isinstance(node, ast.If) and field == "body" and len(value) == 1
                    yield from walk(child, where, inside, lone)

    yield from walk(tree, "", set())


def mutants(path: Path, src: Path) -> Iterator[Mutant]:
    text = path.read_bytes()
    rows = text.decode().splitlines()
    tree, offsets = ast.parse(text), [0]
    for row in text.splitlines(keepends=True):
        offsets.append(offsets[-1] + len(row))
    for where, node, new in places(tree):
        first, last = (node.body[0], node.body[-1]) if isinstance(node, ast.Module) else (node, node)
        begin, end = first.lineno - 1, last.end_lineno or 0
        if end - begin > (3 if isinstance(node, (ast.Module, ast.stmt)) else 1):
            continue
        at = offsets[begin] + first.col_offset, offsets[end - 1] + (last.end_col_offset or 0)
        after = text[: at[0]] + new.encode() + text[at[1] :]
        try:
            if ast.dump(ast.parse(after)) == ast.dump(tree):
                continue
        except SyntaxError:  # a keyword of a match, a default that others follow
            continue
        kept = after.decode().splitlines()
        mutated = kept[begin : len(kept) - (len(rows) - end)]
        around = {"before": _near(rows, begin - 1, -1), "after": _near(rows, end, 1)}
        file = str(path.relative_to(src))
        yield {"file": file, "line": begin + 1, "in": where, "original": rows[begin:end], "mutated": mutated, **around}


def bare(row: str) -> str:
    """Without indentation and comment."""
    return "" if row.strip().startswith("#") else row.strip().split("  # ")[0].strip()


def _near(rows: Sequence[str], at: int, step: int) -> str:
    """The next line that is not empty."""
    while 0 <= at < len(rows) and not bare(rows[at]):
        at += step
    return bare(rows[at]) if 0 <= at < len(rows) else ""


def draw(src: Path) -> list[Mutant]:
    """Lines that can be mutated are all as likely, then what is done to the line."""
    found = []
    for area, globs in SOURCES.items():
        lines = defaultdict(list)
        for path in of(globs, src):
            for mutant in mutants(path, src):
                lines[mutant["file"], mutant["line"]].append(mutant)
        rng = random.Random(f"{SEED} {area}")
        print(f"{area}: {sum(map(len, lines.values()))} mutants of {len(lines)} lines")
        found += [{"area": area, **rng.choice(lines[at])} for at in sorted(rng.sample(sorted(lines), COUNT))]
    return found


def locate(mutant: Mutant, src: Path) -> tuple[Path, int] | None:
    """Where its lines stand now, and the first one's index: in a function of its name, else where there is only one."""
    wanted, found = [bare(row) for row in mutant["original"]], []
    for path in sorted(src.rglob("*.py")):
        rows = path.read_text().splitlines()
        lines = [bare(row) for row in rows]
        starts = [i for i in range(len(lines)) if lines[i : i + len(wanted)] == wanted]
        names = _names(ast.parse("\n".join(rows)), len(rows)) if starts else []
        for i in starts:
            around = (_near(rows, i - 1, -1) == mutant["before"]) + (_near(rows, i + len(wanted), 1) == mutant["after"])
            same = str(path.relative_to(src)) == mutant["file"]
            exact = same and i + 1 == mutant["line"]
            named = names[i].split(".")[-1] == mutant["in"].split(".")[-1]
            found.append(((named + around, named, names[i] == mutant["in"], same, exact), path, i))
    found.sort(key=lambda one: one[0], reverse=True)
    least = 2 if len("".join(wanted)) < SHORT else 0  # `return None` stands everywhere
    if not found or found[0][0][0] < least or (len(found) > 1 and (found[0][0] == found[1][0] or found[0][0][0] == 0)):
        return None
    return found[0][1:]


def _names(tree: ast.AST, count: int) -> list[str]:
    """The qualified name of what each line stands in."""
    names = [""] * count

    def walk(node: ast.AST, where: str) -> None:
        for child in ast.iter_child_nodes(node):
            inner = where
            if isinstance(child, (ast.FunctionDef, ast.ClassDef, ast.AsyncFunctionDef)):
                inner = f"{where}.{child.name}".lstrip(".")
                names[child.lineno - 1 : child.end_lineno] = [inner] * ((child.end_lineno or 0) - child.lineno + 1)
            walk(child, inner)

    walk(tree, "")
    return names


def write(path: Path, text: bytes, when: int | None = None) -> None:
    """Bytecode is known by second and size only."""
    path.write_bytes(text)
    Path(importlib.util.cache_from_source(str(path))).unlink(missing_ok=True)
    if when is not None:
        os.utime(path, ns=(when, when))


def run_on(mutant: Mutant, checkout: Path) -> dict[str, Any]:
    place = locate(mutant, checkout / "src")
    if place is None:
        return {"outcome": "gone"}
    path, at = place
    text, when = path.read_bytes(), path.stat().st_mtime_ns
    rows = text.decode().splitlines()
    indent = [row[: len(row) - len(row.lstrip())] for row in (rows[at], mutant["original"][0])]
    moved = [indent[0] + row.removeprefix(indent[1]) for row in mutant["mutated"]]
    rows[at : at + len(mutant["original"])] = moved
    try:
        write(path, ("\n".join(rows) + "\n").encode())
        return {**run_tests(mutant["area"], checkout), "at": f"{path.relative_to(checkout)}:{at + 1}"}
    finally:
        write(path, text, when)


def run_tests(area: str, checkout: Path, limit: float = LIMIT) -> dict[str, Any]:
    """What came of the area's tests: the first failure ends them."""
    room = Path(tempfile.mkdtemp(prefix="mutant-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None))
    mark = f"MUTANT={uuid.uuid4()}"
    environment = os.environ | {"MUTANT": mark[7:], "PYTEST_DEBUG_TEMPROOT": str(room), "TMPDIR": str(room)}
    tests = [str(path.relative_to(checkout)) for path in of(TESTS[area], checkout / "tests")]
    left_out = [f"--deselect=tests/{name}" for name in LEFT_OUT]
    options = ["-x", "-vv", "-n", WORKERS, "--dist", "load", "--maxschedchunk", "4", "--tb", "no", *left_out]
    python = str(checkout / ".venv/bin/python")
    command = ["nice", "-n", "5", python, "-m", "pytest", "-p", "no:cacheprovider", *options, *tests]
    started, said, spent, polls, failed = time.monotonic(), room / "said", 0.0, 0, list[str]()
    with said.open("w") as log:
        process = subprocess.Popen(command, cwd=checkout, env=environment, stdout=log, stderr=log)
    try:
        while process.poll() is None and not failed:
            time.sleep(1)
            polls += 1  # not the clock: all of it may be stopped for a while
            failed = [line for line in said.read_text().splitlines() if " FAILED " in line or " ERROR " in line]
            spent = max(spent, sum(_seconds(each) for each in _marked(mark)))
            if spent > int(WORKERS) * limit or polls > PATIENCE * limit:
                break
        status = process.poll()
    finally:
        for _ in range(3):
            for each in _marked(mark):
                with contextlib.suppress(OSError):
                    os.kill(int(each.name), signal.SIGKILL)
            time.sleep(0.2)
        process.wait()
        last = said.read_text()[-300:].strip().splitlines()[-1:]
        shutil.rmtree(room, ignore_errors=True)
    if not failed and status is not None and status < 0:
        raise SystemExit(f"somebody has ended the tests (signal {-status})")
    outcome = "caught" if failed or status else "limit" if status is None else "missed"
    took = {"seconds": round(time.monotonic() - started), "of processor": round(spent)}
    return {"outcome": outcome, **took, "said": failed[0].partition("%] ")[2] if failed else last}


def _marked(mark: str) -> Iterator[Path]:
    """All processes that tests have started, and what these have: servers have sessions of their own."""
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended, or is somebody else's
            if mark.encode() in (process / "environ").read_bytes():
                yield process


def _seconds(process: Path) -> float:
    """Of processor time, with that of children that have ended."""
    try:
        fields = (process / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def run(file: Path, checkout: Path, areas: Sequence[str]) -> None:
    if subprocess.run(["git", "status", "--porcelain", "src"], cwd=checkout, capture_output=True).stdout:
        raise SystemExit(f"{checkout}/src is not as committed")
    content = json.loads(file.read_text())
    for area in areas:
        drawn = [mutant for mutant in content["mutants"] if mutant["area"] == area and "outcome" not in mutant]
        if drawn and area not in content["unmutated"]:
            content["unmutated"][area] = done = run_tests(area, checkout, 2 * LIMIT)
            print(f"{area}, unmutated: {done}", flush=True)
            if done["outcome"] != "missed":
                raise SystemExit("the tests must pass on what is committed")
        for mutant in drawn:
            mutant |= run_on(mutant, checkout)
            file.write_text(json.dumps(content, indent=1, ensure_ascii=False))
            print(area, mutant["outcome"], mutant.get("seconds"), shown(mutant), mutant.get("said", ""), flush=True)


def shown(mutant: Mutant) -> str:
    old, new = (" / ".join(row.strip() for row in mutant[key]) for key in ("original", "mutated"))
    return f"{mutant['file']}:{mutant['line']} {old} -> {new}"


def table(content: dict[str, Any]) -> None:
    kinds = ("caught", "missed", "limit", "gone")
    print(f"{'':12}" + "".join(f"{kind:>8}" for kind in kinds))
    for area in [*SOURCES, "all"]:
        found = Counter(one.get("outcome") for one in content["mutants"] if area in (one["area"], "all"))
        print(f"{area:12}" + "".join(f"{found[kind]:8}" for kind in kinds))
    for one in content["mutants"]:
        if one.get("outcome") in kinds[1:]:
            print(f"{one['outcome']}: {shown(one)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("draw", "run", "apply", "table"))
    parser.add_argument("file", type=Path)
    parser.add_argument("--to", type=Path, help="where the results of `apply` go")
    parser.add_argument("--in", dest="checkout", type=Path, default=Path(__file__).parents[1])
    parser.add_argument("--areas", type=lambda text: text.split(","), default=list(SOURCES))
    given = parser.parse_args()
    file, checkout = given.file, given.checkout.absolute()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what was changed is set back
    if given.what == "draw":
        content = {"unmutated": {}, "mutants": draw(checkout / "src")}
        file.write_text(json.dumps(content, indent=1, ensure_ascii=False))
    elif given.what == "apply":
        kept = ("area", "file", "line", "in", "original", "mutated", "before", "after")
        drawn = [{key: one[key] for key in kept} for one in json.loads(file.read_text())["mutants"]]
        file = given.to
        if not file.exists():
            file.write_text(json.dumps({"unmutated": {}, "mutants": drawn}))
    if given.what in ("run", "apply"):
        run(file, checkout, given.areas)
    if given.what != "draw":
        table(json.loads(file.read_text()))


if __name__ == "__main__":
    main()
