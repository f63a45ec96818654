"""Begin a study, or go on with the one of the same name."""

import hashlib
import json
import logging
import os
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import optuna
from hydra.errors import HydraException
from omegaconf import DictConfig
from optuna.storages import BaseStorage, InMemoryStorage

from hydra_members.protocol import changed_input, other_versions
from hydra_members.resume import work_in
from hydra_members.search.sampler import fresh_seed
from hydra_members.storage import alone

log = logging.getLogger(__name__)

CONFIRMS_FROM = 1_000_000  # jobs from this number on are no trials
ABOUT = "sweep"  # the study's user attribute that holds what is below


@dataclass
class About:
    """What the processes that work on a study have in common."""

    id: str  # another one for another study of the same name
    asked: str  # a hash of what it searches, and with what
    seed: int
    folders: list[str]  # in which it works: another one where those before are not to be seen
    sessions: int = 0  # how often somebody has begun to work on it
    inputs: dict[str, str] = field(default_factory=dict)  # see SweepTask
    versions: dict[str, str] = field(default_factory=dict)


@dataclass
class StudyRequest:
    """What is asked for."""

    name: str | None
    directions: list[str]
    asked: str
    seed: int | None
    resume: bool
    inputs: dict[str, str]
    versions: dict[str, str]


def open_study(
    request: StudyRequest, storage: BaseStorage, place: str, config: DictConfig
) -> tuple[optuna.Study, About, Path]:
    """The study, what is known of it, and the folder in which it works."""
    name = request.name or f"{config.hydra.job.name}-{request.asked[:8]}"
    if isinstance(storage, InMemoryStorage):
        request = replace(request, name=name, resume=True)
    folder = Path(str(config.hydra.sweep.dir)).absolute()
    with alone(place, name):
        study = _create_or_load(name, request, storage)
        about = _about(study, request, folder)
        begun = next((Path(each) for each in about.folders if _holds(Path(each)) == about.id), folder)
        if begun != folder:
            work_in(config, begun)
            folder = begun
        folder.mkdir(parents=True, exist_ok=True)
        held = _holds(folder)
        if held not in (None, about.id) and not isinstance(storage, InMemoryStorage):
            raise HydraException(
                f"hydra.sweep.dir={folder} holds the jobs of another study; name another folder, or remove it."
            )
        _write(folder, study, about)
    return study, about, folder


def _create_or_load(name: str, request: StudyRequest, storage: BaseStorage) -> optuna.Study:
    names = {summary.study_name for summary in storage.get_all_studies()}
    if not request.resume and name in names:
        if request.name is not None:
            raise HydraException(
                f"hydra.sweeper.study_name={name} is there already, and hydra.sweeper.resume=false does not go on with"
                f" it; name another study."
            )
        name = next(new for k in range(2, len(names) + 3) if (new := f"{name}-{k}") not in names)
    directions: Any = request.directions
    study = optuna.create_study(study_name=name, storage=storage, directions=directions, load_if_exists=True)
    there = [direction.name.lower() for direction in study.directions]
    if there != request.directions:
        raise HydraException(
            f"hydra.sweeper.direction={_said(request.directions)}, but the study {name} was begun with {_said(there)};"
            f" say that, or name another study with hydra.sweeper.study_name=..."
        )
    return study


def _said(directions: Sequence[str]) -> str:
    return directions[0] if len(directions) == 1 else f"[{','.join(directions)}]"


def _about(study: optuna.Study, request: StudyRequest, folder: Path) -> About:
    kept = study.user_attrs.get(ABOUT)
    if kept is None:
        seed = fresh_seed() if request.seed is None else request.seed
        about = About(uuid.uuid4().hex, request.asked, seed, [str(folder)], 0, request.inputs, request.versions)
    else:
        about = About(**kept)
        _compare(study.study_name, about, request)
        about.sessions += 1
        if not any(_holds(Path(each)) == about.id for each in about.folders):
            about.folders.append(str(folder))
        if about.asked != request.asked:
            log.warning(
                f"The study {study.study_name} was begun with another space, sampler or configuration; its trials are"
                f" kept, and new ones follow what is asked for now. Another hydra.sweeper.study_name begins afresh."
            )
    study.set_user_attr(ABOUT, vars(about))
    return about


def _compare(name: str, about: About, request: StudyRequest) -> None:
    """Other data are another question; other versions are told."""
    changed = changed_input(about.inputs, request.inputs)
    if changed is not None and about.inputs:
        raise HydraException(
            f"hydra.sweeper.study_name={name} has trials on other data: {changed}. Another name begins afresh; without"
            " one other data are another study."
        )
    if others := other_versions(about.versions, request.versions):
        log.warning(f"The study {name} was begun with {', '.join(others)}")


def _holds(folder: Path) -> str | None:
    """The id of the study that works in this folder."""
    with suppress(OSError, ValueError):
        return str(json.loads((folder / "study.json").read_text())["id"])
    return None


def _write(folder: Path, study: optuna.Study, about: About) -> None:
    directions = [direction.name.lower() for direction in study.directions]
    facts = {"name": study.study_name, "id": about.id, "directions": directions, "confirms_from": CONFIRMS_FROM}
    fresh = folder / f".study.json.{os.getpid()}"
    fresh.write_text(json.dumps(facts))
    os.replace(fresh, folder / "study.json")


def digest(*parts: Any) -> str:
    """Of containers as they are written, references unresolved: a date in a folder's name makes no other request."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()
