"""`hydra/sweeper=grid`, where Hydra discovers it."""

from hydra.core.config_store import ConfigStore

from hydra_members import grid


class GridSweeper(grid.Grid):
    pass


ConfigStore.instance().store(group="hydra/sweeper", name="grid", node=grid.GridConf, provider="noiseworks")
