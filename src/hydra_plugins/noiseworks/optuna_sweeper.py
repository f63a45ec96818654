"""`hydra/sweeper=optuna`, where Hydra discovers it."""

from hydra_members import study_sweeper


class OptunaSweeper(study_sweeper.StudySweeper):
    pass


study_sweeper.register(provider="noiseworks")
