"""Where the files lie that people edit: those of the installed package, or those at the top of a checkout."""

from __future__ import annotations

from pathlib import Path

HERE = Path(__file__).parent


def conf_folder() -> Path:
    return HERE / "conf" if (HERE / "conf").is_dir() else HERE.parents[1] / "conf"


def experiments_folder() -> Path:
    return conf_folder().parent / "experiments"
