from __future__ import annotations

import pytest
from data_tables import table, write

from noiseworks.errors import UserError
from noiseworks.noise import Gaussian, LogNormal, NegativeBinomial, Poisson
from noiseworks.problem import check_target

COUNTS = [Poisson(), NegativeBinomial()]


@pytest.fixture
def examples(tmp_path):
    def make(*values: float, **settings):
        rows = "".join(f"{value},1,{i + 1}\n" for i, value in enumerate(values))
        return table(write(tmp_path / "t.csv", "sold,a,w\n" + rows), "sold", **settings).examples(0)

    return make


@pytest.mark.parametrize("noise", COUNTS, ids=lambda noise: noise.name)
def test_counts_refuse_fractions_unless_told_or_weighted(examples, noise):
    with pytest.raises(UserError) as caught:
        check_target(examples(1, 2, 2.000001, 0.5), noise, allow_fractions=False)
    for part in (f"{noise.name} noise", "column 'sold' is 2.000001 in row 3", "data.allow_fractions=true"):
        assert part in str(caught.value)
    check_target(examples(1, 2.5), noise, allow_fractions=True)
    check_target(examples(1, 2.5, weights="w"), noise, allow_fractions=False)
    check_target(examples(0, 3, 1e15), noise, allow_fractions=False)


@pytest.mark.parametrize("noise", COUNTS, ids=lambda noise: noise.name)
def test_the_support_is_checked_whatever_is_allowed(examples, noise):
    with pytest.raises(UserError, match=r"column 'sold' is -0\.5 in row 2"):
        check_target(examples(1, -0.5, weights="w"), noise, allow_fractions=True)


def test_densities_take_fractions(examples):
    check_target(examples(-1.5, 2.5), Gaussian(), allow_fractions=False)
    with pytest.raises(UserError, match=r"lognormal noise .*column 'sold' is 0 in row 2"):
        check_target(examples(1.5, 0), LogNormal(), allow_fractions=False)
