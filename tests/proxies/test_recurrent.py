"""Recurrent layers score as the same arithmetic written by hand, by every proxy."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import zerocost as zc
from zerocost.proxies import names

SAMPLES, STEPS, FEATURES, UNITS, CLASSES, WORDS = 6, 5, 3, 8, 4, 11


def lstm(x, state, w, b):
    h, c = state
    i, f, g, o = (x + F.linear(h, w, b)).chunk(4, -1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


def gru(x, state, w, b):
    (h,) = state
    (r, z, n), (hr, hz, hn) = x.chunk(3, -1), F.linear(h, w, b).chunk(3, -1)
    r, z = torch.sigmoid(r + hr), torch.sigmoid(z + hz)
    n = torch.tanh(n + r * hn)
    return ((h - n) * z + n,)


def plain(x, state, w, b):
    return (torch.tanh(x + F.linear(state[0], w, b)),)


def rectified(x, state, w, b):
    return (F.relu(x + F.linear(state[0], w, b)),)


class ByHand(nn.Module):
    """The layers of an nn.LSTM, GRU or RNN as loops, with its parameters under its names; batch first."""

    def __init__(self, layer, step):
        super().__init__()
        self.step, self.directions = step, ("", "_reverse") if layer.bidirectional else ("",)
        self.layers, self.units, self.states = layer.num_layers, layer.hidden_size, 1 + isinstance(layer, nn.LSTM)
        self.kept = getattr(layer, "proj_size", 0) or self.units
        for name, parameter in layer.named_parameters():
            self.register_parameter(name, parameter)

    def get(self, name, place):
        return getattr(self, f"{name}_{place}", None)

    def forward(self, x):
        x = x.transpose(0, 1)
        for layer in range(self.layers):
            made = []
            for direction in self.directions:
                place = f"l{layer}{direction}"
                given = F.linear(x, self.get("weight_ih", place), self.get("bias_ih", place)).unbind(0)
                state = tuple(x.new_zeros(x.shape[1], units) for units in (self.kept, self.units)[: self.states])
                outputs = []
                for values in given[::-1] if direction else given:
                    state = self.step(values, state, self.get("weight_hh", place), self.get("bias_hh", place))
                    if self.kept < self.units:
                        state = (F.linear(state[0], self.get("weight_hr", place)), *state[1:])
                    outputs.append(state[0])
                made.append(torch.stack(outputs[::-1] if direction else outputs))
            x = torch.cat(made, -1) if len(made) > 1 else made[0]
        return x.transpose(0, 1), None


class Cells(nn.Module):
    """A loop of one cell; batch first."""

    def __init__(self, cell):
        super().__init__()
        self.cell = cell

    def forward(self, x):
        state, outputs = None, []
        for values in x.unbind(1):
            state = self.cell(values, state)
            outputs.append(state[0] if isinstance(state, tuple) else state)
        return torch.stack(outputs, 1), None


class CellByHand(nn.Module):
    def __init__(self, cell, step):
        super().__init__()
        self.step = step
        for name, parameter in cell.named_parameters():
            self.register_parameter(name, parameter)
        self.states = 1 + isinstance(cell, nn.LSTMCell)

    def forward(self, x, state):
        state = (x.new_zeros(len(x), UNITS),) * self.states if state is None else state
        return self.step(F.linear(x, self.weight_ih, self.bias_ih), state, self.weight_hh, self.bias_hh)


class Classifier(nn.Module):
    def __init__(self, layer, width):
        super().__init__()
        self.layer, self.head = layer, nn.Linear(width, CLASSES)

    def forward(self, x):
        return self.head(self.layer(x)[0][:, -1])


class LanguageModel(nn.Module):
    def __init__(self, layer, width):
        super().__init__()
        self.embedding, self.layer, self.head = nn.Embedding(WORDS, FEATURES), layer, nn.Linear(width, WORDS)

    def forward(self, tokens):
        return self.head(self.layer(self.embedding(tokens))[0])


def pair(network, build, step, width=UNITS, cells=False):
    """A network, and the same with its recurrent layers by hand."""
    found = []
    for by_hand in (False, True):
        torch.manual_seed(0)
        layer = build()
        if cells:
            layer = Cells(CellByHand(layer, step) if by_hand else layer)
        elif by_hand:
            layer = ByHand(layer, step)
        torch.manual_seed(1)
        found.append(network(layer, width).double())
    return found


def results(network, proxies, samples=SAMPLES):
    generator = torch.Generator().manual_seed(0)
    if isinstance(network, LanguageModel):
        text = torch.randint(WORDS, (samples, STEPS + 1), generator=generator)
        return zc.score(network, (text[:, :-1], text[:, 1:]), proxies, task="next_token")
    inputs = torch.randn(samples, STEPS, FEATURES, generator=generator, dtype=torch.float64)
    return zc.score(network, (inputs, torch.arange(samples) % CLASSES), proxies)


CASES = {
    "lstm": lambda: pair(Classifier, lambda: nn.LSTM(FEATURES, UNITS, batch_first=True), lstm),
    "gru": lambda: pair(Classifier, lambda: nn.GRU(FEATURES, UNITS, batch_first=True), gru),
    "tanh": lambda: pair(Classifier, lambda: nn.RNN(FEATURES, UNITS, batch_first=True), plain),
    "relu": lambda: pair(Classifier, lambda: nn.RNN(FEATURES, UNITS, batch_first=True, nonlinearity="relu"), rectified),
    "both ways": lambda: pair(
        Classifier, lambda: nn.LSTM(FEATURES, UNITS, 2, batch_first=True, bidirectional=True), lstm, 2 * UNITS
    ),
    "projected": lambda: pair(
        Classifier, lambda: nn.LSTM(FEATURES, UNITS, 2, batch_first=True, bias=False, proj_size=4), lstm, 4
    ),
    "language model": lambda: pair(LanguageModel, lambda: nn.GRU(FEATURES, UNITS, 2, batch_first=True), gru),
    "lstm cell": lambda: pair(Classifier, lambda: nn.LSTMCell(FEATURES, UNITS), lstm, cells=True),
    "gru cell": lambda: pair(
        LanguageModel,
        lambda: nn.GRUCell(FEATURES, UNITS),
        lambda *a: gru(a[0], (a[1],), *a[2:])[0] if isinstance(a[1], torch.Tensor) else gru(*a)[0],
        cells=True,
    ),
}
OTHERWISE = {"az_expressivity", "az_progressivity", "az_trainability"}
"""Proxies of blocks, which loops by hand have none of."""


@pytest.mark.parametrize("name", CASES)
def test_a_recurrent_layer_scores_as_the_same_by_hand(name):
    fused, by_hand = CASES[name]()
    proxies = [p for p in names() if p not in OTHERWISE]
    one, other = results(fused, proxies), results(by_hand, proxies)
    assert one.failures == other.failures
    differ = {p: (v, other[p]) for p, v in one.scores.items() if not math.isclose(v, other[p], rel_tol=1e-8)}
    assert not differ
