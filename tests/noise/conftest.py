"""Every noise model of conf/noise: a new YAML there runs through all tests of this folder unasked."""

from dataclasses import replace
from pathlib import Path

import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from noiseworks.noise.poisson import LINKS

torch.set_num_threads(1)  # the workers of pytest-xdist share the cores already; threads of both would fight
CONF = Path(__file__).parents[2] / "conf" / "noise"
SCALES = (0.3, 1.0, 2.5)


def shipped():
    """As the YAML says, scale unset; Poisson once for each link, quantiles also at other levels."""
    models = {}
    for path in sorted(CONF.glob("*.yaml")):
        noise = instantiate(OmegaConf.load(path))
        assert noise.name == path.stem
        if hasattr(noise, "link"):
            models |= {f"{noise.name}-{link}": replace(noise, link=link) for link in LINKS}
        elif hasattr(noise, "scale_estimator"):  # the robust ones: test_noise_huber_scale.py
            models[noise.name] = replace(noise, scale_estimator="likelihood")
        else:
            models[noise.name] = noise
        if hasattr(noise, "tau"):
            models |= {f"{noise.name}-{tau}": replace(noise, tau=tau) for tau in (0.1, 0.75)}
    return models


SHIPPED = shipped()
WITH_SCALE = {f"{k}-{s:g}": noise.with_scale(s) for k, noise in SHIPPED.items() if noise.scale_name for s in SCALES}
CASES = {
    "shipped": SHIPPED,
    "noise": SHIPPED | WITH_SCALE,
    "scaled": {k: noise for k, noise in SHIPPED.items() if noise.scale_name},
    "location_scale": {k: noise for k, noise in SHIPPED.items() if noise.location_scale},
    "additive": {k: noise for k, noise in (SHIPPED | WITH_SCALE).items() if noise.location_scale},
}


def pytest_generate_tests(metafunc):
    for argument, models in CASES.items():
        if argument in metafunc.fixturenames:
            metafunc.parametrize(argument, list(models.values()), ids=list(models))
