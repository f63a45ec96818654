"""`hydra/sweeper=optuna`, where Hydra discovers it."""

from hydra_members import optuna_config, study_sweeper


class OptunaSweeper(study_sweeper.StudySweeper):
    pass


optuna_config.register(provider="noiseworks")
