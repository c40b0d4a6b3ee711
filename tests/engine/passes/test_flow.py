from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

import zerocost as zc
from zerocost.engine.model.network import Network


def batch(*shape, n=4):
    return torch.randn(n, *shape, generator=torch.Generator().manual_seed(0)), torch.arange(n) % 3


def conv(*middle):
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), *middle, nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 3))


def synflow(model, *shape):
    return zc.score(model, batch(*shape), "synflow")["synflow"]


def test_the_value_of_a_linear_chain_is_the_product_of_absolute_matrices():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 5, bias=False), nn.ReLU(), nn.Linear(5, 3, bias=False))
    one, two = (layer.weight.detach().double().abs() for layer in (model[0], model[2]))
    flow = torch.ones(3).double() @ two @ one @ torch.ones(4).double()
    assert synflow(model, 4) == pytest.approx(2 * float(flow), rel=1e-12)  # each layer's share is the whole flow


def test_the_batch_plays_no_part_but_for_its_shape():
    model = conv()
    one = zc.score(model, torch.rand(2, 3, 8, 8), "synflow")
    other = zc.score(model, torch.randn(7, 3, 8, 8) * 100, "synflow")
    assert dict(one) == dict(other)


@pytest.mark.parametrize(
    "layer",
    [
        *(nn.BatchNorm2d(4), nn.GroupNorm(2, 4), nn.LayerNorm((4, 6, 6)), nn.InstanceNorm2d(4, affine=True)),
        *(nn.LocalResponseNorm(2), nn.RMSNorm((4, 6, 6)), nn.Dropout(0.5), nn.Dropout2d(0.5), nn.AlphaDropout(0.5)),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_normalisation_and_dropout_are_the_identity(layer):
    assert synflow(conv(layer), 3, 8, 8) == synflow(conv(), 3, 8, 8)


def test_stochastic_depth_drops_nothing():
    class DropPath(nn.Module):
        def forward(self, x):
            keep = torch.rand(len(x), 1, 1, 1, device=x.device) < 0.5 if self.training else 1
            return x * keep

    assert synflow(conv(DropPath()), 3, 8, 8) == synflow(conv(), 3, 8, 8)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_it_runs_in_float64_whatever_the_models_dtype(dtype):
    model = conv(nn.BatchNorm2d(4)).to(dtype)
    assert synflow(model, 3, 8, 8) == synflow(model.double(), 3, 8, 8)


def test_tensors_made_or_kept_in_float32_are_widened():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.lstm, self.last = nn.LSTM(4, 8, batch_first=True), nn.Linear(8, 3)
            self.basis = torch.eye(8)

        def forward(self, x):
            zeros = torch.zeros(1, len(x), 8, dtype=torch.float32)
            out = self.lstm(x, (zeros, zeros.clone()))[0][:, -1] @ self.basis
            out = out.float().to(torch.float32).type(torch.float32).to(dtype=torch.float16) * torch.ones(8).half()
            return self.last(torch.zeros(len(x), 8) + out)

    class Plain(Net):
        def forward(self, x):
            return self.last(self.lstm(x)[0][:, -1])

    assert synflow(Net(), 5, 4) == pytest.approx(synflow(Plain(), 5, 4), rel=1e-12)


def test_a_mask_of_minus_infinity_keeps_its_sign():
    class Masked(nn.Module):
        def __init__(self, mask):
            super().__init__()
            torch.manual_seed(0)
            self.query, self.value, self.last = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 3)
            self.register_buffer("mask", mask)

        def forward(self, x):
            weights = torch.softmax(self.query(x) @ x.transpose(1, 2) + self.mask, -1)
            return self.last((weights @ self.value(x)).mean(1))

    assert synflow(Masked(torch.triu(torch.full((5, 5), -torch.inf), 1)), 5, 4) > 0


def test_overflow_is_a_failure_and_not_infinity_but_for_logarithms():
    torch.manual_seed(0)
    deep = nn.Sequential(*[nn.Linear(64, 64) for _ in range(20)])
    for layer in deep:
        nn.init.constant_(layer.weight, 1e20)
    card = zc.score(deep, (torch.rand(4, 64), torch.arange(4)), ["synflow", "log_synflow", "params"])
    assert set(card.failures) == {"synflow"} and card["log_synflow"] > 0
    assert "overflows float64" in card.failures["synflow"]


def test_depth_that_overflows_float32_does_not_overflow():
    torch.manual_seed(0)
    deep = nn.Sequential(*[nn.Linear(64, 64) for _ in range(40)])
    for layer in deep:
        nn.init.constant_(layer.weight, 1.0)
    assert zc.score(deep, (torch.rand(4, 64), torch.arange(4)), "synflow")["synflow"] > 1e60


def test_no_path_is_a_failure():
    class Cut(nn.Module):
        def __init__(self, cut):
            super().__init__()
            self.first, self.last, self.cut = nn.Linear(4, 4, bias=False), nn.Linear(4, 3), cut

        def forward(self, x):
            return self.last(self.cut(self.first(x)))

    for cut in (lambda x: 0 * x, torch.zeros_like):
        assert "no path" in zc.score(Cut(cut), batch(4), "synflow").failures["synflow"]
    assert "no path" in zc.score(nn.Sequential(Cut(torch.relu), Detach()), batch(4), "synflow").failures["synflow"]


def test_without_a_flow_layers_are_counted_along_its_pass_all_the_same(monkeypatch):
    monkeypatch.setattr(Network, "hides_calls", False)  # another test may have compiled a function
    model = nn.Sequential(nn.Linear(4, 4), nn.Threshold(1e9, 0.0), nn.Linear(4, 3))
    alone, together = (zc.score(model, batch(4), names) for names in ("flops", "flops,log_synflow,synflow"))
    assert set(together.failures) == {"log_synflow", "synflow"}
    assert together["flops"] == alone["flops"]
    assert [one.name for one in together.passes] == ["flow"]


class Detach(nn.Module):
    def forward(self, x):
        return x.detach()


def test_tokens_are_words_number_one():
    torch.manual_seed(0)
    words = nn.Sequential(nn.Embedding(5, 4), nn.Flatten(), nn.Linear(12, 3))
    tokens = torch.randint(5, (4, 3)), torch.arange(4) % 3
    flow = words[2].weight.double().abs().sum(0) @ words[0].weight[1].double().abs().repeat(3)
    assert zc.score(words, tokens, "synflow")["synflow"] == pytest.approx(2 * float(flow.detach()), rel=1e-12)


def test_normalisation_that_is_kept_runs_on_the_statistics_of_the_ones():
    model = conv(nn.BatchNorm2d(4))
    with torch.no_grad():
        model[1].weight.fill_(-2), model[1].bias.fill_(0.25), model[1].running_mean.fill_(5)
    one, w, bias = torch.ones(1, 3, 8, 8).double(), model[0].weight.double().abs(), model[0].bias.double().abs()
    weights = [w.detach().requires_grad_(), model[4].weight.detach().double().abs().requires_grad_()]
    x = nn.functional.conv2d(one, weights[0], bias.detach())
    mean, var = x.mean((0, 2, 3), keepdim=True), x.var((0, 2, 3), keepdim=True, correction=0)
    x = (2 * (x - mean) / (var + 1e-5).sqrt() + 0.25).relu().flatten(1)
    flow = nn.functional.linear(x, weights[1], model[4].bias.detach().double().abs()).sum()
    flow.backward()
    expected = sum(float((t.detach() * t.grad).abs().sum()) for t in weights)
    card = zc.score(model, batch(3, 8, 8), "synflow_bn,synflow,synflow(normalisation=kept)")
    assert card["synflow_bn"] == pytest.approx(expected, rel=1e-9) == card["synflow(normalisation=kept)"]
    assert card["synflow"] == synflow(conv(), 3, 8, 8)


def test_normalisation_that_is_kept_is_that_of_every_kind_and_dropout_is_not():
    for layer in (nn.GroupNorm(2, 4), nn.LayerNorm((4, 6, 6))):
        card = zc.score(conv(layer), batch(3, 8, 8), "synflow,synflow_bn")
        assert card["synflow_bn"] != pytest.approx(card["synflow"], rel=0.01)
    card = zc.score(conv(nn.Dropout(0.5)), batch(3, 8, 8), "synflow,synflow_bn")
    assert card["synflow_bn"] == card["synflow"]


@pytest.mark.parametrize(("layer", "runs"), [(nn.Tanh(), 1), (nn.BatchNorm2d(4), 2)])
def test_only_a_network_that_normalises_runs_twice_to_see_what_rounding_does(monkeypatch, layer, runs):
    monkeypatch.setattr(Network, "hides_calls", False)  # it is true where another test has scripted a function

    class Counted(nn.Identity):
        seen = 0

        def forward(self, x):
            Counted.seen += 1
            return x

    model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), layer, nn.ReLU(), Counted(), nn.Flatten(), nn.Linear(256, 3))
    zc.score(model, batch(3, 8, 8), "synflow_bn")
    assert Counted.seen == runs


@pytest.mark.parametrize("norm", [nn.BatchNorm2d, nn.InstanceNorm2d])
def test_what_rounding_decides_is_a_failure(norm):
    torch.manual_seed(0)
    last = nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 3)
    varied = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3, padding=1), norm(4), *last)
    assert zc.score(varied, batch(3, 8, 8), "synflow_bn")["synflow_bn"] > 0
    constant = nn.Sequential(nn.Conv2d(3, 4, 3), norm(4), nn.Conv2d(4, 4, 1), norm(4), *last)
    for proxy in ("synflow_bn", "snr_synflow(normalisation=kept)"):
        (reason,) = zc.score(constant, batch(3, 8, 8), proxy).failures.values()
        assert "the flow cancels up to rounding" in reason and "use synflow" in reason


def test_normalisation_of_one_value_that_is_kept_is_a_failure():
    model = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Linear(5, 3))
    card = zc.score(model, batch(4), "synflow,synflow_bn,synflow_bn(mode=eval)")
    assert list(card.scores) == ["synflow"]
    assert all("one value a channel" in reason for reason in card.failures.values())


@pytest.mark.parametrize("last", [nn.Tanh(), nn.Sigmoid(), nn.ReLU6(), nn.Hardtanh()], ids=lambda m: type(m).__name__)
def test_a_bounded_function_that_is_saturated_is_named(last):
    model = nn.Sequential(conv(), last)
    with torch.no_grad():
        model[0][0].weight.mul_(1000)
    failures = zc.score(model, batch(3, 8, 8), "synflow,log_synflow").failures
    assert failures.keys() == {"synflow", "log_synflow"}
    assert all("is saturated" in reason and "without it" in reason for reason in failures.values())


def test_a_network_of_zeros_has_no_path_whatever_ends_it():
    model = nn.Sequential(conv(), nn.Tanh())
    for p in model.parameters():
        p.data.zero_()
    assert "no path" in zc.score(model, batch(3, 8, 8), "synflow").failures["synflow"]


@pytest.mark.parametrize("blocks", [2, 700])
def test_a_checkpointed_part_runs_again_as_it_ran(blocks):
    class Net(nn.Module):
        def __init__(self, checkpointed):
            super().__init__()
            torch.manual_seed(0)
            parts = [nn.Sequential(nn.Linear(16, 16), nn.LayerNorm(16), nn.ReLU()) for _ in range(blocks)]
            self.parts, self.checkpointed = nn.ModuleList(parts), checkpointed

        def forward(self, x):
            for part in self.parts:
                x = checkpoint(part, x, use_reentrant=False) if self.checkpointed else part(x)
            return x

    proxies = "synflow,log_synflow,t_cet,dss,zico_bc,flops,depth" if blocks < 10 else "log_synflow,flops"
    one, other = (zc.score(Net(checkpointed), batch(16), proxies) for checkpointed in (True, False))
    assert dict(one) == dict(other) and one.failures == other.failures and one["log_synflow"] > 0
