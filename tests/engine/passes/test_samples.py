from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import zerocost as zc
from zerocost.engine.losses import cross_entropy
from zerocost.engine.plan import plan
from zerocost.engine.run import measure
from zerocost.engine.settings import Settings
from zerocost.proxies import resolve

N = 5


def batch():
    x = torch.randn(N, 3, 6, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return x, torch.arange(N) % 3


def network():
    torch.manual_seed(0)
    model = nn.Sequential(
        *(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4), nn.ReLU()),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)),
    ).double()
    model[1].running_mean.fill_(0.2)
    return model


def one_at_a_time(model, x, y):
    """Gradients of each sample's loss by backward, for each weight matrix: N×…."""
    weights = [p for p in model.parameters() if p.ndim > 1]
    found = []
    for i in range(len(x)):
        model.zero_grad()
        F.cross_entropy(model(x[i : i + 1]), y[i : i + 1]).backward()
        found.append([w.grad.clone() for w in weights])
    return [torch.stack(each) for each in zip(*found, strict=True)]


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_sums_of_gradients_and_of_signs_are_those_of_one_sample_at_a_time(mode):
    found = measure(
        network(), [batch()], plan(resolve([f"gradsign(mode={mode})", f"knas(mode={mode})"])), cross_entropy, 0
    )
    signals = found.signals[Settings(mode=mode)]
    expected = one_at_a_time(network().train(mode == "train"), *batch())
    for total, signs, gradients in zip(
        signals["sample_gradient_sums"], signals["sample_gradient_signs"], expected, strict=True
    ):
        assert torch.allclose(total, gradients.sum(0), atol=1e-12)
        assert torch.equal(signs, gradients.sign().sum(0))


def test_scores_are_those_of_the_gradients_taken_one_by_one():
    gradients = torch.cat([g.flatten(1) for g in one_at_a_time(network(), *batch())], dim=1)
    card = zc.score(network(), batch(), "gradsign,knas")
    assert card["gradsign"] == pytest.approx(float(gradients.sign().sum(0).abs().mean()), rel=1e-12)
    assert card["knas"] == pytest.approx(float((gradients @ gradients.T).mean()), rel=1e-10)


def test_without_batch_norm_the_sum_is_that_of_the_whole_batch():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(108, 8), nn.ReLU(), nn.Linear(8, 3)).double()
    card = zc.score(model, batch(), "knas,global_grad_norm")
    weights = [p for p in model.parameters() if p.ndim > 1]
    mean = torch.autograd.grad(F.cross_entropy(model(batch()[0]), batch()[1]), weights)
    assert card["knas"] == pytest.approx(sum(float(g.square().sum()) for g in mean), rel=1e-10)


def test_samples_of_a_setting_are_the_first():
    x, y = batch()
    card, first = zc.score(network(), (x, y), "knas(samples=2)"), zc.score(network(), (x[:2], y[:2]), "knas")
    assert card["knas(samples=2)"] == first["knas"]


def test_each_sample_draws_dropout_of_its_own_reproducibly():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(108, 3)).double()
    x, y = batch()
    same = x[:1].expand(N, -1, -1, -1), y[:1].expand(N)
    one, again = (zc.score(model, same, "gradsign,knas") for _ in range(2))
    assert dict(one) == dict(again)
    assert one["knas"] != pytest.approx(zc.score(model, (x[:1], y[:1]), "knas")["knas"], rel=1e-6)


def test_a_sample_whose_label_is_left_out_is_a_failure_with_the_reason():
    x, y = batch()
    y[2] = -100
    card = zc.score(network(), (x, y), "knas,snip")
    assert card.failures == {"knas": "a sample of label -100 has no loss of its own"}


def test_a_failure_of_one_sample_is_the_reason():
    class Pairs(nn.Module):
        def forward(self, x):
            return x.reshape(-1, 216)[:, :3].repeat_interleave(2, 0)[: len(x)]

    model = nn.Sequential(nn.Flatten(), nn.Linear(108, 108), Pairs()).double()
    card = zc.score(model, (batch()[0][:4], batch()[1][:4]), "knas,snip")
    assert "shape '[-1, 216]' is invalid" in card.failures["knas"] and "snip" in card
    assert "needs labels" in zc.score(network(), batch()[0], "knas").failures["knas"]


def test_a_sample_without_a_gradient_counts_as_zeros():
    x, y = torch.ones(3, 4).double(), torch.arange(3)
    x[1] = -1
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 4, bias=False), nn.ReLU(), nn.Linear(4, 3)).double()
    nn.init.constant_(model[0].weight, 1.0)
    rows = torch.cat([g.flatten(1) for g in one_at_a_time(model, x, y)], dim=1)
    assert rows.any(dim=1).tolist() == [True, False, True]
    card = zc.score(model, (x, y), "gradsign,knas")
    assert card["gradsign"] == float(rows.sign().sum(0).abs().mean())
    assert card["knas"] == pytest.approx(float((rows @ rows.T).mean()), rel=1e-12)
    assert "every gradient is zero" in zc.score(model, (-x[[0, 2]], y[:2]), "knas").failures["knas"]


# ---- BatchNorm that gets one value a channel


class SqueezeExcite(nn.Module):
    """Scales channels by a gate that has BatchNorm on 1×1 maps."""

    def __init__(self, channels):
        super().__init__()
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, channels, 1), nn.BatchNorm2d(channels))

    def forward(self, x):
        return x * self.gate(x).sigmoid()


class Standardised(nn.Linear):
    """A linear layer whose weight is standardised by BatchNorm, row by row."""

    def forward(self, x):
        rows = F.batch_norm(self.weight[None], None, None, training=True)[0]
        return F.linear(x, rows, self.bias)


def single_valued(kind):
    torch.manual_seed(1)
    flat, pooled = nn.Flatten(), (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
    norm = nn.BatchNorm1d(16, eps=0.1, affine=False) if kind == "plain" else nn.BatchNorm1d(16)
    layers = {
        "squeeze-excite": (nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), SqueezeExcite(4), *pooled),
        "small image": (nn.Conv2d(3, 4, 6), nn.BatchNorm2d(4), nn.ReLU(), flat, nn.Linear(4, 3)),
        "standardised": (flat, Standardised(108, 16), norm, nn.ReLU(), nn.Linear(16, 3)),
    }
    mlp = (flat, nn.Linear(108, 16), norm, nn.ReLU(), nn.Linear(16, 3))
    return nn.Sequential(*layers.get(kind, mlp)).double()


def normalised_as_the_batch(model, x):
    """The model in eval mode, its running statistics those that its BatchNorm layers have on the batch."""

    def note(norm, inputs):
        axes = [axis for axis in range(inputs[0].ndim) if axis != 1]
        norm.running_mean = inputs[0].detach().mean(axes)
        norm.running_var = inputs[0].detach().var(axes, correction=0)

    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    for norm in norms:
        norm.momentum = 0.0
        norm.register_forward_pre_hook(note)
    model(x)
    for norm in norms:
        norm._forward_pre_hooks.clear()
    return model.eval()


@pytest.mark.parametrize("kind", ["mlp", "plain", "squeeze-excite", "small image", "standardised"])
def test_batch_norm_without_a_variance_has_the_statistics_of_the_batch(kind):
    x, y = batch()
    gradients = one_at_a_time(normalised_as_the_batch(single_valued(kind), x), x, y)
    rows = torch.cat([g.flatten(1) for g in gradients], dim=1)
    card = zc.score(single_valued(kind), (x, y), "gradsign,knas")
    assert card["gradsign"] == pytest.approx(float(rows.sign().sum(0).abs().mean()), rel=1e-12)
    assert card["knas"] == pytest.approx(float((rows @ rows.T).mean()), rel=1e-9)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_statistics_of_the_batch_serve_networks_of_any_precision(dtype):
    x, y = batch()
    exact, rough = (zc.score(single_valued("mlp").to(to), (x, y), "knas")["knas"] for to in (torch.float64, dtype))
    assert rough == pytest.approx(exact, rel=0.1)


def test_nothing_serves_a_batch_of_one_or_layers_that_no_batch_helps():
    x, y = batch()
    card = zc.score(single_valued("mlp"), (x[:1], y[:1]), "knas,snip,gradsign(mode=eval)")
    for reason in (card.failures["knas"], card.failures["snip"]):
        assert reason.startswith("a normalisation layer gets one value a channel") and "mode=eval" in reason
    assert list(card.scores) == ["gradsign(mode=eval)"]
    model = nn.Sequential(nn.Conv2d(3, 4, 6), nn.InstanceNorm2d(4), nn.Flatten(), nn.Linear(4, 3)).double()
    assert "give larger inputs" in zc.score(model, (x, y), "knas").failures["knas"]


def test_a_network_that_normalises_otherwise_on_one_sample_is_a_failure():
    class Twice(nn.BatchNorm1d):
        def forward(self, x):
            return super().forward(x if len(x) > 1 else super().forward(x))

    model = nn.Sequential(nn.Flatten(), nn.Linear(108, 4), Twice(4), nn.Linear(4, 3)).double()
    assert "runs otherwise on one sample" in zc.score(model, batch(), "knas").failures["knas"]


def test_a_sample_with_one_value_a_group_is_normalised_as_in_a_batch():
    def net(norm):
        torch.manual_seed(0)
        body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Conv2d(4, 4, 1), norm)
        body[4].bias.data = torch.rand(4)
        return nn.Sequential(body, nn.Flatten(), nn.Linear(4, 3)).double()

    class Shift(nn.Module):
        """What the normalisation of one value is: its bias."""

        def __init__(self):
            super().__init__()
            self.weight, self.bias = nn.Parameter(torch.ones(4)), nn.Parameter(torch.zeros(4))

        def forward(self, x):
            return (x - x) * self.weight[:, None, None] + self.bias[:, None, None]

    batch = torch.randn(4, 3, 6, 6, generator=torch.Generator().manual_seed(0)), torch.arange(4) % 3
    names = "gradsign,knas,vkdnw,vkdnw_single"
    found, expected = zc.score(net(nn.GroupNorm(4, 4)), batch, names), zc.score(net(Shift()), batch, names)
    assert found.scores == pytest.approx(expected.scores) and len(found.scores) == 4


def test_each_sample_starts_from_the_weights_that_were_given():
    class Halving(nn.Linear):
        def forward(self, x):
            with torch.no_grad():
                self.weight.mul_(0.5)
            return super().forward(x)

    torch.manual_seed(0)
    model, plain = Halving(4, 3), nn.Linear(4, 3)
    with torch.no_grad():
        plain.weight.copy_(model.weight / 2)
        plain.bias.copy_(model.bias)
    batch = torch.randn(5, 4), torch.arange(5) % 3
    assert zc.score(model, batch, "knas,gradsign").scores == zc.score(plain, batch, "knas,gradsign").scores
