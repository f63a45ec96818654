"""Random streams: one for each use and replicate, so that a change in one does not move the others."""

from __future__ import annotations

import numpy as np
import torch

STREAMS = ("data", "noise", "split", "init", "order", "bootstrap", "input")


def generator(seed: int, stream: str, replicate: int = 0, device: torch.device | str = "cpu") -> torch.Generator:
    """A torch.Generator seeded by numpy's SeedSequence(entropy=seed, spawn_key=(stream, replicate))."""
    sequence = np.random.SeedSequence(entropy=seed, spawn_key=(STREAMS.index(stream), replicate))
    return torch.Generator(device).manual_seed(int(sequence.generate_state(1, np.uint64)[0]))
