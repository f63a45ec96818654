"""For configurations that name the class of hydra-optuna-sweeper, which cannot be installed beside Optuna 5.

Hydra knows a plugin by the module that it says it is of, hence a class of its own, without a definition of its own.
"""

from hydra_members import study_sweeper

OptunaSweeper = type("OptunaSweeper", (study_sweeper.StudySweeper,), {"__module__": __name__})
