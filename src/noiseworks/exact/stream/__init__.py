"""Exact answers from rows that are too many to be held: a few passes over blocks of them."""

from noiseworks.exact.stream.gathered import Gathered
from noiseworks.exact.stream.rows import Pass, Sketch
from noiseworks.exact.stream.solve import refuse_noise, solve_stream
from noiseworks.exact.stream.triangle import Triangle

__all__ = ["Gathered", "Pass", "Sketch", "Triangle", "refuse_noise", "solve_stream"]
