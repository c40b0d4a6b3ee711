from __future__ import annotations

from collections import UserDict

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import zerocost as zc
from scoring.small import batch, fixed, mlp


def test_batches_in_other_forms():
    x, y = batch()
    expected = dict(zc.score(fixed(), (x, y), "snip,naswot"))
    array = x.numpy().copy()
    array.flags.writeable = False
    for given in (
        [x, y],
        (array, y.numpy()),
        zc.data.Batch(x, y),
        (x.double(), y),
        (np.asfortranarray(array), y.tolist()),
    ):
        assert dict(zc.score(fixed(), given, "snip,naswot")) == pytest.approx(expected, rel=1e-6)
    reversed_rows = array[::-1]
    assert "snip" in zc.score(fixed(), (reversed_rows, y), "snip")


def test_any_mapping_of_inputs_is_passed_by_name():
    class Named(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = fixed()

        def forward(self, features, mask=None):
            return self.inner(features if mask is None else features * mask)

    x, y = batch()
    expected = dict(zc.score(fixed(), (x, y), "snip,naswot,synflow"))
    for inputs in ({"features": x}, UserDict(features=x), {"features": x, "mask": torch.ones(4)}):
        assert dict(zc.score(Named(), (inputs, y), "snip,naswot,synflow")) == expected


def test_a_list_of_pairs_is_several_batches_and_a_pair_in_a_list_is_one():
    one, other = batch(), (batch()[0] * 2, batch()[1])
    several = zc.score(fixed(), [one, other], "zico,snip")
    assert several.provenance["batches"] == 2 and several["snip"] == zc.score(fixed(), one, "snip")["snip"]
    assert "the same on every batch" in zc.score(fixed(), [one, one], "zico").failures["zico"]
    assert dict(zc.score(fixed(), [one], "zico,snip")) == dict(zc.score(fixed(), one, "zico,snip"))
    pair = zc.score(fixed(), list(one), "snip")
    assert pair.provenance["batches"] == 1 and pair["snip"] == several["snip"]
    arrays = [(x.numpy(), y.tolist()) for x, y in (one, zc.data.Batch(*other))]
    assert dict(zc.score(fixed(), arrays, "zico,snip")) == dict(several)
    with pytest.raises(zc.InputError, match="empty"):
        zc.score(fixed(), [one, (torch.zeros(0, 4), torch.zeros(0))], "zico")


@pytest.mark.parametrize(
    "form",
    [
        lambda y: y[:, None],
        lambda y: y[:, None].to(torch.uint8).numpy(),
        lambda y: F.one_hot(y, 3),
        lambda y: F.one_hot(y, 3).float(),
    ],
)
def test_labels_in_a_column_and_one_hot(form):
    x, y = batch()
    expected = dict(zc.score(fixed(), (x, y), "snip,epe_nas,zico"))
    assert dict(zc.score(fixed(), (x, form(y)), "snip,epe_nas,zico")) == expected
    assert dict(zc.score(fixed(), [(x, form(y))], "snip,epe_nas,zico")) == expected


def test_what_yields_batches_is_not_a_batch():
    loader = DataLoader(TensorDataset(*batch()), batch_size=4)
    with pytest.raises(zc.InputError, match=r"got DataLoader; take one batch .*next\(iter\(loader\)\)"):
        zc.score(mlp(), loader, "snip")


def test_the_order_of_axes_in_memory_does_not_matter():
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 3))
    x = torch.randn(8, 3, 8, 8)
    last = x.contiguous(memory_format=torch.channels_last)
    scores = [
        dict(zc.score(net, (given, torch.arange(8) % 3), "snip,zico,fisher")) for given in (x, last, last.numpy())
    ]
    assert scores[0] == scores[1] == scores[2]


def test_uint8_images_become_floats():
    images = torch.randint(256, (6, 3, 8, 8), dtype=torch.uint8)
    model = nn.Sequential(nn.Flatten(), nn.Linear(192, 3))
    assert "snip" in zc.score(model, (images, torch.arange(6) % 3), "snip")


def test_batches_as_a_loader_yields_them():
    torch.manual_seed(0)
    data = torch.utils.data.TensorDataset(torch.randn(16, 6), torch.arange(16) % 2)
    pairs = list(torch.utils.data.DataLoader(data, batch_size=8))
    net = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 2))
    assert isinstance(pairs[0], list)
    card = zc.score(net, pairs, "zico,snip")
    assert card.provenance["batches"] == 2
    assert dict(card) == dict(zc.score(net, [tuple(pair) for pair in pairs], "zico,snip"))
    two = Sum()
    assert zc.score(two, [[pairs[0][0], pairs[1][0]], [0, 1] * 4], "snip").provenance["batches"] == 1


class Sum(nn.Module):
    """A network of two inputs."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, 2)

    def forward(self, a, b):
        return self.layer(a + b)
