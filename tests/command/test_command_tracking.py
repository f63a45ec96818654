"""Where runs go: nowhere, to another SQLite file, to an MLflow server."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts

from command_line import MUTE, QUIET, environment, output_folder, runs

SHORT = [QUIET, "trainer.max_epochs=2", "tracking.figures=false"]
FILES = {"coefficients.json", "metrics.json", "config.yaml"}


def test_untracked_runs_do_not_import_mlflow(tmp_path):
    code = (
        "import sys; from noiseworks.cli import main; main();"
        "print('\\nmlflow' if any(name.split('.')[0] == 'mlflow' for name in sys.modules) else '\\nlight')"
    )
    command = [sys.executable, "-c", code, *MUTE, "trainer.max_epochs=2"]
    done = subprocess.run(command, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=True)
    assert done.stdout.endswith("\nlight\n")
    assert done.stderr == ""
    assert "MLflow" not in done.stdout
    assert {path.name for path in output_folder(tmp_path).iterdir()} >= FILES
    assert {path.name for path in tmp_path.iterdir()} == {"outputs"}


def test_another_sqlite_file(command, tmp_path):
    (tmp_path / "here").mkdir()
    elsewhere = tmp_path / "there" / "deep"
    store = f"sqlite:///{elsewhere / 'mlflow.db'}"
    command(tmp_path / "here", *SHORT, MLFLOW_TRACKING_URI=store).succeeded()
    assert not (tmp_path / "here" / "mlflow.db").exists()
    (run,) = runs(elsewhere)
    assert run.info.status == "FINISHED"
    assert run.info.artifact_uri.startswith((elsewhere / "mlartifacts").as_uri())


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("server")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    stores = [
        "--backend-store-uri",
        f"sqlite:///{folder / 'server.db'}",
        "--artifacts-destination",
        str(folder / "kept"),
    ]
    where = ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    with (folder / "log").open("w") as log:
        command = [sys.executable, "-m", "mlflow", "server", *stores, *where]
        process = subprocess.Popen(
            command, cwd=folder, env=environment(), stdout=log, stderr=log, start_new_session=True
        )
    try:
        for _ in range(600):
            time.sleep(0.1)
            try:
                with urllib.request.urlopen(f"{address}/health", timeout=1):
                    break
            except OSError:
                assert process.poll() is None, (folder / "log").read_text()
        yield address
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


def test_a_server_takes_runs_artifacts_and_models(command, server, tmp_path):
    result = command(tmp_path, *SHORT, "optimizer=exact", MLFLOW_TRACKING_URI=server).succeeded()
    assert server in result.out
    assert {path.name for path in tmp_path.iterdir()} == {"outputs"}
    client = MlflowClient(server)
    (run,) = client.search_runs([client.get_experiment_by_name("default").experiment_id])
    assert run.info.status == "FINISHED"
    assert "train/nll" in run.data.metrics
    there = Path(download_artifacts(run_id=run.info.run_id, tracking_uri=server))
    for name in FILES:
        assert (there / name).read_bytes() == (output_folder(tmp_path) / name).read_bytes()
    assert json.loads((there / "coefficients.json").read_text())["noise"] == "gaussian"
    assert len(run.outputs.model_outputs) == 1


def test_a_server_that_is_not_there(command, tmp_path):
    """A mistake of the user's: named, and not after minutes of trying."""
    address = "http://127.0.0.1:9"
    quick = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
    result = command(tmp_path, *SHORT, MLFLOW_TRACKING_URI=address, **quick)
    assert result.status != 0
    assert "127.0.0.1" in result.err
