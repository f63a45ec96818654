"""The files of experiments/ as modules: noiseworks_experiments.parts.ex8_measure."""

from noiseworks.experiment import experiments_folder

__path__ = [str(experiments_folder())]
