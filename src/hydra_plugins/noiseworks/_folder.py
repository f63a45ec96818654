"""The folder of a sweep that goes on with an earlier one: the earlier one's."""

from pathlib import Path

from hydra.core.override_parser.types import Quote, QuotedString
from omegaconf import DictConfig, open_dict, read_write


def work_in(config: DictConfig, folder: Path) -> None:
    """For this process and for all jobs, in whatever process they run: what they compose is told, too."""
    line = f"hydra.sweep.dir={QuotedString(str(folder), Quote.single).with_quotes()}"
    with read_write(config.hydra), open_dict(config.hydra):
        config.hydra.sweep.dir = str(folder)
        config.hydra.overrides.hydra.append(line)
