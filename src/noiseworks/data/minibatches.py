"""Minibatches for K members, many at a time: what Lightning calls a batch is here a block of minibatches.

One Lightning step costs about 1.5 ms and one minibatch of a linear model 0.05 ms, so a block holds up to 256 of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import pytorch_lightning as pl
import torch
from torch import Tensor

from noiseworks.data.input_noise import FreshNoise
from noiseworks.streams import generator

BLOCK_STEPS, BLOCK_BYTES = 256, 16 * 2**20
XLA_STEPS = 8  # XLA compiles a block as one program, in a time that grows faster than its steps


class MinibatchBlock(NamedTuple):
    """S minibatches of B examples for K members: D (K, S, B, q), the others (K, S, B) or None."""

    D: Tensor
    y: Tensor
    offset: Tensor | None
    weights: Tensor | None


@dataclass
class TrainingRows:
    """Training rows of M data sets in units of the fit: D (M, n, q), the others (M, n) or None."""

    D: Tensor
    y: Tensor
    offset: Tensor | None
    weights: Tensor | None

    def to(self, device: torch.device) -> TrainingRows:
        offset = None if self.offset is None else self.offset.to(device)
        weights = None if self.weights is None else self.weights.to(device)
        return TrainingRows(self.D.to(device), self.y.to(device), offset, weights)

    def gather(self, index: Tensor) -> MinibatchBlock:
        """index (K, S, B) into the M * n rows."""
        flat = index.reshape(-1)

        def pick(values: Tensor | None) -> Tensor | None:
            return None if values is None else values.flatten(0, 1).index_select(0, flat).unflatten(0, index.shape)

        return MinibatchBlock(pick(self.D), pick(self.y), pick(self.offset), pick(self.weights))  # type: ignore[arg-type]


class Source(Protocol):
    def draw(self, n: int) -> tuple[Tensor, Tensor, Tensor | None]: ...


class MinibatchBlocks(pl.LightningDataModule):
    """An epoch of blocks: each member goes through its own data set in its own order.

    `which` (K,) is the data set of each member, `seeds` its (seed, replicate) for the stream `order`; with
    data.order=stream `streams` has a source of fresh examples for each. `noise` is added to the features in every
    step.
    """

    def __init__(
        self,
        rows: TrainingRows,
        which: Tensor,
        seeds: Sequence[tuple[int, int]],
        batch_size: int,
        order: str,
        streams: Sequence[Source] = (),
        noise: FreshNoise | None = None,
    ) -> None:
        super().__init__()
        self.rows, self.which, self.seeds = rows, which, list(seeds)
        first: dict[tuple[int, tuple[int, int]], Source] = {}  # members alike would see the same examples: drawn once
        self.streams = [first.setdefault(key, s) for key, s in zip(zip(which.tolist(), self.seeds), streams)]
        self.batch_size, self.order, self.noise = batch_size, order, noise
        self.n, self.most = rows.y.shape[1], BLOCK_STEPS
        self.width = len(which)  # kept when members leave: Lightning counts the blocks of an epoch once, at the start
        self.steps_per_epoch = -(-self.n // batch_size)

    def setup(self, stage: str) -> None:
        assert self.trainer is not None
        device = self.trainer.strategy.root_device
        self.most = XLA_STEPS if device.type == "xla" else BLOCK_STEPS
        if device.type == "xla":  # it has no generators, and would compile every gather anew
            device = torch.device("cpu")
        self.rows, self.which = self.rows.to(device), self.which.to(device)
        self.generators = [generator(seed, "order", replicate, device) for seed, replicate in self.seeds]
        if self.noise is not None:
            self.noise.setup(device)

    def keep(self, members: Tensor) -> None:
        """Only these members go on."""
        self.which = self.which[members.to(self.which.device)]
        self.generators = [self.generators[k] for k in members.tolist()]
        self.streams = [self.streams[k] for k in members.tolist()] if self.streams else []
        if self.noise is not None:
            self.noise.keep(members)

    def train_dataloader(self) -> Epoch:
        return Epoch(self)

    def block_sizes(self) -> list[tuple[int, int]]:
        """(minibatches, examples in each) of every block; the last short minibatch is a block of its own."""
        full, rest = divmod(self.n, self.batch_size)
        row_bytes = self.rows.D[0, :1].nbytes + self.rows.y[0, :1].nbytes
        per_step = max(1, self.width * self.batch_size * row_bytes)
        steps = max(1, min(self.most, BLOCK_BYTES // per_step))
        sizes = [(min(steps, full - start), self.batch_size) for start in range(0, full, steps)]
        return sizes + ([(1, rest)] if rest else [])

    def blocks(self) -> Iterator[MinibatchBlock]:
        return self._fresh() if self.streams else self._epoch()

    def _fresh(self) -> Iterator[MinibatchBlock]:
        different = list(dict.fromkeys(self.streams))
        position = {stream: i for i, stream in enumerate(different)}
        member = torch.tensor([position[stream] for stream in self.streams])
        for steps, size in self.block_sizes():
            drawn = [stream.draw(steps * size) for stream in different]
            columns = [None if t[0] is None else torch.stack(t)[member].to(self.rows.y) for t in zip(*drawn)]
            D, y, offset = (None if t is None else t.unflatten(1, (steps, size)) for t in columns)
            yield MinibatchBlock(D, y, offset, None)  # type: ignore[arg-type]

    def _epoch(self) -> Iterator[MinibatchBlock]:
        index = torch.stack([self._order(g) for g in self.generators]).to(self.rows.y.device)
        index += (self.which * self.n).unsqueeze(1)  # (K, n) into the M * n rows
        noise = None if self.noise is None else self.noise.epoch(self.n, self.which)
        start = 0
        for steps, size in self.block_sizes():
            own, shape = slice(start, start + steps * size), (steps, size)
            block = self.rows.gather(index[:, own].unflatten(1, shape))
            if self.noise is not None and noise is not None:
                block = block._replace(D=self.noise.shift(block.D, noise[:, own].unflatten(1, shape)))
            yield block
            start += steps * size

    def _order(self, g: torch.Generator) -> Tensor:
        if self.order == "replacement":
            return torch.randint(self.n, (self.n,), generator=g, device=g.device)
        return torch.randperm(self.n, generator=g, device=g.device)


class Epoch:
    """What Lightning iterates over."""

    def __init__(self, blocks: MinibatchBlocks) -> None:
        self.source = blocks

    def __len__(self) -> int:
        return len(self.source.block_sizes())

    def __iter__(self) -> Iterator[MinibatchBlock]:
        return self.source.blocks()
