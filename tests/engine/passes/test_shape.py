from __future__ import annotations

import pytest
import torch
from torch import nn

import zerocost as zc
from zerocost.engine.losses import cross_entropy
from zerocost.engine.plan import plan
from zerocost.engine.run import measure
from zerocost.engine.settings import DEFAULT
from zerocost.proxies import resolve


def flops(model, *inputs):
    card = zc.score(model, inputs[0] if len(inputs) == 1 else (tuple(inputs), None), "flops")
    return card["flops"]


@pytest.mark.parametrize(
    ("layer", "shape", "products"),
    [
        (nn.Linear(5, 7), (5,), 5 * 7),
        (nn.Linear(5, 7), (3, 5), 3 * 5 * 7),
        (nn.Conv2d(3, 8, 3, padding=1), (3, 10, 10), 10 * 10 * 8 * 3 * 9),
        (nn.Conv2d(3, 8, 3, stride=2), (3, 11, 11), 5 * 5 * 8 * 3 * 9),
        (nn.Conv2d(8, 8, 3, groups=8, bias=False), (8, 10, 10), 8 * 8 * 8 * 9),
        (nn.Conv1d(3, 4, 5), (3, 10), 6 * 4 * 3 * 5),
        (nn.Conv3d(2, 4, 3), (2, 4, 4, 4), 8 * 4 * 2 * 27),
        (nn.ConvTranspose2d(3, 4, 2, stride=2), (3, 5, 5), 25 * 3 * 4 * 4),
        (nn.Bilinear(4, 4, 6), None, 6 * (4 * 4 + 4)),
        (nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.GELU(), nn.AvgPool2d(2)), (3, 4, 4), 16 * 12),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else None,
)
def test_products_of_known_layers(layer, shape, products):
    inputs = (torch.rand(2, 4), torch.rand(2, 4)) if shape is None else (torch.rand(2, *shape),)
    assert flops(layer, *inputs) == products


@pytest.mark.parametrize("batch_first", [True, False])
def test_attention(batch_first):
    tokens, width = 5, 8

    class Attend(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.TransformerEncoderLayer(width, 2, 16, batch_first=batch_first)

        def forward(self, x):
            return self.layer(x if batch_first else x.transpose(0, 1)).sum(1)

    projections = 4 * tokens * width * width
    attention = 2 * tokens * tokens * width
    feed = 2 * tokens * width * 16
    assert flops(Attend(), torch.rand(3, tokens, width)) == projections + attention + feed


@pytest.mark.parametrize(("kind", "gates"), [(nn.LSTM, 4), (nn.GRU, 3), (nn.RNN, 1)])
def test_recurrent_layers(kind, gates):
    class Last(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = kind(6, 8, batch_first=True)

        def forward(self, x):
            return self.layer(x)[0]

    assert flops(Last(), torch.rand(3, 5, 6)) == 5 * gates * 8 * (6 + 8)


class Looks(nn.Module):
    """Decides by a value, which the meta device does not have."""

    def __init__(self):
        super().__init__()
        self.layer, self.calls = nn.Linear(4, 3), 0

    def forward(self, x):
        self.calls += 1
        return self.layer(x) if x.sum().item() > 0 else self.layer(self.layer.weight.new_ones(len(x), 4))


def test_a_network_that_looks_at_values_runs_for_real():
    model = Looks()
    assert flops(model, torch.rand(3, 4)) == 12
    assert model.calls == 0


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_recurrent_layers_run_for_real_count_the_same(kind):
    class Net(nn.Module):
        def __init__(self, looks):
            super().__init__()
            self.layer, self.looks = kind(6, 8, num_layers=2, bidirectional=True), looks

        def forward(self, x):
            assert not self.looks or x.sum().item() > 0
            return self.layer(x.transpose(0, 1))[0].transpose(0, 1)

    assert flops(Net(True), torch.rand(3, 5, 6)) == flops(Net(False), torch.rand(3, 5, 6)) > 0


@pytest.mark.parametrize(
    ("call", "products"),
    [
        (lambda x, w: x @ w[0], 4),
        (lambda x, w: torch.dot(x[0], w[0])[None], 4),
        (lambda x, w: torch.addmv(x[:, 0], x, w[0]), 4),
        (lambda x, w: x @ w.T, 12),
        (lambda x, w: torch.einsum("nd,cd->nc", x, w), 12),
        (lambda x, w: torch.addbmm(x.new_zeros(len(x), 3), x[None], w.T[None]), 12),
    ],
)
def test_products_without_a_layer(call, products):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.rand(3, 4))

        def forward(self, x):
            return call(x, self.weight)

    assert flops(Net(), torch.rand(2, 4)) == products


def test_one_that_makes_tensors_of_its_own_on_the_cpu_too():
    class Makes(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.basis = nn.Linear(4, 3), torch.rand(4, 4)

        def forward(self, x):
            return self.layer(x @ self.basis)

    assert flops(Makes(), torch.rand(3, 4)) == 16 + 12


def test_no_arithmetic_is_done_on_a_network_of_any_size():
    with torch.device("meta"):
        huge = nn.Sequential(nn.Linear(100_000, 100_000), nn.ReLU(), nn.Linear(100_000, 10))
    card = zc.score(huge, torch.rand(2, 100_000), ["flops", "params"])
    assert card["flops"] == 10**10 + 10**6 and card["params"] == 10**10 + 10**5 + 10**6 + 10


def test_dtype_and_mode_do_not_matter():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.Flatten(), nn.Linear(144, 3))
    x = torch.rand(2, 3, 8, 8)
    assert flops(model, x) == flops(model.eval(), x) == flops(model.half(), x) == flops(model.double(), x)


def test_hooks_of_the_counter_do_not_linger():
    hooks = nn.modules.module
    before = len(hooks._global_forward_hooks), len(hooks._global_forward_pre_hooks)

    class Raises(nn.Linear):
        def forward(self, x):
            raise ValueError("no")

    assert "ValueError: no" in zc.score(Raises(4, 3), torch.rand(2, 4), "flops").failures["flops"]
    assert (len(hooks._global_forward_hooks), len(hooks._global_forward_pre_hooks)) == before


def depth(model, *shape):
    return zc.score(model, torch.rand(2, *shape), "depth")["depth"]


class Graph(nn.Module):
    """Layers of width 4 put together by a function of x and of a maker of layers."""

    def __init__(self, call, count=6):
        super().__init__()
        self.layers, self.call = nn.ModuleList(nn.Linear(4, 4) for _ in range(count)), call

    def forward(self, x):
        return self.call(x, *self.layers)


def _into_slices(x, a, b, *_):
    out = torch.zeros_like(x)
    out[:, :2] = a(x)[:, :2]
    out[:, 2:].copy_(b(out)[:, 2:])
    return out


@pytest.mark.parametrize(
    ("call", "longest"),
    [
        (_into_slices, 2),
        (lambda x, a, b, c, *_: c(torch.relu(b(torch.tanh(a(x))))), 3),
        (lambda x, a, b, c, *_: c(x + b(torch.relu(a(x)))), 3),  # the residual path is the shorter one
        (lambda x, a, b, c, *_: a(x) + c(b(x)), 2),
        (lambda x, a, b, c, d, *_: torch.cat([a(x), b(c(d(x)))], 1), 3),
        (lambda x, a, b, *_: a(x) * torch.sigmoid(b(a(x)).mean(1, keepdim=True)), 2),
        (lambda x, a, *_: a(a(a(x))), 3),  # a layer called three times
        (lambda x, a, b, c, *_: torch.stack([a(x), b(x), c(b(x))]).sum(0), 2),
        (lambda x, a, b, *_: a(x).add_(b(a(x))), 2),
        (lambda x, a, b, *_: (b(a(x)), a(x))[1], 1),  # what the output does not depend on
        (lambda x, a, b, c, *_: torch.where(a(x) > 0, b(x), c(b(x))), 2),
    ],
)
def test_depth_is_that_of_the_longest_path(call, longest):
    assert depth(Graph(call), 4) == longest


def test_depth_of_convolutions_blocks_and_attention():
    block = lambda: nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(inplace=True))  # noqa: E731
    cnn = nn.Sequential(nn.Conv2d(3, 4, 3), block(), nn.MaxPool2d(2), block(), nn.Flatten(), nn.Linear(36, 3))
    assert depth(cnn, 3, 8, 8) == 4
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    assert depth(nn.Sequential(layer, nn.Flatten(), nn.Linear(40, 3)), 5, 8) == 2 + 2 + 1


def test_no_layer_has_no_depth():
    class Bare(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.rand(4, 3))

        def forward(self, x):
            return (x[..., None] - self.weight).abs().sum(-2)

    assert "no convolution or linear layer" in zc.score(Bare(), torch.rand(2, 4), "depth").failures["depth"]


def sizes(model, *shape):
    """Positions and channels of each layer's output."""
    found = measure(model, [(torch.rand(2, *shape), None)], plan(resolve("zico_bc")), cross_entropy, 0)
    return [tuple(size) for size in found.signals[DEFAULT]["layer_sizes"]]


def test_layer_sizes_are_positions_and_channels():
    cnn = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 6, 3, stride=2), nn.Flatten(), nn.Linear(24, 5))
    assert sizes(cnn, 3, 8, 8) == [(36, 4), (4, 6), (1, 5)]
    assert sizes(nn.Sequential(nn.Conv1d(3, 4, 3), nn.ConvTranspose1d(4, 2, 3)), 3, 8) == [(6, 4), (8, 2)]
    assert sizes(nn.Sequential(nn.Linear(6, 9), nn.Flatten(), nn.Linear(45, 2)), 5, 6) == [(5, 9), (1, 2)]


def test_an_expert_that_no_token_goes_to_has_no_size():
    class Experts(nn.Module):
        def __init__(self):
            super().__init__()
            self.experts = nn.ModuleList([nn.Linear(6, 6), nn.Linear(6, 6)])

        def forward(self, x):
            used, spare = (expert(x[x[:, 0] > least]) for expert, least in zip(self.experts, (0, 2), strict=True))
            return torch.cat([used, spare])

    assert sizes(Experts(), 6) == [(1, 6)]


@pytest.mark.parametrize("batch_first", [True, False])
def test_layer_sizes_of_tokens_count_tokens_wherever_they_are(batch_first):
    class Encoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.head = nn.TransformerEncoderLayer(8, 2, 16, batch_first=batch_first), nn.Linear(8, 3)

        def forward(self, x):
            return (
                self.head(self.layer(x).mean(1)) if batch_first else self.head(self.layer(x.mT.mT.transpose(0, 1))[0])
            )

    assert sizes(Encoder(), 5, 8) == [(5, 24), (5, 8), (5, 16), (5, 8), (1, 3)]
