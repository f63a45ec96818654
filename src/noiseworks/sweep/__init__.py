"""Sweeps: the jobs of `-m` trained side by side, recorded one by one, and summed up."""
