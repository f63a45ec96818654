"""optimization_results.yaml, as hydra-optuna-sweeper writes it, and what the log says at the end."""

import logging
from pathlib import Path
from typing import Any

import optuna
from omegaconf import OmegaConf
from optuna.trial import FrozenTrial

from hydra_plugins.noiseworks.search._space import Space

log = logging.getLogger(__name__)


def best_trials(study: optuna.Study) -> list[FrozenTrial]:
    """The best one; of several objectives those that no other beats in all; none if no trial is complete, or none
    keeps to the constraints."""
    if len(study.directions) > 1:
        return sorted(study.best_trials, key=lambda trial: trial.values)
    try:
        return [study.best_trial]
    except ValueError:
        return []


def write_results(study: optuna.Study, space: Space, folder: Path) -> None:
    best = [(space.exact(trial.params), trial.values) for trial in best_trials(study)]
    results: dict[str, Any] = {"name": "optuna"}
    if len(study.directions) > 1:
        results["solutions"] = [{"params": params, "values": values} for params, values in best]
        log.info(f"Number of Pareto solutions: {len(best)}")
        for params, values in best:
            log.info(f"    Values: {values}, Params: {params}")
    elif best:
        params, [value] = best[0]
        results |= {"best_params": params, "best_value": value}
        log.info(f"Best parameters: {params}")
        log.info(f"Best value: {value}")
    OmegaConf.save(OmegaConf.create(results), folder / "optimization_results.yaml")
