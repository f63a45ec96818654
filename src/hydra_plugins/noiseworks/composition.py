"""Hydra executes the modules of a plugin anew whenever it looks for plugins, but not those with an underscore.

So a class that may be pickled, or asked for with isinstance, is defined in one of the latter, once.
"""

from hydra_plugins.noiseworks._composition import Composer

__all__ = ["Composer"]
