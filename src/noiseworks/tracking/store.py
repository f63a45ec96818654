"""Opening an MLflow store, made safely if it is not there yet."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import sqlite3
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

from filelock import FileLock

from noiseworks.errors import UserError

SQLITE = "sqlite:///"


def local_database(uri: str) -> Path | None:
    """The file of an SQLite store; None for any other."""
    return Path(uri.removeprefix(SQLITE)).absolute() if uri.startswith(SQLITE) else None


def quieten() -> None:
    """MLflow logs every table it makes, shows a bar for every file, and reports its use to its makers: people did not
    ask for that. What the environment already says about the last two stays."""
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")  # where MLflow is not imported yet
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # two lines a run, and a request


def open_store(uri: str | None) -> str:
    """The tracking URI, after making sure that its store exists.

    MLflow sets up a fresh SQLite file without a lock, and two processes that do so at once leave it broken. Here one
    makes it under a lock in a file beside it, which then takes its name in one step.
    """
    uri = check_store(uri)
    database = local_database(uri)
    if database is not None and not _is_ready(database):
        database.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{database}.lock"):
            if not _is_ready(database):
                _create(database)
    return uri


def check_store(uri: str | None) -> str:
    """The tracking URI; refused where its store cannot be one. Nothing is made."""
    quieten()
    uri = uri or f"{SQLITE}{Path.cwd() / 'mlflow.db'}"
    database = local_database(uri)
    if uri.startswith("sqlite:") and database is None:
        raise UserError(f"tracking.uri={uri} is no SQLite address; it must look like sqlite:///mlflow.db.")
    if database is None:
        _check_server(uri)
    else:
        _is_ready(database)
    return uri


def _check_server(uri: str) -> None:
    """MLflow would try for minutes to reach a server that is not there."""
    address = urlsplit(uri)
    if address.scheme not in ("http", "https"):
        return
    try:
        port = address.port or {"http": 80, "https": 443}[address.scheme]
        socket.create_connection((address.hostname or "", port), timeout=5).close()
    except (OSError, ValueError) as error:
        raise UserError(f"tracking.uri={uri}: no MLflow server answers there ({error}).") from error


def _is_ready(database: Path) -> bool:
    """Whether it is there with MLflow's tables in it. A file with other tables is somebody's, and is left alone."""
    if not database.exists():
        return False
    try:
        with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
            tables = {name for (name,) in connection.execute("select name from sqlite_master where type = 'table'")}
    except sqlite3.DatabaseError as error:
        raise UserError(f"tracking.uri: {database} is no SQLite database ({error}).") from error
    if tables and "alembic_version" not in tables:
        raise UserError(f"tracking.uri: {database} holds other tables ({min(tables)}), not those of MLflow.")
    return bool(tables)


def _create(database: Path) -> None:
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    with tempfile.TemporaryDirectory(dir=database.parent, prefix=".mlflow-") as folder:
        fresh = Path(folder) / "fresh.db"
        store = SqlAlchemyStore(f"{SQLITE}{fresh}", (database.parent / "mlartifacts").as_uri())
        store.engine.dispose()
        os.replace(fresh, database)


def experiment_id(uri: str, name: str) -> str:
    """The id of the MLflow experiment `name`, made if need be; a local store keeps artifacts in mlartifacts/."""
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    database = local_database(uri)
    location = None if database is None else (database.parent / "mlartifacts" / name).as_uri()
    try:
        client = MlflowClient(uri)
        found = client.get_experiment_by_name(name)
    except MlflowException as error:  # an address it does not take, or a database of another version
        raise UserError(f"tracking.uri={uri}: {' '.join(str(error).splitlines()[:2])}") from error
    if found is None:
        try:
            kind = {"mlflow.experimentKind": "custom_model_development"}  # the UI then opens on training runs
            return str(client.create_experiment(name, artifact_location=location, tags=kind))
        except MlflowException:  # another process was faster
            found = client.get_experiment_by_name(name)
            if found is None:
                raise
    if found.lifecycle_stage == "deleted":
        raise UserError(
            f"The MLflow experiment '{name}' was deleted in {uri}; restore it there, or choose another store "
            "with MLFLOW_TRACKING_URI."
        )
    return str(found.experiment_id)
