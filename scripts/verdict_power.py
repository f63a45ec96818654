"""How often true claims are confirmed and controls caught, over fresh seeds: experiments/power.json, for the report.

    python scripts/verdict_power.py --seeds 10 [--only 5 T4] [--workers 2] [--out experiments/power.json]

Everything is run once a seed, into a store of its own (--folder, else a temporary one). Exercises that measure time
are left out: their claims do not depend on a seed. A miss is a claim that does not agree, or a control that does not
differ.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from noiseworks.exercises.command import Experiment, run_all
from noiseworks.study.claim import Claim
from noiseworks.study.exercise import Exercise, exercises
from noiseworks.study.intervals import proportion
from noiseworks.study.runs import Runs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first", type=int, default=1001, help="the first seed")
    parser.add_argument("--only", nargs="*", default=[], metavar="EX")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="where the runs go; kept")
    parser.add_argument("--out", type=Path, default=Path("experiments/power.json"))
    args = parser.parse_args()
    args.out = args.out.absolute()
    chosen = [exercise for exercise in exercises(args.only) if not exercise.alone]
    seeds = range(args.first, args.first + args.seeds)
    with tempfile.TemporaryDirectory(prefix="noiseworks-") as temporary:
        folder = (args.folder or Path(temporary)).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        os.chdir(folder)
        verdicts = [pair for seed in seeds for pair in judged(chosen, seed, args.workers)]
    found = {"seeds": list(seeds), "exercises": [exercise.number for exercise in chosen]}
    found |= {"rates": [rate(kind, verdicts) for kind in ("claim", "control")], "misses": misses(verdicts)}
    args.out.write_text(json.dumps(found, indent=2) + "\n")
    print(json.dumps(found, indent=2))


def judged(chosen: list[Exercise], seed: int, workers: int) -> list[tuple[int, Claim]]:
    """(seed, claim) of everything, run with this seed."""
    started = time.monotonic()
    todo = [Experiment(n, o) for exercise in chosen for n, o in exercise.overrides(smoke=False, seed=seed).items()]
    for done in run_all(todo, Path("logs") / str(seed), workers):
        if done.status:
            raise SystemExit(f"{done.experiment.name} failed; see {done.log}:\n{done.log.read_text()[-2000:]}")
    runs = Runs({n: o for exercise in chosen for n, o in exercise.overrides(smoke=False, seed=seed).items()})
    found = [(seed, claim) for exercise in chosen for claim in exercise.claims(runs)]
    wrong = [claim for _, claim in found if not claim.as_hoped]
    print(f"seed {seed}: {len(wrong)} of {len(found)} missed, {time.monotonic() - started:.0f} s", flush=True)
    for claim in wrong:
        print(f"  {claim.kind} {claim.exercise} {claim.verdict}: {claim.claim}; {claim.found}, {claim.theory} +- "
              f"{claim.margin}", flush=True)  # fmt: skip
    return found


def rate(kind: str, verdicts: list[tuple[int, Claim]]) -> dict[str, Any]:
    """How many came out as they should, with the 99 % interval of the rate (Wilson's)."""
    hoped = [claim.as_hoped for _, claim in verdicts if claim.kind == kind]
    found = proportion(hoped)
    return {"kind": kind, "count": len(hoped), "as_hoped": sum(hoped), "rate": found.estimate, "lo": found.lo,
            "hi": found.hi}  # fmt: skip


def misses(verdicts: list[tuple[int, Claim]]) -> list[dict[str, Any]]:
    counts = Counter((c.exercise, c.kind, c.claim, c.verdict) for _, c in verdicts if not c.as_hoped)
    keys = ("exercise", "kind", "claim", "verdict")
    return [{**dict(zip(keys, key)), "times": times} for key, times in counts.items()]


if __name__ == "__main__":
    main()
