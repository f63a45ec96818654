"""The files of experiments/ as modules: noiseworks_experiments.parts.ex8_measure."""

from noiseworks.paths import experiments_folder

__path__ = [str(experiments_folder())]
