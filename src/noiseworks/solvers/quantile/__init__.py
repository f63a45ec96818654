"""Least absolute deviations and quantile regression: the linear programs behind Laplace noise."""
