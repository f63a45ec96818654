"""For configurations that name the class of hydra-optuna-sweeper, which cannot be installed beside Optuna 5."""

from hydra_plugins.noiseworks import optuna_sweeper


class OptunaSweeper(optuna_sweeper.OptunaSweeper):
    pass
