"""The report as a run in MLflow."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Metric

from noiseworks.report.exercise_page import Study, Tally
from noiseworks.tracking.store import experiment_id

EXPERIMENT = "report"


def track(studies: Sequence[Study], files: Sequence[Path], uri: str, note: str = "") -> str:
    """The id of a new run, which has the files and how many claims and controls there are and came out as they should,
    in all and of each exercise."""
    client = MlflowClient(uri)
    tags = {"note": note} if note else {}
    run = client.create_run(experiment_id(uri, EXPERIMENT), run_name="report", tags=tags)
    everything = Tally([claim for study in studies for claim in study.claims])
    tallies = {"": everything} | {f"{study.number}/": study.tally for study in studies}
    metrics = {f"{prefix}{name}": value for prefix, tally in tallies.items() for name, value in _counts(tally).items()}
    at = run.info.start_time
    client.log_batch(run.info.run_id, [Metric(name, value, at, 0) for name, value in metrics.items()])
    for file in files:
        client.log_artifact(run.info.run_id, str(file))
    client.set_terminated(run.info.run_id, "FINISHED")
    return str(run.info.run_id)


def _counts(tally: Tally) -> dict[str, int]:
    return {
        "claims": tally.count("claim"),
        "claims_agree": tally.as_hoped("claim"),
        "controls": tally.count("control"),
        "controls_caught": tally.as_hoped("control"),
    }
