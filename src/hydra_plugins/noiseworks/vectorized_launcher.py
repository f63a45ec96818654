"""`hydra/launcher=vectorized`, where Hydra discovers it."""

from hydra.core.config_store import ConfigStore

from hydra_members import launcher


class VectorizedLauncher(launcher.BatchLauncher):
    pass


ConfigStore.instance().store(
    group="hydra/launcher", name="vectorized", node=launcher.BatchLauncherConf, provider="noiseworks"
)
