from __future__ import annotations

import pytest
import torch
from torch import nn

import zerocost as zc
from zerocost.engine.watch.blocks import Blocks, find_blocks


@pytest.fixture
def handed_on(watched):
    """The maps that the blocks of a network hand on."""
    return lambda *given: [block.as_map(block.tensor) for block in watched(Blocks, *given)]


def images(n=4):
    return torch.randn(n, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def layers(channels=4, inplace=False):
    return nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU(inplace=inplace))


class Residual(nn.Module):
    def __init__(self, inplace=False):
        super().__init__()
        self.body, self.act = layers(), nn.ReLU(inplace=inplace)

    def forward(self, x):
        return self.act(x + self.body(x))


class Net(nn.Module):
    """Stem, two stages of blocks, head: as in a ResNet."""

    def __init__(self, make=Residual):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.norm, self.relu = nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU()
        self.stage1 = nn.Sequential(make(), make())
        self.stage2 = nn.Sequential(make(), make())
        self.pool, self.head = nn.AdaptiveAvgPool2d(1), nn.Linear(4, 3)

    def forward(self, x):
        x = self.stage2(self.stage1(self.relu(self.norm(self.conv(x)))))
        return self.head(self.pool(x).flatten(1))


class Wrapped(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        return self.model(x)


class Pools(nn.Module):
    """A cell without weights."""

    def __init__(self):
        super().__init__()
        self.ops = nn.ModuleList([nn.AvgPool2d(3, 1, 1), nn.Identity()])

    def forward(self, x):
        return sum(op(x) for op in self.ops)


def flat():
    torch.manual_seed(0)
    return nn.Sequential(*layers(3), *layers(3), nn.Flatten(), nn.Linear(192, 3))


def test_blocks_of_a_resnet_are_those_of_its_stages():
    net = Net()
    assert find_blocks(net) == [*net.stage1, *net.stage2]
    assert find_blocks(Wrapped(Wrapped(net))) == find_blocks(net)


def test_a_plain_list_of_layers_has_no_blocks_wrapped_or_not():
    assert (
        find_blocks(flat())
        == find_blocks(Wrapped(flat()))
        == find_blocks(nn.Sequential(flat()))
        == find_blocks(nn.Linear(2, 2))
        == []
    )


def test_lists_of_layers_are_blocks_and_single_layers_are_not():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), layers(), nn.Sequential(layers(), layers()), nn.Flatten(), nn.Linear(4, 2))
    assert find_blocks(net) == [net[1], net[2][0], net[2][1]]


def test_a_cell_without_weights_in_a_list_of_cells_is_a_block():
    cells = nn.ModuleList([Residual(), Pools(), Residual()])

    class Cells(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem, self.cells, self.last = nn.Conv2d(3, 4, 3), cells, nn.Linear(4, 2)
            self.act = nn.Sequential(nn.BatchNorm2d(4), nn.ReLU())  # layers without weight matrices

    assert find_blocks(Cells()) == list(cells)


def test_the_blocks_hand_on_their_first_input_and_each_output(handed_on):
    net = Net().double()
    x = images().double()
    expected = [net.relu(net.norm(net.conv(x)))]
    for block in (*net.stage1, *net.stage2):
        expected.append(block(expected[-1]))
    found = handed_on(net, x)
    assert len(found) == 5 and all(torch.allclose(a, b) for a, b in zip(found, expected, strict=True))


def test_the_first_block_on_the_input_itself_has_no_map_before_it(handed_on):
    net = nn.Sequential(layers(3), layers(3))
    found = handed_on(net, images())
    assert len(found) == 2 and torch.equal(found[0], net[0](images())) and torch.equal(found[1], net(images()))


def test_writing_over_a_blocks_output_does_not_change_what_it_handed_on(watched):
    class Writes(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.act = nn.Conv2d(4, 4, 3, padding=1), nn.ReLU(inplace=True)

        def forward(self, x):
            return self.conv(self.act(x))

    net = Net(Writes)
    found = [block.tensor for block in watched(Blocks, net, images())]
    stem = net.relu(net.norm(net.conv(images())))
    assert torch.allclose(found[0], stem, atol=1e-6)
    assert bool((found[1] < 0).any())  # before the next block's ReLU
    value = torch.autograd.grad(found[2].sum(), found[1])[0]
    assert bool(value.any())  # and the graph from one to the next is whole


def test_a_flat_network_is_taken_apart_after_each_activation(watched, handed_on):
    net = flat()
    found = handed_on(net, images())
    assert len(found) == 2 and torch.equal(found[0], net[1](net[0](images())))
    assert torch.equal(handed_on(Wrapped(net), images())[1], found[1])
    assert "no blocks" in str(watched(Blocks, nn.Conv2d(3, 4, 3), images()))


def test_tokens_are_handed_on_with_channels_second(handed_on):
    torch.manual_seed(0)
    body = nn.TransformerEncoder(
        nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True), 2, enable_nested_tensor=False
    )
    net = nn.Sequential(nn.Linear(6, 8), body)
    x = torch.randn(4, 5, 6)
    found = handed_on(net, x)
    expected = [net[0](x), body.layers[0](net[0](x)), net(x)]
    assert [tuple(m.shape) for m in found] == [(4, 8, 5)] * 3
    assert all(torch.allclose(a, b.mT, atol=1e-6) for a, b in zip(found, expected, strict=True))


def test_a_block_may_be_called_by_keyword_and_be_given_one_tensor_several_times(watched):
    class Mix(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.Sequential(nn.Linear(6, 6), nn.ReLU())

        def forward(self, query, key, value):
            assert query is key is value
            return self.layers(query)

    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem, self.first, self.second = nn.Linear(6, 6), Mix(), Mix()

        def forward(self, x):
            x = self.stem(x)
            x = self.first(query=x, key=x, value=x)
            return self.second(x, x, value=x)

    assert len(watched(Blocks, Twice(), torch.randn(4, 5, 6))) == 3


@pytest.mark.parametrize("names", ["az_expressivity", "az_progressivity", "az_trainability", "wrcor"])
def test_wrapping_a_network_changes_nothing(names):
    batch = images(8), torch.arange(8) % 3
    for net in (Net(), flat(), nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), layers(), layers(), Head())):
        assert zc.score(Wrapped(net), batch, names)[names] == pytest.approx(zc.score(net, batch, names)[names])


class Head(nn.Module):
    def __init__(self):
        super().__init__()
        self.last = nn.Linear(4, 3)

    def forward(self, x):
        return self.last(x.mean((2, 3)))


AZ = "az_expressivity,az_progressivity,az_trainability"


class Tokens(nn.Module):
    """Blocks on N×T×C, given and giving back other layouts."""

    def __init__(self, there=lambda x: x, back=lambda x: x):
        super().__init__()
        torch.manual_seed(0)
        block = lambda: nn.Sequential(nn.Linear(8, 8), nn.GELU(), nn.Linear(8, 8))  # noqa: E731
        self.stem, self.blocks, self.head = nn.Linear(5, 8), nn.Sequential(block(), block(), block()), nn.Linear(8, 3)
        self.there, self.back = there, back

    def forward(self, x):
        return self.head(self.back(self.blocks(self.there(self.stem(x)))).mean(1))


TOKENS = (torch.randn(4, 6, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64), torch.arange(4) % 3)


@pytest.mark.parametrize(
    ("there", "back"),
    [
        (lambda x: x.transpose(0, 1), lambda x: x.transpose(0, 1)),
        (lambda x: x.flatten(0, 1), lambda x: x.unflatten(0, (4, 6))),
        (lambda x: x.reshape(8, 3, 8), lambda x: x.reshape(4, 6, 8)),
        (lambda x: x.transpose(0, 1).flatten(0, 1), lambda x: x.unflatten(0, (6, 4)).transpose(0, 1)),
    ],
    ids=["sequence first", "tokens in the batch", "windows in the batch", "batch in the tokens"],
)
def test_blocks_are_read_by_sample_wherever_the_samples_are(there, back):
    expected = zc.score(Tokens().double(), TOKENS, AZ).scores
    assert zc.score(Tokens(there, back).double(), TOKENS, AZ).scores == pytest.approx(expected)


class Permuted(nn.Module):
    """A linear layer on the channels of N×C×T, by permuting or, which is the same, as a convolution."""

    def __init__(self, permute):
        super().__init__()
        self.linear, self.permute = nn.Linear(8, 8), permute

    def forward(self, x):
        if self.permute:
            return self.permute(self.linear(self.permute(x)))
        return nn.functional.conv1d(x, self.linear.weight[:, :, None], self.linear.bias)


@pytest.mark.parametrize("permute", [lambda x: x.mT, lambda x: x.permute(0, 2, 1), lambda x: x.swapaxes(1, 2)])
@pytest.mark.parametrize("flat", [True, False])
def test_channels_are_followed_when_a_linear_layer_runs_on_permuted_axes(permute, flat):
    def score(how):
        torch.manual_seed(0)
        parts = [nn.Sequential(Permuted(how), nn.ReLU(), Permuted(how)) for _ in range(3)]
        parts = [layer for part in parts for layer in part] if flat else parts
        model = nn.Sequential(nn.Conv1d(6, 8, 1), *parts, nn.Flatten(), nn.Linear(40, 3))
        return zc.score(model.double(), TOKENS, f"{AZ},near,zen").scores

    assert score(permute) == pytest.approx(score(None))


def test_frames_in_the_batch_keep_their_channels():
    class Frames(nn.Module):
        def __init__(self, merged):
            super().__init__()
            torch.manual_seed(0)
            self.conv, self.head, self.merged = nn.Conv2d(1, 4, 3), nn.Linear(4, 3), merged

        def forward(self, x):  # N×frames×pixels×pixels
            if self.merged:
                x = self.conv(x.flatten(0, 1)[:, None]).relu().unflatten(0, x.shape[:2]).transpose(1, 2)
            else:
                x = nn.functional.conv3d(x[:, None], self.conv.weight[:, :, None], self.conv.bias).relu()
            return self.head(x.mean((2, 3, 4)))

    batch = torch.randn(4, 5, 6, 6, dtype=torch.float64), TOKENS[1]
    names = "near,zen,meco,az_expressivity"
    expected = zc.score(Frames(False).double(), batch, names).scores
    assert zc.score(Frames(True).double(), batch, names).scores == pytest.approx(expected)


def test_what_no_sample_reaches_is_not_handed_on(handed_on):
    class Positions(nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.mix = nn.Parameter(torch.randn(4, 6, 5)), nn.Sequential(nn.Linear(5, 5), nn.ReLU())

        def forward(self):
            return self.mix(self.table)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.positions, self.mix = Positions(), nn.Sequential(nn.Linear(5, 5), nn.ReLU())

        def forward(self, x):
            return self.mix(x + self.positions())

    net, x = Net(), TOKENS[0].float()
    (returned,) = handed_on(net, x)
    assert torch.equal(returned.mT, net(x))


def test_an_activation_inside_vmap_is_named(watched):
    class Mapped(nn.ReLU):
        def forward(self, x):
            return torch.vmap(super().forward)(x)

    net = nn.Sequential(nn.Conv2d(3, 4, 3), Mapped(), nn.Flatten(), nn.Linear(144, 3))
    assert "inside torch.vmap" in str(watched(Blocks, net, images()))
    card = zc.score(net, (images(), torch.arange(4) % 3), f"{AZ},snip")
    assert list(card.scores) == ["snip"] and all("torch.vmap" in reason for reason in card.failures.values())
