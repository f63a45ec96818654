"""How often true claims are confirmed, controls caught and wrong theories told apart, over fresh seeds:
experiments/power.json, for the report.

    python scripts/verdict_power.py --seeds 10 --theories [--only 5 T4] [--again] [--workers 2] [--folder power]

Everything is run once a seed, which takes as long as `make exercises`, with its runs and verdicts in --folder: started
again it goes on where it was stopped. --only runs these exercises; --again forgets what was found for them. Exercises
that measure time are left out: their claims do not depend on a seed. A miss is a claim that does not agree, or a
control that does not differ. --theories: the wrong theories beside the claims are judged, too (each must differ), and
listed are claims that have an interval and no wrong theory, and those whose estimates, pooled over the seeds, lie more
than 4 standard errors from their theory.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from noiseworks.exercises import Experiment, run_all
from noiseworks.studies.claims import Claim, proportion
from noiseworks.studies.exercise import Exercise, exercises
from noiseworks.studies.runs import Runs

JOURNAL = Path("verdicts.jsonl")  # a line for each seed and exercise; of two the later counts
OFF = 4.0  # standard errors
Verdicts = dict[tuple[int, str], list[dict[str, Any]]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first", type=int, default=1001, help="the first seed")
    parser.add_argument("--theories", action="store_true", help="judge the wrong theories, too")
    parser.add_argument("--only", nargs="*", default=[], metavar="EX")
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=Path("power"))
    parser.add_argument("--out", type=Path, default=Path("experiments/power.json"))
    args = parser.parse_args()
    out = args.out.absolute()
    chosen = [exercise for exercise in exercises(args.only) if not exercise.alone]
    args.folder.mkdir(parents=True, exist_ok=True)
    os.chdir(args.folder)
    found = read()
    for seed in range(args.first, args.first + args.seeds):
        todo = [exercise for exercise in chosen if args.again or (seed, exercise.number) not in found]
        if todo:
            found |= judged(todo, seed, args.workers)
            out.write_text(json.dumps(summary(found, args.theories), indent=2) + "\n")
    print(json.dumps(summary(found, args.theories), indent=2))


def read() -> Verdicts:
    lines = [json.loads(line) for line in JOURNAL.read_text().splitlines()] if JOURNAL.exists() else []
    return {(line["seed"], line["exercise"]): line["verdicts"] for line in lines}


def judged(chosen: list[Exercise], seed: int, workers: int) -> Verdicts:
    """Run with this seed, and written down."""
    started = time.monotonic()
    todo = [Experiment(n, o) for exercise in chosen for n, o in exercise.overrides(smoke=False, seed=seed).items()]
    for done in run_all(todo, Path("logs") / str(seed), workers):
        if done.status:
            raise SystemExit(f"{done.experiment.name} failed; see {done.log}:\n{done.log.read_text()[-2000:]}")
    runs = Runs({n: o for exercise in chosen for n, o in exercise.overrides(smoke=False, seed=seed).items()})
    found = {
        (seed, exercise.number): [
            row(each) for claim in exercise.claims(runs) for each in (claim, *claim.wrong_theories)
        ]
        for exercise in chosen
    }
    with JOURNAL.open("a") as journal:
        for (_, number), verdicts in found.items():
            journal.write(json.dumps({"seed": seed, "exercise": number, "verdicts": verdicts}) + "\n")
    count, wrong = sum(map(len, found.values())), list(missed(found.values()))
    print(f"seed {seed}: {len(wrong)} of {count} missed, {time.monotonic() - started:.0f} s", flush=True)
    for miss in wrong:
        print("  {kind} {exercise} {verdict}: {claim}; {found}".format(**miss), flush=True)
    return found


def row(claim: Claim) -> dict[str, Any]:
    found = f"{claim.found}, {claim.theory} +- {claim.margin}"
    kept = {key: getattr(claim, key) for key in ("exercise", "kind", "claim", "verdict")}
    numbers = {"away": claim.found.estimate - claim.theory, "standard_error": claim.found.standard_error}
    return {**kept, **numbers, "as_hoped": bool(claim.as_hoped), "theories": len(claim.wrong), "found": found}


def missed(verdicts: Iterable[list[dict[str, Any]]]) -> Iterable[dict[str, Any]]:
    return (row for rows in verdicts for row in rows if not row["as_hoped"])


def summary(found: Verdicts, theories: bool) -> dict[str, Any]:
    """Over the seeds for which there is everything."""
    numbers = {number for _, number in found}
    seeds = sorted(seed for seed in {seed for seed, _ in found} if all((seed, number) in found for number in numbers))
    rows = [row for (seed, _), rows in found.items() if seed in seeds for row in rows]
    kinds = ("claim", "control", *(["wrong theory"] if theories else []))
    keys = ("exercise", "kind", "claim", "verdict")
    counts = Counter(tuple(row[key] for key in keys) for row in missed([rows]) if row["kind"] in kinds)
    facts = {
        "seeds": seeds,
        "exercises": sorted(numbers),
        "rates": [rate(kind, [row for row in rows if row["kind"] == kind]) for kind in kinds],
        "misses": [{**dict(zip(keys, miss)), "times": times} for miss, times in counts.items()],
    }
    return facts | ({"without_wrong_theory": bare(rows), "off_theory": off_theory(rows)} if theories else {})


def rate(kind: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """How many came out as they should, with the 99 % interval of the rate (Wilson's), and how many the other way."""
    hoped, other = [row["as_hoped"] for row in rows], "differs" if kind == "claim" else "agrees"
    facts = {"kind": kind, "count": len(hoped), "as_hoped": sum(hoped)}
    facts["opposite"] = sum(row["verdict"] == other for row in rows)
    if len(hoped) < 2:
        return facts
    found = proportion(hoped)
    return facts | {"rate": found.estimate, "lo": found.lo, "hi": found.hi}


def bare(rows: list[dict[str, Any]]) -> list[str]:
    """Claims with an interval for which no wrong theory is written down."""
    found = (row for row in rows if row["kind"] == "claim" and row["standard_error"] > 0 and not row["theories"])
    return list(dict.fromkeys(f"{row['exercise']} {row['claim']}" for row in found))


def off_theory(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Claims whose mean distance to theory is more than OFF times its standard error, sqrt(sum of squares) / seeds."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        if row["kind"] == "claim" and row["standard_error"] > 0:
            groups.setdefault((row["exercise"], row["claim"]), []).append(row)
    away = {
        key: sum(row["away"] for row in group) / math.hypot(*(row["standard_error"] for row in group))
        for key, group in groups.items()
    }
    return [{"exercise": key[0], "claim": key[1], "errors": z} for key, z in away.items() if abs(z) > OFF]


if __name__ == "__main__":
    main()
