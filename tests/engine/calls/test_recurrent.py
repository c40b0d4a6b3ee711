"""Recurrent layers in elementary steps, and layer by layer, are torch's own."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves
from torch.utils.checkpoint import checkpoint

import zerocost as zc
from zerocost.engine.calls.recurrent import in_layers, in_steps

LAYERS = {
    "lstm": nn.LSTM,
    "gru": nn.GRU,
    "tanh": nn.RNN,
    "relu": lambda *sizes, **options: nn.RNN(*sizes, nonlinearity="relu", **options),
    "projected": lambda *sizes, **options: nn.LSTM(*sizes, proj_size=3, **options),
}
OPTIONS = {
    "one layer": {},
    "batch first": {"num_layers": 2, "batch_first": True, "dropout": 0.5},
    "both ways": {"num_layers": 3, "bidirectional": True, "dropout": 0.5},
    "no bias": {"num_layers": 2, "bias": False, "bidirectional": True, "batch_first": True},
}


class Opened(TorchFunctionMode):
    """Runs what `opens` says in place of a function."""

    def __init__(self, opens):
        super().__init__()
        self.opens, self.opened = opens, 0

    def __torch_function__(self, function, _, args=(), kwargs=None):
        body = self.opens(function, args, kwargs or {})
        self.opened += body is not None
        return (body or function)(*args, **(kwargs or {}))


def random(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)), dtype=torch.float64)


def padded(layer):
    return (random(4, 5, 6),)


def unbatched(layer):
    return (random(5, 6),)


def with_states(layer):
    samples = 4 if layer.batch_first else 5
    places = layer.num_layers * (1 + layer.bidirectional)
    h = random(places, samples, layer.proj_size or layer.hidden_size)
    return random(4, 5, 6), (h, random(places, samples, layer.hidden_size)) if layer.mode == "LSTM" else h


def packed(layer):
    lengths = [2, 4, 1, 4] if layer.batch_first else [2, 4, 1, 4, 3]
    inputs = random(4, 5, 6)
    return (pack_padded_sequence(inputs, torch.tensor(lengths), layer.batch_first, enforce_sorted=False),)


def run(layer, given, opens):
    """What a layer returns, and the gradients and second derivatives to its parameters."""
    torch.manual_seed(1)
    with Opened(opens) as mode:
        output, states = layer(*given)
    output = output.data if isinstance(output, PackedSequence) else output
    returned = [output, *tree_leaves(states)]
    weights = list(layer.parameters())
    total = sum((one * random(*one.shape)).sum() for one in returned)
    first = torch.autograd.grad(total, weights, create_graph=True)
    second = torch.autograd.grad(sum(one.square().sum() for one in first), weights)
    return [*returned, *first, *second], mode.opened


@pytest.mark.parametrize("given", [padded, unbatched, with_states, packed])
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("kind", LAYERS)
def test_steps_and_layers_give_what_torch_gives(kind, options, given):
    torch.manual_seed(0)
    layer = LAYERS[kind](6, 8, **OPTIONS[options]).double()
    (expected, none), *others = [run(layer, given(layer), how) for how in (lambda *_: None, in_steps, in_layers)]
    assert none == 0 and [opened for _, opened in others] == [1, layer.num_layers > 1]
    for found, _ in others:
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("kind", [nn.LSTMCell, nn.GRUCell, nn.RNNCell])
def test_the_steps_of_a_cell_give_what_it_gives(kind, bias):
    torch.manual_seed(0)
    cell = kind(6, 8, bias=bias).double()
    with Opened(in_steps) as mode:
        found = cell(random(5, 6))
    torch.testing.assert_close(found, cell(random(5, 6)))
    assert mode.opened == 1


@pytest.mark.parametrize("placed", range(4))
def test_functions_take_arguments_by_name(placed):
    torch.manual_seed(0)
    layer, cell = nn.GRU(6, 8).double(), nn.GRUCell(6, 8).double()
    of_layer = {"hx": random(1, 3, 8), "params": layer._flat_weights, "has_biases": True, "num_layers": 1}
    of_layer |= {"dropout": 0.0, "train": True, "bidirectional": False}
    ways = [
        (torch.gru, {"input": random(4, 3, 6), **of_layer, "batch_first": False}),
        (torch.gru, {"data": random(4, 6), "batch_sizes": torch.tensor([3, 1]), **of_layer}),
        (torch.gru_cell, {"input": random(3, 6), "hx": random(3, 8), **named(cell, "w_ih", "w_hh", "b_ih", "b_hh")}),
    ]
    for function, arguments in ways:
        first = list(arguments.values())[:placed]
        others = dict(list(arguments.items())[placed:])
        with Opened(in_steps) as mode:
            found = function(*first, **others)
        torch.testing.assert_close(found, function(*first, **others))
        assert mode.opened == 1


def named(cell, *names):
    return dict(zip(names, cell.parameters(), strict=True))


class Net(nn.Module):
    """A recurrent layer on batch-first inputs, called in some way, and a head on what it returns last."""

    def __init__(self, layer, call=None):
        super().__init__()
        torch.manual_seed(0)
        self.layer, self.call = layer, call or (lambda layer, x: layer(x)[0])
        self.head = nn.LazyLinear(3, dtype=torch.float64)

    def forward(self, x):
        return self.head(self.call(self.layer, x)[:, -1])


def score(layer, proxies, call=None, samples=5):
    net = Net(layer.double(), call)
    net.eval()(random(2, 4, 6))
    return zc.score(net, (random(samples, 4, 6), torch.arange(samples) % 3), proxies)


@pytest.mark.parametrize(
    ("layer", "depth"),
    [
        (nn.GRU(6, 8, batch_first=True), 4),
        (nn.GRU(6, 8, 3, batch_first=True), 4 + 2),
        (nn.LSTM(6, 8, 3, batch_first=True, bidirectional=True), 4 * 3),
        (nn.LSTM(6, 8, 2, batch_first=True, proj_size=3), 2 * (4 + 1)),
    ],
)
def test_the_longest_path_goes_through_steps_and_layers(layer, depth):
    assert score(layer, "depth")["depth"] == depth + 1


def test_depth_is_that_of_a_loop_over_the_steps_of_cells():
    def loop(cells, x):
        states = [None] * len(cells)
        for values in x.unbind(1):
            for place, cell in enumerate(cells):
                states[place] = cell(states[place - 1] if place else values, states[place])
        return states[-1][:, None]

    cells = nn.ModuleList([nn.GRUCell(6, 8), nn.GRUCell(8, 8), nn.GRUCell(8, 8)])
    by_hand, whole = score(cells, "depth,flops", loop), score(nn.GRU(6, 8, 3, batch_first=True), "depth,flops")
    assert dict(by_hand) == dict(whole)


def test_layers_are_counted_where_torchs_counter_counts_the_rest():
    def call(layer, x):
        return layer(x.sort(1).values)[0]

    layer = nn.LSTM(6, 8, 2, batch_first=True, bidirectional=True)
    assert score(layer, "flops", call)["flops"] == score(layer, "flops")["flops"] == 4 * 2 * (448 + 768) + 48


def test_each_layer_is_a_block():
    """Whether all layers are in one module or each in its own, and whether other proxies look at their steps or not."""

    def chain(layers, x):
        for layer in layers:
            x = layer(x)[0]
        return x

    torch.manual_seed(0)
    whole = nn.LSTM(6, 8, 3, batch_first=True, bidirectional=True)
    apart = nn.ModuleList(nn.LSTM(width, 8, batch_first=True, bidirectional=True) for width in (6, 16, 16))
    for place, layer in enumerate(apart):
        for name, parameter in layer.named_parameters():
            parameter.data = getattr(whole, name.replace("l0", f"l{place}")).data
    of_blocks = "az_expressivity,az_progressivity,az_trainability"
    expected = score(whole, of_blocks)
    assert not expected.failures
    for found in (score(apart, of_blocks, chain), score(whole, of_blocks + ",near,fisher")):
        assert {name: found[name] for name in expected} == pytest.approx(dict(expected), rel=1e-9)


def test_a_layer_of_one_step_is_a_block():
    layer = nn.RNN(6, 8, 2, batch_first=True, nonlinearity="relu")
    assert score(layer, "az_expressivity", lambda layer, x: layer(x[:, :1])[0])["az_expressivity"] > 0


def test_the_rows_of_a_packed_sequence_are_of_no_sample_by_name():
    def call(layer, x):
        packed = pack_padded_sequence(x, torch.tensor([1, 4, 2, 3, 4])[: len(x)], True, enforce_sorted=False)
        return pad_packed_sequence(layer(packed)[0], True)[0].sum(1, keepdim=True)

    found = score(nn.GRU(6, 8, 2, batch_first=True), "snip,log_synflow,grasp,flops,near,fisher,az_expressivity", call)
    assert set(found.failures) == {"near", "fisher", "az_expressivity"}
    assert "padded sequence" in found.failures["near"]


def test_a_layer_inside_a_checkpoint_scores_or_says_why_not():
    def call(layer, x):
        return checkpoint(lambda values: layer(values)[0], x, use_reentrant=False)

    proxies = "snip,grasp,log_synflow,jacob_cov,az_expressivity"
    plain = score(nn.GRU(6, 8, batch_first=True), proxies)
    found = score(nn.GRU(6, 8, batch_first=True), f"{proxies},near", call)
    assert set(found.failures) == {"near"} and "without checkpoints" in found.failures["near"]
    assert {name: found[name] for name in plain} == pytest.approx(dict(plain), rel=1e-9)
    several = score(nn.GRU(6, 8, 2, batch_first=True), "snip,az_expressivity", call)
    assert set(several.failures) == {"az_expressivity"}


def test_a_cell_inside_a_checkpoint_scores_or_says_why_not():
    def call(cell, x):
        return checkpoint(cell, x[:, 0], use_reentrant=False)[:, None]

    found = score(nn.GRUCell(6, 8), "snip,grasp,log_synflow,depth,near", call)
    assert set(found.failures) == {"near"} and found["depth"] == 2


def test_dropout_between_layers_is_no_part_of_a_flow_with_normalisation_kept():
    with_dropout, without = (nn.GRU(6, 8, 2, batch_first=True, dropout=p) for p in (0.5, 0.0))
    without.load_state_dict(with_dropout.state_dict())
    one, other = score(with_dropout, "synflow_bn,synflow"), score(without, "synflow_bn,synflow")
    assert dict(one) == pytest.approx(dict(other), rel=1e-9)


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")
@pytest.mark.parametrize("compiled", ["part", "whole"])
def test_a_layer_compiled_by_torch_jit_fails_by_name(compiled):
    """It reads its weights from a list, so that gradients to what stands in for them would be zero."""
    layer = nn.GRU(6, 8, batch_first=True)
    net = nn.Sequential(layer, Last(), nn.Linear(8, 3)).double()
    net = torch.jit.script(net) if compiled == "whole" else nn.Sequential(torch.jit.script(net[:2]), net[2])
    card = zc.score(net, (random(5, 4, 6), torch.arange(5) % 3), "snip,active_params,near")
    assert set(card.failures) == {"snip", "active_params", "near"}
    assert all("torch.jit" in reason for reason in card.failures.values())


class Last(nn.Module):
    def forward(self, given: tuple[torch.Tensor, torch.Tensor]):
        return given[0][:, -1]


def test_layers_and_cells_of_a_module_that_attends_are_linear_layers_of_dss():
    class Decodes(nn.Module):
        def __init__(self, layer):
            super().__init__()
            torch.manual_seed(0)
            self.query, self.head, self.layer = nn.Linear(6, 1), nn.Linear(8, 3), layer

        def forward(self, x):
            read = (torch.softmax(self.query(x).mT, -1) @ x)[:, 0]
            if isinstance(self.layer, nn.GRUCell):
                return self.head(self.layer(read))
            return self.head(self.layer(read[:, None])[0][:, -1])

    layer, cell = nn.GRU(6, 8, batch_first=True), nn.GRUCell(6, 8)
    cell.load_state_dict({name.removesuffix("_l0"): value for name, value in layer.state_dict().items()})
    proxies = ["dss", "dss(normalisation=kept)"]  # whose flow takes steps
    cards = [zc.score(Decodes(each).double(), random(5, 4, 6), proxies) for each in (layer, cell)]
    assert [*cards[0].values(), *cards[1].values()] == pytest.approx([cards[0]["dss"]] * 4, rel=1e-9)


def test_a_layer_beside_attention_is_a_linear_layer_of_dss():
    class Attends(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.layer, self.query, self.head = nn.LSTM(6, 8, batch_first=True), nn.Linear(8, 1), nn.Linear(8, 3)

        def forward(self, x):
            x = self.layer(x)[0]
            return self.head((torch.softmax(self.query(x).mT, -1) @ x)[:, 0])

    net = Attends().double()
    before = zc.score(net, random(5, 4, 6), "dss")["dss"]
    net.layer.weight_hh_l0.data.zero_()
    assert zc.score(net, random(5, 4, 6), "dss")["dss"] < before


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
def test_equal_weights_are_those_of_recurrent_layers_too(kind):
    """So that `epsinas` does not depend on how they were initialised."""
    found = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        found.append(score(kind(6, 8, 2, batch_first=True, bidirectional=True), "epsinas")["epsinas"])
    assert found[0] == pytest.approx(found[1], rel=1e-9) and found[0] > 0


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRUCell])
def test_weights_drawn_anew_leave_no_bias(kind):
    def call(layer, x):
        return layer(x)[0] if kind is nn.LSTM else layer(x[:, 0])[:, None]

    options = {"batch_first": True} if kind is nn.LSTM else {}
    layer = kind(6, 8, **options).double()
    found = []
    for scale in (1, 3):
        for name, parameter in layer.named_parameters():
            parameter.data *= scale if "bias" in name else 1
        found.append(score(layer, "snip(initialisation=kaiming)", call)["snip(initialisation=kaiming)"])
    assert found[0] == found[1]
