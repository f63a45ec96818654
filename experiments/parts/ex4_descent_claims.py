"""Claims of 4.4: where descent ends when X'X is singular, from zero and from elsewhere, and in which basis."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from noiseworks import studies as study
from noiseworks.studies import Claim, Runs, claim, control
from noiseworks_experiments.parts.ex4_runs import BASES, DECAY, LR, OPTIMIZERS, STEPS, null, null_path, way

SPAN = ["sgd", "lbfgs"]  # their steps are combinations of gradients
ROWS, COLUMNS = 5, 40  # of ex4_descent and ex4_bases
Array = NDArray[np.float64]


def descent_claims(runs: Runs) -> Iterator[Claim]:
    yield from ends(runs)
    yield from shares(runs)
    yield from bases(runs)
    yield from null_parts(runs)


def distance(runs: Runs, optimizer: str, start: float) -> Array:
    """To the answer of minimum norm (R,)."""
    return runs["ex4_descent"].one({"model.init_scale": start}, optimizer=optimizer).copies["param/error"]


def ends(runs: Runs) -> Iterator[Claim]:
    sentence = "distance of {} to the answer of minimum norm, 5 rows and 40 columns ({})"
    starts = [(claim, "minibatch_sgd", 0.0), *((control, o, 0.0) for o in ("adam", "adagrad"))]
    for judge, optimizer, start in (*starts, (control, "minibatch_sgd", 1.0)):
        far = distance(runs, optimizer, start)
        where, which = "zero" if start == 0 else "random starts", "largest" if judge is claim else "smallest"
        said = sentence.format(f"{OPTIMIZERS[optimizer]} from {where}", which)
        yield judge("4.4", said, 0.0, study.exactly(far.max() if judge is claim else far.min()), 1e-4)


def shares(runs: Runs) -> Iterator[Claim]:
    kept = study.mean(runs["ex4_bases"].one(stepper="sgd", start=1.0).copies["kept"])
    said = "squared distance of SGD's end from minimum norm, over |w_0|^2: the share that no row sees, (d - n) / d"
    wrong = {"all of it": 1.0, "n / d, the share that rows see": ROWS / COLUMNS}
    yield claim("4.4", said, 1 - ROWS / COLUMNS, kept, 0.055, wrong)
    fits = [runs["ex4_descent"].one({"model.init_scale": s}, optimizer="minibatch_sgd") for s in (0.0, 1.0)]
    fit = np.abs(fits[0].copies["train/rmse"] - fits[1].copies["train/rmse"]).max()
    said = "SGD from two starts, 5 rows and 40 columns: the weights {}"
    yield claim("4.1", said.format("fit equally well (largest difference of rmse)"), 0.0, study.exactly(fit), 1e-4)
    apart = np.linalg.norm(
        [fits[0].copies[f"coefficient/x{j}"] - fits[1].copies[f"coefficient/x{j}"] for j in range(COLUMNS)], axis=0
    )
    yield control("4.1", said.format("are the same (smallest distance)"), 0.0, study.exactly(apart.min()), 1e-4)


def extreme(runs: Runs, stepper: str, start: float, name: str) -> tuple[study.Interval, str]:
    """The largest over the data sets for an optimizer that stays in the span of the rows, else the smallest."""
    values = runs["ex4_bases"].one(stepper=stepper, start=start).copies[name]
    return (study.exactly(values.max()), "largest") if stepper in SPAN else (study.exactly(values.min()), "smallest")


def bases(runs: Runs) -> Iterator[Claim]:
    sentences = {
        (0.0, "turned"): "{} from zero ends at the same weights when the features are rotated ({} distance)",
        (0.0, "distance"): "{} from zero ends at minimum norm ({} distance)",
        (1.0, "null"): "{} from random starts does not move along directions that no row sees ({} move)",
    }
    for (start, name), sentence in sentences.items():
        for stepper, said in BASES.items():
            found, which = extreme(runs, stepper, start, name)
            judge = claim if stepper in SPAN else control
            yield judge("4.4", sentence.format(said, which), 0.0, found, 1e-4 if name != "null" else 1e-10)
    far = runs["ex4_bases"].one(stepper="lbfgs", start=1.0).copies["distance"].min()
    said = "LBFGS from random starts ends at minimum norm (smallest distance)"
    yield control("4.4", said, 0.0, study.exactly(far), 1e-4)
    misfit = max(runs["ex4_bases"].one(stepper=s, start=0.0).copies["misfit"].max() for s in ("sgd", "lbfgs", "adam"))
    said = "from zero the weights of SGD, LBFGS and Adam fit all rows alike (largest residual)"
    yield claim("4.4", said, 0.0, study.exactly(misfit), 1e-2)


def null_parts(runs: Runs) -> Iterator[Claim]:
    plain, decay, fresh = (null(way(runs, name)) for name in ("plain", "decay", "fresh"))
    said = "the null part {} in 400 steps of minibatch SGD with {} (largest deviation)"
    for name, judge, what in (
        ("plain", claim, "nothing else"),
        ("momentum", claim, "momentum"),
        ("fresh", control, "fresh noise"),
    ):
        path = null_path(way(runs, name))
        yield judge("4.4", said.format("does not move", what), 0.0, study.exactly(np.abs(path - path[0]).max()), 1e-10)
    for name, judge, part in (("weight decay", claim, decay), ("fresh noise", control, fresh)):
        left = np.abs(part / plain / (1 - LR * DECAY) ** STEPS - 1).max()
        yield judge("4.4", said.format("shrinks by 1 - lr decay a step", name), 0.0, study.exactly(left), 1e-6)
