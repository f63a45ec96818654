"""A table larger than memory, fitted exactly: problem, passes over its rows, and what a run reports."""

from noiseworks.streamed.problem import StreamedProblem, stream_problem
from noiseworks.streamed.solve import check_streamable, solve_streamed, streamed_outcome

__all__ = ["StreamedProblem", "check_streamable", "solve_streamed", "stream_problem", "streamed_outcome"]
