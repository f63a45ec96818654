"""data.order=stream: members with data set and seed in common draw their fresh examples once."""

from dataclasses import dataclass

import torch

from noiseworks.data.minibatches import MinibatchBlocks, TrainingRows

N, BATCH = 12, 4


@dataclass(eq=False)
class Counted:
    """Examples that are their own numbers: the first of the next draw is `count`."""

    count: int = 0
    draws: int = 0

    def draw(self, n):
        start, self.count, self.draws = self.count, self.count + n, self.draws + 1
        x = torch.arange(start, start + n, dtype=torch.float64)
        return x.unsqueeze(1), x, None


def blocks(which, seeds):
    sources = [Counted(100 * k) for k in range(len(seeds))]
    rows = TrainingRows(torch.zeros(2, N, 1), torch.zeros(2, N), None, None)
    return sources, MinibatchBlocks(rows, torch.tensor(which), seeds, BATCH, "stream", sources)


def test_members_alike_share_their_draws():
    sources, of = blocks(
        [0, 0, 1, 0], [(5, 0), (5, 0), (5, 0), (6, 0)]
    )  # the third has other data, the last another seed
    (block,) = of.blocks()
    assert block.y.shape == (4, N // BATCH, BATCH)
    assert block.D.squeeze(-1).equal(block.y)
    assert block.y[:, 0, 0].tolist() == [0, 0, 200, 300]
    assert [source.draws for source in sources] == [1, 0, 1, 1]


def test_who_stays_goes_on_where_the_others_were():
    _, of = blocks([0, 0, 0], [(5, 0), (5, 0), (6, 0)])
    of.generators = [torch.Generator()] * 3  # of the order, which Lightning's setup makes
    list(of.blocks())
    of.keep(torch.tensor([1, 2]))  # the first, from whose source both drew, leaves
    (block,) = of.blocks()
    assert block.y[:, 0, 0].tolist() == [N, 200 + N]
