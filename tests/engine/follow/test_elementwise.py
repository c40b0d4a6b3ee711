from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import zerocost as zc
from zerocost.base.errors import Failure
from zerocost.engine.observe.observer import Observer
from zerocost.engine.watch.activations import ActivationKernel
from zerocost.engine.watch.base import Scene

WATCHED = "naswot,swap,linear_regions,wrcor,meco,meco_opt,near,zen,az_expressivity,az_trainability,w_pca,jacob_cov,snip"


def gelu_new(x):
    return 0.5 * x * (1.0 + torch.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * torch.pow(x, 3.0))))


def swish_in_place(x):
    return x.mul_(x.sigmoid())


def celu(x):
    return torch.maximum(x, torch.tensor(0.0)) + torch.minimum(torch.zeros_like(x), torch.exp(x.clamp(max=0)) - 1)


def masked_by_index(x):
    x = x.clone()
    x[x < 0] = 0
    return x


def masked_by_index_in_place(x):
    x[x < 0] = 0
    return x


def scaled_by_index(x):
    x = x.clone()
    x[x < 0] *= 0.1
    return x


def elu_by_index_in_place(x):
    x[x <= 0] = torch.expm1(x[x <= 0])
    return x


def zeroed_at_places(x):
    x = x.clone()
    x[(x < 0).nonzero(as_tuple=True)] = 0.0
    return x


def half_at_a_time_in_place(x):
    left, right = x[:, ::2], x[:, 1::2]
    left[left < 0] = 0
    right.relu_()
    return x


BY_HAND = {
    "x·σ(x)": (lambda x: x * torch.sigmoid(x), F.silu),
    "x/(1+e⁻ˣ)": (lambda x: x / (1 + torch.exp(-x)), F.silu),
    "in place": (swish_in_place, F.silu),
    "maximum": (lambda x: torch.maximum(x, torch.tensor(0.0)), F.relu),
    "max, zeros_like": (lambda x: torch.max(x, torch.zeros_like(x)), F.relu),
    "clamp": (lambda x: x.clamp(min=0), F.relu),
    "x·(x>0)": (lambda x: x * (x > 0), F.relu),
    "(x+|x|)/2": (lambda x: (x + x.abs()) / 2, F.relu),
    "masked": (lambda x: x.masked_fill(x < 0, 0), F.relu),
    "masked by an index": (masked_by_index, F.relu),
    "masked by an index, in place": (masked_by_index_in_place, F.relu),
    "scaled by an index": (scaled_by_index, lambda x: F.leaky_relu(x, 0.1)),
    "elu by an index, in place": (elu_by_index_in_place, F.elu),
    "zeroed at places": (zeroed_at_places, F.relu),
    "index_put": (lambda x: x.clone().index_put_((x < 0,), torch.tensor(0.0)), F.relu),
    "masked_scatter": (lambda x: x.masked_scatter(x < 0, torch.zeros_like(x)), F.relu),
    "clamp at a tensor": (lambda x: x.clamp(min=torch.tensor(0.0)), F.relu),
    "max with a tensor of zeros": (lambda x: torch.clamp(x, torch.zeros(5)), F.relu),
    "not(x≤0)": (lambda x: x * torch.logical_not(x <= 0), F.relu),
    "masked, ~": (lambda x: x.masked_fill(~(x > 0), 0), F.relu),
    "stack, amax, (x+|x|)/2": (lambda x: 0.5 * torch.stack([x, -x]).amax(0) + 0.5 * x, F.relu),
    "two equal slices": (lambda x: x[:, :] * x[:, :].sigmoid(), F.silu),
    "-min(-x, 0)": (lambda x: -torch.minimum(-x, torch.zeros_like(x)), F.relu),
    "-clamp(-x, max=0)": (lambda x: -torch.clamp(-x, max=0), F.relu),
    "-clip(-x, None, 0)": (lambda x: -torch.clip(-x, None, 0), F.relu),
    "maximum, new_zeros": (lambda x: torch.maximum(x, x.new_zeros(x.shape)), F.relu),
    "where, new_zeros": (lambda x: torch.where(x > 0, x, x.new_zeros(x.shape)), F.relu),
    "fmax, new_full": (lambda x: torch.fmax(x, x.new_full(x.shape, 0.0)), F.relu),
    "stack, amax": (lambda x: torch.stack([x, torch.zeros_like(x)]).amax(0), F.relu),
    "stack, max": (lambda x: torch.stack([x, torch.zeros_like(x)]).max(0).values, F.relu),
    "stack last, amax": (lambda x: torch.stack((torch.zeros_like(x), x), -1).amax(-1), F.relu),
    "x - min(x, 0)": (lambda x: x - x.clamp(max=0), F.relu),
    "einsum with a mask": (lambda x: torch.einsum("nc...,nc...->nc...", x, (x > 0).to(x.dtype)), F.relu),
    "addcmul with a mask": (lambda x: torch.addcmul(torch.zeros_like(x), x, (x > 0).to(x.dtype)), F.relu),
    "lerp with a mask": (lambda x: torch.lerp(0.1 * x, x, (x > 0).to(x.dtype)), lambda x: F.leaky_relu(x, 0.1)),
    "gelu, addcmul": (lambda x: torch.addcmul(0.5 * x, x, torch.erf(x / math.sqrt(2)), value=0.5), F.gelu),
    "relu twice scaled": (lambda x: F.relu(x).clamp(max=6), F.relu6),
    "where": (lambda x: torch.where(x > 0, x, 0.1 * x), lambda x: F.leaky_relu(x, 0.1)),
    "maximum of slopes": (lambda x: torch.maximum(x, 0.1 * x), lambda x: F.leaky_relu(x, 0.1)),
    "relu minus relu": (lambda x: F.relu(x) - 0.1 * F.relu(-x), lambda x: F.leaky_relu(x, 0.1)),
    "elu": (lambda x: torch.where(x > 0, x, torch.exp(x) - 1), F.elu),
    "celu": (celu, F.celu),
    "softplus": (lambda x: torch.log(1 + torch.exp(x)), F.softplus),
    "softplus, log sigmoid": (lambda x: -F.logsigmoid(-x), F.softplus),
    "softplus, logsumexp": (lambda x: torch.logsumexp(torch.stack([x, torch.zeros_like(x)]), 0), F.softplus),
    "mish": (lambda x: x * torch.tanh(F.softplus(x)), F.mish),
    "mish in full": (lambda x: x * torch.tanh(torch.log1p(x.exp())), F.mish),
    "x·Φ(x)": (lambda x: x * torch.special.ndtr(x), F.gelu),
    "x·Φ(x) of a distribution": (lambda x: x * torch.distributions.Normal(0, 1).cdf(x), F.gelu),
    "gelu": (lambda x: x * 0.5 * (1 + torch.erf(x / math.sqrt(2))), F.gelu),
    "gelu, halved last": (lambda x: 0.5 * (x * (1 + torch.erf(x / 1.41421356))), F.gelu),
    "gelu_new": (gelu_new, lambda x: F.gelu(x, approximate="tanh")),
    "hardswish": (lambda x: x * F.relu6(x + 3) / 6, F.hardswish),
    "hardswish, gate first": (lambda x: x * (F.relu6(x + 3, inplace=True) / 6), F.hardswish),
    "hardswish, clamped": (lambda x: x * torch.clamp(x / 6 + 0.5, 0, 1), F.hardswish),
    "hardswish, capped": (lambda x: x * torch.minimum(F.relu(x + 3), torch.tensor(6.0)) / 6, F.hardswish),
    "selu": (lambda x: 1.0507009873554805 * torch.where(x > 0, x, 1.6732632423543772 * (x.exp() - 1)), F.selu),
}


class Activation(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def cnn(function):
    torch.manual_seed(0)
    stem = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), Activation(function))
    blocks = [nn.Sequential(nn.Conv2d(6, 6, 3, padding=1), nn.BatchNorm2d(6), Activation(function)) for _ in range(2)]
    return nn.Sequential(stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 3))


class Tokens(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.first, self.second, self.head = nn.Linear(6, 12), nn.Linear(12, 6), nn.Linear(6, 3)
        self.function = Activation(function)

    def forward(self, x):
        x = x.flatten(2).transpose(1, 2)
        return self.head((x + self.second(self.function(self.first(x)))).mean(1))


def tokens(function):
    torch.manual_seed(0)
    return Tokens(function)


def codes(function, x):
    """Signs at the activations that a function runs on `x`."""
    observer = Observer(Scene(len(x), in_parts=True), [ActivationKernel])
    observer.scene.start(x, ())
    with observer.watching():
        function(x)
    found = observer.result(ActivationKernel)
    return [] if isinstance(found, Failure) else found


@pytest.mark.parametrize(("by_hand", "library"), BY_HAND.values(), ids=BY_HAND.keys())
def test_an_activation_by_hand_scores_as_the_one_it_equals(by_hand, library):
    batch = torch.randn(6, 3, 5, 5, generator=torch.Generator().manual_seed(1)), torch.arange(6) % 3
    one, other = (zc.score(cnn(function), batch, WATCHED) for function in (by_hand, library))
    assert one.failures.keys() == other.failures.keys() == {"w_pca"}
    assert dict(one) == pytest.approx(dict(other), rel=2e-4)


@pytest.mark.parametrize("name", ["gelu_new", "mish", "hardswish", "maximum"])
def test_feed_forward_layers_of_tokens_are_seen_with_them(name):
    batch = torch.randn(6, 6, 3, 3, generator=torch.Generator().manual_seed(1)), torch.arange(6) % 3
    one, other = (zc.score(tokens(function), batch, "w_pca,naswot,near,synflow,snip") for function in BY_HAND[name])
    assert not one.failures and dict(one) == pytest.approx(dict(other), rel=2e-4)


def test_tokens_merged_with_the_samples_score_as_others():
    class Merged(Tokens):
        def forward(self, x):
            n = len(x)
            x = x.flatten(2).transpose(1, 2).flatten(0, 1)
            x = x + self.second(self.function(self.first(x)))
            return self.head(x.view(n, -1, 6).mean(1))

    batch = torch.randn(6, 6, 3, 3, generator=torch.Generator().manual_seed(1)), torch.arange(6) % 3
    merged = Merged(F.gelu)
    apart = Tokens(F.gelu)
    apart.load_state_dict(merged.state_dict())
    one, other = (zc.score(model, batch, "w_pca,zen,meco,near,naswot,fisher") for model in (merged, apart))
    assert not one.failures and dict(one) == pytest.approx(dict(other), rel=2e-4)


@pytest.mark.parametrize(("by_hand", "library"), BY_HAND.values(), ids=BY_HAND.keys())
def test_an_activation_by_hand_is_one_with_the_signs_of_its_input(by_hand, library):
    x = torch.randn(4, 5)
    found = codes(by_hand, x.clone())
    assert len(found) == 1 and torch.equal(found[0], x > 0)


@pytest.mark.parametrize(
    "gate",
    [
        *(torch.sigmoid, torch.tanh, F.hardsigmoid, lambda x: 1 / (1 + torch.exp(-x))),
        *(lambda x: F.relu6(x + 3) / 6, lambda x: torch.clamp(x / 6 + 0.5, 0, 1)),
        lambda x: torch.minimum(F.relu(x + 3), torch.tensor(6.0)) / 6,
    ],
)
def test_squeeze_and_excitation_is_no_activation(gate):
    weight = torch.randn(5, 5)
    assert codes(lambda x: x * gate(x.mean(0, keepdim=True) @ weight), torch.randn(4, 5)) == []
    assert codes(lambda x: x * gate(x @ weight), torch.randn(4, 5)) == []
    assert codes(gate, torch.randn(4, 5)) == []


@pytest.mark.parametrize(
    "call",
    [
        lambda x: (x - x.mean(1, keepdim=True)) / x.std(1, keepdim=True),
        lambda x: x * torch.rsqrt(x.pow(2).mean(1, keepdim=True) + 1e-6),
        lambda x: torch.exp(x - x.amax(1, keepdim=True)) / torch.exp(x - x.amax(1, keepdim=True)).sum(1, keepdim=True),
        *(torch.exp, torch.square, lambda x: 2 * x + 1, lambda x: x + 0.1 * x**3, lambda x: x * x.max()),
        *(lambda x: torch.where(x > 0, 1.0, 0.0), lambda x: x / (1 + x.abs()), lambda x: x - torch.tanh(x)),
        *(lambda x: x * torch.sigmoid(x.flip(1)), lambda x: torch.sigmoid(x - 2), lambda x: torch.max(x, dim=1)[0]),
    ],
)
def test_normalisation_and_other_arithmetic_is_no_activation(call):
    assert codes(call, torch.randn(4, 5)) == []


@pytest.mark.parametrize("after", [lambda x: 0.1 * x, lambda x: x + 1, torch.tanh, torch.square, lambda x: -x])
def test_what_follows_an_activation_does_not_change_it(after):
    x = torch.randn(4, 5)
    for function in (F.relu, F.silu, lambda x: x * torch.sigmoid(x)):
        found = codes(lambda x, function=function: after(function(x)), x)
        assert len(found) == 1 and torch.equal(found[0], x > 0)


def test_the_input_of_an_activation_is_what_it_is_computed_of_last():
    x = torch.randn(4, 5)

    def shifted(x):
        y = 2 * x + 1
        return y * torch.sigmoid(y)

    assert torch.equal(codes(shifted, x)[0], 2 * x + 1 > 0)


GATED = {
    "(b·a)·σ(a)": (lambda a, b: (b * a) * a.sigmoid(), F.silu),
    "σ(a)·(a·b)": (lambda a, b: a.sigmoid() * (a * b), F.silu),
    "(b·σ(a))·a": (lambda a, b: (b * a.sigmoid()) * a, F.silu),
    "(b/(1+e⁻ᵃ))·a": (lambda a, b: (b / (1 + torch.exp(-a))) * a, F.silu),
    "(a·b)·(a>0)": (lambda a, b: (a * b) * (a > 0), F.relu),
    "where": (lambda a, b: torch.where(a > 0, a * b, 0.0), F.relu),
    "masked": (lambda a, b: (a * b).masked_fill(a < 0, 0), F.relu),
    "gelu, halved": (lambda a, b: (0.5 * (a * b)) * (1 + torch.erf(a / math.sqrt(2))), F.gelu),
    "hardswish": (lambda a, b: (b * a) * F.relu6(a + 3) / 6, F.hardswish),
    "mish": (lambda a, b: (b * a) * torch.tanh(F.softplus(a)), F.mish),
}


class Gated(nn.Module):
    def __init__(self, function):
        super().__init__()
        torch.manual_seed(0)
        self.one, self.other, self.next, self.head = nn.Linear(6, 8), nn.Linear(6, 8), nn.Linear(8, 8), nn.Linear(8, 3)
        self.function = function

    def forward(self, x):
        return self.head(torch.relu(self.next(self.function(self.one(x), self.other(x)))))


@pytest.mark.parametrize(("by_hand", "library"), GATED.values(), ids=GATED.keys())
def test_an_activation_of_one_factor_is_seen_in_any_order(by_hand, library):
    batch = torch.randn(9, 6, generator=torch.Generator().manual_seed(1)), torch.arange(9) % 3
    one, other = (zc.score(Gated(f), batch, WATCHED) for f in (by_hand, lambda a, b: library(a) * b))
    assert (
        one.failures.keys() == {*other.failures, "az_trainability"} == {"meco", "meco_opt", "w_pca", "az_trainability"}
    )
    assert dict(one) == pytest.approx({name: other[name] for name in one}, rel=2e-4)


@pytest.mark.parametrize(
    "function",
    [
        *(torch.mul, lambda a, b: a * b.sigmoid(), lambda a, b: torch.softmax(torch.stack([a, b]), 0)[0]),
        *(torch.maximum, lambda a, b: torch.stack([a, b]).amax(0), lambda a, b: (a * b) * torch.tanh(a)),
        *(lambda a, b: (a * b) * b, lambda a, b: torch.where(a > 0, a, b), lambda a, b: torch.where(a > 0, a * b, 1.0)),
    ],
)
def test_a_function_of_two_branches_is_no_activation(function):
    weight = torch.randn(5, 5)
    assert codes(lambda x: function(x @ weight, x @ weight.T), torch.randn(4, 5)) == []


@pytest.mark.parametrize(
    ("view", "back"),
    [(lambda x: x.flatten(1), lambda x: x), (lambda x: x[:, :4], lambda x: torch.cat([x, x], 1))],
)
def test_an_activation_of_a_view_in_place_scores_as_any(view, back):
    class Viewed(nn.Module):
        def __init__(self, function):
            super().__init__()
            torch.manual_seed(0)
            self.first, self.head, self.function = nn.Linear(6, 8), nn.Linear(8, 3), function

        def forward(self, x):
            return self.head(back(self.function(view(self.first(x)))))

    batch = torch.randn(9, 6, generator=torch.Generator().manual_seed(1)), torch.arange(9) % 3
    one, other, third = (zc.score(Viewed(f), batch, WATCHED) for f in (F.relu_, F.relu, masked_by_index_in_place))
    assert "wrcor" in one and dict(one) == pytest.approx(dict(other), rel=1e-5) == dict(third)


def test_slices_that_are_rectified_apart_are_seen_each():
    x = torch.randn(4, 6)
    found = codes(half_at_a_time_in_place, x.clone())
    assert [code.equal(part > 0) for code, part in zip(found, (x[:, ::2], x[:, 1::2]), strict=True)] == [True, True]
    units = codes(lambda x: torch.stack([torch.relu(unit) for unit in x.unbind(1)], 1), x)
    assert torch.equal(torch.cat(units, 1), x > 0)


def test_an_activation_of_what_the_network_lets_go_of_is_seen():
    x, weight = torch.randn(4, 5), torch.randn(5, 5)
    for function in (lambda x: torch.log(1 + torch.exp(x @ weight)), lambda x: -torch.minimum(-(x @ weight), zero)):
        [found] = codes(function, x)
        assert torch.equal(found, x @ weight > 0)


zero = torch.tensor(0.0)


def test_an_activation_whose_input_is_overwritten_is_a_named_failure():
    def gelu(x):
        inner = torch.erf(x / math.sqrt(2))
        x *= 0.5
        return x.mul_(1 + inner)

    batch = torch.randn(6, 3, 5, 5, generator=torch.Generator().manual_seed(1)), torch.arange(6) % 3
    card = zc.score(cnn(gelu), batch, "near,naswot,wrcor,snip,fisher")
    assert card.failures.keys() == {"near", "naswot", "wrcor"} and "overwrites" in card.failures["near"]


def test_a_residual_connection_around_an_activation_is_a_sum():
    x = torch.randn(4, 5)
    for function in (F.relu, lambda x: x * torch.sigmoid(x)):
        assert len(codes(lambda x, function=function: 0.5 * (x + function(x)), x)) == 1
        twice = codes(lambda x, function=function: function(x + function(x)), x)
        assert torch.equal(twice[1], x + function(x) > 0)


def test_activations_of_two_tensors_side_by_side_are_two():
    x, z = torch.randn(4, 5), torch.randn(4, 5)

    def mish_beside_relu(x):
        inner = F.softplus(x)
        other = F.relu(x @ weight)
        return x * torch.tanh(inner) + other

    weight = torch.randn(5, 5)
    assert [c.equal(s > 0) for c, s in zip(codes(mish_beside_relu, z), (z, z @ weight), strict=True)] == [True, True]
    assert len(codes(lambda x: F.silu(x) * (x @ weight), x)) == 1
