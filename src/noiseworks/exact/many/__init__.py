"""K exact answers side by side on the leading axis."""

from noiseworks.exact.many.answers import Answers
from noiseworks.exact.many.problems import Problems
from noiseworks.exact.many.solve import solve_many, solved_many

__all__ = ["Answers", "Problems", "solve_many", "solved_many"]
