"""Numbers at equal distances, as decimals: floats that are added up say 0.30000000000000004."""

from collections.abc import Iterator
from fractions import Fraction
from math import ulp


def decimal(value: float) -> Fraction:
    """The number that was typed, where `value` is the float next to it."""
    return Fraction(repr(value))


class Steps:
    """start + k step for k < count, each rounded to a float once."""

    def __init__(self, start: float, step: float, count: int) -> None:
        self.start, self.step, self.count = decimal(start), decimal(step), count

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[float]:
        return map(self.at, range(self.count))

    def at(self, k: int) -> float:
        return float(self.start + k * self.step)

    def nearest(self, value: float) -> float:
        k = round((Fraction(value) - self.start) / self.step)
        return self.at(min(max(k, 0), self.count - 1))

    def ends(self) -> tuple[float, float]:
        one, other = self.at(0), self.at(self.count - 1)
        return min(one, other), max(one, other)

    def are_apart(self) -> bool:
        """Whether Optuna, which is told the ends and the step as floats, can count from one end to the other."""
        if self.count == 1:
            return True
        low, high = self.ends()
        last = self.start + (self.count - 1) * self.step
        return decimal(self.at(self.count - 1)) == last and abs(self.step) > ulp(max(-low, high))
