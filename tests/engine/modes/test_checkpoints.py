from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import CheckpointFunction, checkpoint

import zerocost as zc
from zerocost.engine.modes.checkpoints import without_reentry

PROXIES = "snip,synflow,gradsign,fisher,zico,grasp,ntk_condition,ntk_trace,vkdnw"


def whole(part, x):
    return part(x)


def reentrant(part, x):
    return checkpoint(part, x, use_reentrant=True)


def nested(part, x):
    return checkpoint(lambda v: reentrant(part, v), x, use_reentrant=True)


class Text(nn.Module):
    """Its first part is given token ids, which need no gradient."""

    def __init__(self, call):
        super().__init__()
        torch.manual_seed(0)
        self.call, self.head = call, nn.Linear(8, 3)
        self.part = nn.Sequential(nn.Embedding(10, 8), nn.Dropout(0.5), nn.Linear(8, 8))

    def forward(self, x):
        return self.head(torch.relu(self.call(self.part, x)).mean(1))


@pytest.mark.parametrize("call", [reentrant, nested])
def test_a_part_whose_inputs_need_no_gradient_scores_as_without_checkpoint(call):
    tokens = torch.randint(10, (6, 5), generator=torch.Generator().manual_seed(0)), torch.arange(6) % 3
    found, expected = (zc.score(Text(way), tokens, PROXIES) for way in (call, whole))
    assert not found.failures and dict(found) == pytest.approx(dict(expected), rel=1e-6)


def test_outside_the_block_checkpoints_are_as_before():
    with pytest.raises(KeyError), without_reentry(), without_reentry():
        raise KeyError
    assert "apply" not in vars(CheckpointFunction)
