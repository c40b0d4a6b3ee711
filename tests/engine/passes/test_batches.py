from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import zerocost as zc
from zerocost.base.errors import Failure
from zerocost.engine.losses import cross_entropy
from zerocost.engine.plan import plan
from zerocost.engine.run import measure
from zerocost.engine.settings import Settings
from zerocost.proxies import resolve
from zerocost.proxies.zico import zico


def batch(n=8, seed=0):
    x = torch.randn(n, 3, 6, 6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return x, torch.arange(n) % 3


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        *(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)),
    ).double()


def by_hand(*batches):
    """Gradients on each batch, from the same weights: for each weight matrix B×…."""
    found = []
    for x, y in batches:
        model = network()
        F.cross_entropy(model(x), y).backward()
        found.append([p.grad for p in model.parameters() if p.ndim > 1])
    return [torch.stack(each) for each in zip(*found, strict=True)]


def gradients(given, name="zico"):
    found = measure(network(), given, plan(resolve(name)), cross_entropy, 0)
    return next(values["batch_gradients"] for values in found.signals.values())


def same(found, expected):
    return len(found) == len(expected) and all(map(torch.allclose, found, expected))


def test_a_single_batch_is_compared_by_its_halves():
    x, y = batch()
    assert same(gradients([(x, y)]), by_hand((x[:4], y[:4]), (x[4:], y[4:])))


def test_parts_that_do_not_come_out_even_differ_by_one_sample():
    x, y = batch(7)
    thirds = ((x[:2], y[:2]), (x[2:4], y[2:4]), (x[4:], y[4:]))
    assert same(gradients([(x, y)], "zico(parts=3)"), by_hand(*thirds))


def test_batches_that_are_given_are_compared_as_they_are():
    given = [batch(8), batch(5, seed=1), batch(8, seed=2)]
    assert same(gradients(given), by_hand(*given))
    assert same(gradients(given, "zico(parts=2)"), by_hand(*given))


def test_zico_is_that_of_the_gradients():
    found = by_hand(batch(8), batch(8, seed=1))
    expected = 0.0
    for g in found:
        deviation = g.std(0, correction=0)
        expected += float((g.abs().mean(0) / deviation)[deviation > 0].sum().log())
    card = zc.score(network(), [batch(8), batch(8, seed=1)], "zico")
    assert card["zico"] == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_layer_of_many_weights_is_compared_a_piece_at_a_time(dtype):
    g = torch.randn(3, 300, 500, generator=torch.Generator().manual_seed(0), dtype=dtype)
    wide = g.double().numpy()
    expected = math.log((abs(wide).mean(0) / wide.std(0)).sum())
    assert float(zico([g, g[:, 0]])) == pytest.approx(
        expected + math.log((abs(wide[:, 0]).mean(0) / wide[:, 0].std(0)).sum()), rel=1e-12
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_what_varies_in_its_last_digit_only_does_not_vary(dtype):
    eps = torch.finfo(dtype).eps
    rounded = torch.tensor([[1.0, 1.0, 0.0], [1 + eps, 3.0, 0.0]], dtype=dtype)
    assert float(zico([rounded])) == pytest.approx(math.log(2))
    with pytest.raises(Failure, match="no variance"):
        zico([rounded[:, ::2]])
    apart = torch.tensor([[1.0], [1 + 4 * eps]], dtype=dtype)
    assert float(zico([apart])) == pytest.approx(math.log(1 / (2 * eps)), rel=1e-6)


def test_what_a_setting_takes_of_the_samples_is_taken_of_each_batch():
    given = [batch(8), batch(8, seed=1)]
    first = [(x[:3], y[:3]) for x, y in given]
    assert same(gradients(given, "zico(samples=3)"), by_hand(*first))


def test_eval_mode_uses_the_running_statistics():
    x, y = batch()
    model = network().eval()
    weights = [p for p in model.parameters() if p.ndim > 1]
    halves = [torch.autograd.grad(F.cross_entropy(model(x[i : i + 4]), y[i : i + 4]), weights) for i in (0, 4)]
    found = measure(network(), [(x, y)], plan(resolve("zico(mode=eval)")), cross_entropy, 0)
    assert same(
        found.signals[Settings(mode="eval")]["batch_gradients"],
        [torch.stack(each) for each in zip(*halves, strict=True)],
    )


def test_too_few_samples_and_labels_that_are_left_out_are_failures():
    x, y = batch(3)
    assert zc.score(network(), (x, y), "zico(parts=4)").failures == {
        "zico(parts=4)": "a batch of 3 cannot be cut into 4 batches to compare"
    }
    y[0] = -100
    assert "all labels of one of the batches" in zc.score(network(), (x, y), "zico(parts=3)").failures["zico(parts=3)"]
    assert "needs labels" in zc.score(network(), x, "zico").failures["zico"]
