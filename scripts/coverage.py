"""How often the intervals of exact answers hold the truth: the two tables of docs/coverage.md.

    python scripts/coverage.py [--quick] [--only formulas|bootstrap|predictions] [--workers 2] [--out docs/coverage.md]

Many data sets of a case are fitted side by side, about 20 minutes in all on two free cores. The tables are written
after each line of work, and a run that was stopped goes on. --quick: a tenth of the data sets.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import coverage_coefficients as coefficients
import coverage_predictions as predictions
import torch

Work = coefficients.Work | predictions.Work


@dataclass(frozen=True)
class Table:
    """A table of the document: the marks around it, its header, and the key of the work that a line comes from, in the
    order of the table."""

    begin: str
    end: str
    header: list[str]
    key: Callable[[list[str]], tuple[object, ...]]

    def of(self, line: str) -> tuple[object, ...]:
        return self.key([cell.strip() for cell in line.split("|")[1:-1]])

    def read(self, path: Path | None) -> list[str]:
        text = path.read_text() if path is not None and path.exists() else ""
        return text.partition(self.begin)[2].partition(self.end)[0].splitlines()[len(self.header) :]

    def write(self, path: Path, lines: list[str]) -> None:
        """Between the two marks, so that what people wrote around the table stays."""
        before, _, rest = (path.read_text() if path.exists() else "").partition(self.begin)
        inside = "".join(line + "\n" for line in [*self.header, *lines])
        path.write_text(before + self.begin + inside + self.end + rest.partition(self.end)[2])


TABLES = {
    "coefficients": Table(
        "<!-- table -->\n", "<!-- end of table -->\n", coefficients.HEADER, coefficients.key_of_cells
    ),
    "predictions": Table(
        "<!-- predictions -->\n", "<!-- end of predictions -->\n", predictions.HEADER, predictions.key_of_cells
    ),
}


def plan(tenth: bool, only: str | None) -> list[Work]:
    works: list[Work] = [*coefficients.plan(), *predictions.plan()]
    return [work.tenth() if tenth else work for work in works if only in (None, work.kind)]


def timed(work: Work) -> tuple[Work, list[str], float]:
    torch.set_num_threads(1)
    started = time.process_time()
    return work, work.lines(), time.process_time() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the data sets")
    parser.add_argument("--only", choices=["formulas", "bootstrap", "predictions"])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument(
        "--out", type=Path, help="the tables between the marks of this file; what they have is not run again"
    )
    args = parser.parse_args()
    started = time.perf_counter()
    lines = {name: table.read(args.out) for name, table in TABLES.items()}
    known = {(name, table.of(line)) for name, table in TABLES.items() for line in lines[name]}
    todo = [work for work in plan(args.quick, args.only) if (work.table, work.key) not in known]
    with ProcessPoolExecutor(args.workers) as pool:
        for work, new, seconds in pool.map(timed, todo):
            table = TABLES[work.table]
            lines[work.table] = sorted([*lines[work.table], *new], key=table.of)
            print(f"{seconds:6.1f} s  {work}", flush=True)
            if args.out:
                table.write(args.out, lines[work.table])
    for name, table in TABLES.items():
        print("\n".join(["", *table.header, *lines[name]]))
    print(f"{time.perf_counter() - started:.0f} s on {args.workers} processes")


if __name__ == "__main__":
    main()
