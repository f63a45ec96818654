"""Synthetic data with a column of ones, and with a quadratic form."""

from __future__ import annotations

import inspect
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import get_class, instantiate

from noiseworks.errors import UserError

CONF = Path(__file__).parents[2] / "conf"


def node(name: str, *overrides: str):
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("config", overrides=["seed=3", f"data={name}", *overrides]).data


@pytest.mark.parametrize("name", ["synthetic", "ones", "quadratic"])
def test_keys_bind_to_the_class(name):
    arguments = {key: value for key, value in node(name).items() if key != "_target_"}
    assert inspect.signature(get_class(node(name)._target_)).bind(**arguments).arguments == arguments


def test_ones_are_the_synthetic_examples_and_ones():
    plain, ones = (instantiate(node(name)).examples(2) for name in ("synthetic", "ones"))
    assert ones.features == (*plain.features, "one")
    assert torch.equal(ones.X[:, :-1], plain.X)
    assert torch.equal(ones.X[:, -1], torch.ones(len(plain)))
    assert torch.equal(ones.y, plain.y)
    assert instantiate(node("ones")).shape().features == len(ones.features)


@pytest.mark.parametrize("rank", [0, 1, 2, 3, 5])
def test_the_form_has_its_rank_and_its_norm(rank):
    Q = instantiate(node("quadratic", "data.num_features=5", f"data.form_rank={rank}", "data.curvature=3")).Q
    torch.testing.assert_close(Q, Q.T)
    values = torch.linalg.eigvalsh(Q)
    expected = sorted((-1) ** k * 3 / math.sqrt(rank) for k in range(rank)) if rank else []
    np.testing.assert_allclose(values[values.abs() > 1e-12].numpy(), expected, rtol=1e-12)


def test_the_form_is_added_to_the_predictor():
    """Under the same noise: y - y of data=synthetic = x'Q x, of mean tr Q and variance 2 c^2."""
    settings = ["data.num_examples=20000", "data.num_features=3", "data.form_rank=3", "data.curvature=2"]
    data = instantiate(node("quadratic", *settings))
    added = data.examples(0).y - instantiate(node("synthetic", *settings[:2])).examples(0).y
    X = data.examples(0).X
    torch.testing.assert_close(added, torch.einsum("ni,ij,nj->n", X, data.Q, X))
    # The sd of the sample variance over 2 c^2 is at most sqrt((kurtosis - 1) / n) = sqrt(14 / n), as for one chi^2.
    assert abs(added.var().item() / 8 - 1) < 5 * math.sqrt(14 / 20000)
    assert abs(added.mean() - data.Q.trace()) < 5 * math.sqrt(8 / 20000)


def test_replicates_may_share_samples():
    data, own = (instantiate(node("quadratic", *more)) for more in (["data.samples=2"], []))
    assert torch.equal(data.examples(3).X, data.examples(1).X)
    assert torch.equal(data.examples(1).y, own.examples(1).y)
    assert not torch.equal(own.examples(3).y, own.examples(1).y)


@pytest.mark.parametrize("wrong", ["data.form_rank=3", "data.form_rank=-1", "data.samples=0"])
def test_impossible_forms_are_refused(wrong):
    with pytest.raises(Exception, match=wrong) as raised:
        instantiate(node("quadratic", wrong))
    assert isinstance(raised.value.__cause__ or raised.value, UserError)
