"""Recurrent layers score as the same arithmetic written by hand, by every proxy."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import zerocost as zc
from zerocost.proxies import names

SAMPLES, STEPS, FEATURES, UNITS, CLASSES, WORDS = 6, 5, 3, 8, 4, 11
OTHERWISE = {
    *("az_expressivity", "az_progressivity", "az_trainability"),  # a loop by hand has no blocks
    *("peak_memory", "peak_memory_fp16", "peak_memory_int8", "training_memory"),  # a fused kernel keeps less
}


def lstm(x, state, w, b):
    h, c = state
    i, f, g, o = (x + F.linear(h, w, b)).chunk(4, -1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


def gru(x, state, w, b):
    (h,), (r, z, n), (hr, hz, hn) = state, x.chunk(3, -1), F.linear(state[0], w, b).chunk(3, -1)
    n = torch.tanh(n + torch.sigmoid(r + hr) * hn)
    return ((h - n) * torch.sigmoid(z + hz) + n,)


def plain(x, state, w, b):
    return (torch.tanh(x + F.linear(state[0], w, b)),)


def rectified(x, state, w, b):
    return (F.relu(x + F.linear(state[0], w, b)),)


class ByHand(nn.Module):
    """A recurrent layer or cell in elementary functions, with its parameters under its names; batch first."""

    def __init__(self, layer, step):
        super().__init__()
        self.step, self.units = step, (getattr(layer, "proj_size", 0) or UNITS, UNITS)[: 2 if step is lstm else 1]
        for name, parameter in layer.named_parameters():
            self.register_parameter(name, parameter)

    def get(self, kind, place=""):
        return getattr(self, kind + place, None)

    def first(self, samples, like):
        return tuple(like.new_zeros(samples, units) for units in self.units)


class Layers(ByHand):
    def forward(self, x):
        x, layer = x.transpose(0, 1), 0
        while self.get("weight_ih", f"_l{layer}") is not None:
            made = [self.run(x, f"_l{layer}")]
            if self.get("weight_ih", f"_l{layer}_reverse") is not None:
                made.append(self.run(x, f"_l{layer}_reverse"))
            x, layer = torch.cat(made, -1) if len(made) > 1 else made[0], layer + 1
        return x.transpose(0, 1), None

    def run(self, x, place):
        given, order = F.linear(x, self.get("weight_ih", place), self.get("bias_ih", place)), range(len(x))
        state, outputs = self.first(x.shape[1], x), {}
        for t, values in sorted(enumerate(given.unbind(0)), reverse=place.endswith("reverse")):
            state = self.step(values, state, self.get("weight_hh", place), self.get("bias_hh", place))
            if self.get("weight_hr", place) is not None:
                state = (F.linear(state[0], self.get("weight_hr", place)), *state[1:])
            outputs[t] = state[0]
        return torch.stack([outputs[t] for t in order])


class Cell(ByHand):
    def forward(self, x, state):
        state = self.first(len(x), x) if state is None else state if isinstance(state, tuple) else (state,)
        state = self.step(F.linear(x, self.weight_ih, self.get("bias_ih")), state, self.weight_hh, self.get("bias_hh"))
        return state if len(state) > 1 else state[0]


class Loop(nn.Module):
    """A loop over the steps of a cell; batch first."""

    def __init__(self, cell):
        super().__init__()
        self.cell = cell

    def forward(self, x):
        state, outputs = None, []
        for values in x.unbind(1):
            state = self.cell(values, state)
            outputs.append(state[0] if isinstance(state, tuple) else state)
        return torch.stack(outputs, 1), None


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


def score(network, proxies):
    generator = torch.Generator().manual_seed(0)
    if isinstance(network, LanguageModel):
        text = torch.randint(WORDS, (SAMPLES, STEPS + 1), generator=generator)
        return zc.score(network, (text[:, :-1], text[:, 1:]), proxies, task="next_token")
    inputs = torch.randn(SAMPLES, STEPS, FEATURES, generator=generator, dtype=torch.float64)
    return zc.score(network, (inputs, torch.arange(SAMPLES) % CLASSES), proxies)


CASES = {
    "lstm": (Classifier, nn.LSTM, lstm, {}, UNITS),
    "gru": (Classifier, nn.GRU, gru, {"bias": False}, UNITS),
    "tanh": (Classifier, nn.RNN, plain, {}, UNITS),
    "relu": (Classifier, nn.RNN, rectified, {"nonlinearity": "relu"}, UNITS),
    "both ways": (Classifier, nn.LSTM, lstm, {"num_layers": 2, "bidirectional": True}, 2 * UNITS),
    "projected": (LanguageModel, nn.LSTM, lstm, {"num_layers": 2, "proj_size": 4}, 4),
    "language model": (LanguageModel, nn.GRU, gru, {"num_layers": 2}, UNITS),
    "lstm cell": (LanguageModel, nn.LSTMCell, lstm, {}, UNITS),
    "gru cell": (Classifier, nn.GRUCell, gru, {"bias": False}, UNITS),
    "tanh cell": (Classifier, nn.RNNCell, plain, {}, UNITS),
}


def build(case, by_hand):
    network, kind, step, options, width = CASES[case]
    torch.manual_seed(0)
    if issubclass(kind, nn.RNNCellBase):
        cell = kind(FEATURES, UNITS, **options)
        layer = Loop(Cell(cell, step) if by_hand else cell)
    else:
        layer = kind(FEATURES, UNITS, batch_first=True, **options)
        layer = Layers(layer, step) if by_hand else layer
    torch.manual_seed(1)
    return network(layer, width).double()


@pytest.mark.parametrize("case", CASES)
def test_a_recurrent_layer_scores_as_the_same_by_hand(case):
    proxies = [name for name in names() if name not in OTHERWISE]
    one, other = (score(build(case, by_hand), proxies) for by_hand in (False, True))
    assert one.failures == other.failures
    # of what is stacked, the loop's steps are as deep as the last one
    deep = {"depth"} if CASES[case][3].get("num_layers", 1) > 1 else set()
    assert {name: one[name] for name in one if name not in deep} == pytest.approx(
        {name: other[name] for name in one if name not in deep}, rel=1e-8
    )


def test_all_parts_of_the_default_for_text_but_that_of_attention_score_a_recurrent_language_model():
    card = score(build("language model", by_hand=False), "tokens")
    assert set(card.failures) == {"dss"} and len(card.scores) == 3


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_a_forecaster_of_two_layers_is_scored_by_the_default_proxies(kind):
    torch.manual_seed(0)
    net = Classifier(kind(FEATURES, UNITS, 2, batch_first=True), UNITS)
    inputs = torch.randn(SAMPLES, 3 * UNITS, FEATURES, generator=torch.Generator().manual_seed(0))
    card = zc.score(net, (inputs, inputs.mean(1) @ torch.ones(FEATURES, CLASSES)), zc.combine.default.proxies)
    assert not card.failures
