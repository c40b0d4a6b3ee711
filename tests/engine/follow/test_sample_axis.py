"""Each place is held to what it says: other data for one sample changes the rows of that sample alone."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from zerocost.base.errors import Failure
from zerocost.engine.follow.places import CONSTANT, GATHERED, REDUCED, SPLIT, NoPlace, SamplePlace
from zerocost.engine.follow.sample_axis import SampleAxis
from zerocost.engine.modes.call_mode import CallMode

CHANGED = 1


class Places(CallMode):
    """Keeps the name, the value and the place of every floating-point result."""

    def __init__(self, model, inputs):
        super().__init__()
        self.axis = SampleAxis(len(inputs), inputs, [*model.parameters(), *model.buffers()])
        self.seen = []

    def call(self, function, name, args, kwargs):
        result = function(*args, **kwargs)
        self.axis.follow(function, name, args, kwargs, result)
        if isinstance(result, torch.Tensor) and result.is_floating_point():
            self.seen.append((name, result.detach().clone(), self.axis.place(result)))
        return result


def seen(model, inputs):
    places = Places(model.eval(), inputs)
    with torch.no_grad(), places:
        model(inputs)
    return places.seen


def check(model, inputs):
    """The places of all results, each held to what it says."""
    other = inputs.clone()
    other[CHANGED] = inputs[CHANGED].flip(0) if inputs.ndim > 2 else (inputs[CHANGED] + 1) % 7
    once, again = seen(model, inputs), seen(model, other)
    for (name, value, place), (_, changed, _) in zip(once, again, strict=True):
        if isinstance(place, SamplePlace):
            rows = (place.rows(value) != place.rows(changed)).reshape(len(inputs), -1).any(1)
            assert not rows[torch.arange(len(inputs)) != CHANGED].any(), (name, tuple(value.shape), place)
        elif place is CONSTANT:
            assert torch.equal(value, changed), (name, tuple(value.shape))
    return [place for _, _, place in once]


def images(n, c=4, size=8):
    return torch.rand(n, c, size, size, generator=torch.Generator().manual_seed(0))


def tokens(n, length=6):
    return torch.randint(7, (n, length), generator=torch.Generator().manual_seed(0))


class Lambda(nn.Module):
    def __init__(self, function, *parts):
        super().__init__()
        self.function, self.parts = function, nn.ModuleList(parts)

    def forward(self, x):
        return self.function(x, *self.parts)


def windows(x, layer):
    n, c, h, w = x.shape
    x = x.permute(0, 2, 3, 1).view(n, h // 4, 4, w // 4, 4, c).permute(0, 1, 3, 2, 4, 5).reshape(-1, 16, c)
    x = torch.relu(layer(x))
    return x.view(n, h // 4, w // 4, 4, 4, c).transpose(2, 3).reshape(n, h, w, c)


def heads_first(x, word, qkv):
    n, length = x.shape
    q, k, v = qkv(word(x)).view(n, length, 3, 2, 4).permute(2, 0, 3, 1, 4).unbind(0)
    return (F.softmax(q @ k.mT, -1) @ v).transpose(1, 2).flatten(2)


def loop(x, layer):
    x = x.flatten(2).permute(2, 0, 1)
    out = x.new_zeros(len(x), x.shape[1], 4)
    for t in range(len(x)):
        out[t] = torch.relu(layer(x[t]))
    return out * 2


def einsum(x, layer):
    return torch.einsum("nchw,nchv->hnwv", x, torch.relu(layer(x))).mean((2, 3))


def joined(x, layer):
    first = layer.weight[:, :1, 0, 0].T.expand(len(x), 1, -1)
    return torch.cat([first, layer(x).flatten(2).mT], 1).relu()


def transposed(x, layer):
    return (layer(x).flatten(1).T @ x.flatten(1)).relu()


def doubled(x, layer):
    first, last = torch.relu(layer(torch.cat([x, -x]).flatten(1))).chunk(2)
    return first + last


def columns(x, layer):
    return torch.relu(F.linear(layer.weight, x.flatten(1))).T


def one_hot(x, layer):
    return torch.relu(layer(F.one_hot(x, 7).float()))


def last_token(x, word, layer):
    return torch.relu(layer(word(x)[torch.arange(len(x)), x.argmax(1)]))


NETWORKS = {
    "doubled": lambda n: (Lambda(doubled, nn.Linear(256, 4)), images(n)),
    "columns": lambda n: (Lambda(columns, nn.Linear(256, 4)), images(n)),
    "one-hot": lambda n: (Lambda(one_hot, nn.Linear(7, 4)), tokens(n)),
    "last token": lambda n: (Lambda(last_token, nn.Embedding(7, 8), nn.Linear(8, 4)), tokens(n)),
    "windows": lambda n: (Lambda(windows, nn.Linear(4, 4)), images(n)),
    "heads first": lambda n: (Lambda(heads_first, nn.Embedding(7, 8), nn.Linear(8, 24)), tokens(n)),
    "loop": lambda n: (Lambda(loop, nn.Linear(4, 4)), images(n)),
    "einsum": lambda n: (Lambda(einsum, nn.Conv2d(4, 4, 3, padding=1)), images(n)),
    "joined": lambda n: (Lambda(joined, nn.Conv2d(4, 4, 3, padding=1)), images(n)),
    "transposed": lambda n: (Lambda(transposed, nn.Conv2d(4, 4, 3, padding=1)), images(n)),
    "LSTM": lambda n: (
        Lambda(lambda x, cell: cell(x.flatten(2))[1][0][-1].relu(), nn.LSTM(64, 4, batch_first=True)),
        images(n),
    ),
    "tokens first": lambda n: (
        Lambda(lambda x, layer: layer(x.flatten(2).permute(2, 0, 1)), nn.TransformerEncoderLayer(4, 2, 8)),
        images(n),
    ),
}


@pytest.mark.parametrize("n", [2, 3, 4, 6, 8])
@pytest.mark.parametrize("name", NETWORKS)
def test_samples_are_followed_wherever_a_network_moves_them(name, n):
    torch.manual_seed(0)
    places = check(*NETWORKS[name](n))
    assert sum(isinstance(place, SamplePlace) for place in places) > len(places) / 2


@pytest.mark.parametrize("n", [4, 6])
def test_what_no_sample_reaches_is_constant(n):
    def standardised(x, conv):
        weight = F.batch_norm(conv.weight.reshape(1, 6, -1), None, None, training=True)
        return F.conv2d(x, torch.relu(weight).reshape_as(conv.weight))

    places = check(Lambda(standardised, nn.Conv2d(4, 6, 3)), images(n))
    assert places[:-1] == [CONSTANT] * 4 and places[-1] == SamplePlace(0)


def test_samples_split_into_groups_are_along_none_of_the_axes():
    def groups(x):
        return (x.flatten(1)[:, :4].view(2, 2, 4) * 2).reshape(4, 4)

    split, doubled, together = check(Lambda(groups), images(4))[-3:]
    assert split is doubled is SPLIT and together == SamplePlace(0)


def test_a_mean_over_the_samples_has_none_of_them():
    places = check(Lambda(lambda x: torch.relu(x.mean(0))), images(4))
    assert places == [REDUCED, REDUCED]


def test_rows_that_are_picked_one_by_one_cannot_be_told_apart():
    def experts(x, word, layer):
        x = word(x).flatten(0, 1)
        order = x.sum(1).argsort()
        return torch.relu(layer(x[order]))

    model, x = Lambda(experts, nn.Embedding(7, 4), nn.Linear(4, 4)), tokens(4)
    assert check(model, x)[-1] is GATHERED
    places = Places(model, x)
    with places:
        last = model(x)
    with pytest.raises(Failure, match="cannot be read by sample: its rows were picked one by one"):
        places.axis.rows(last)


def test_a_part_of_the_samples_is_named_so():
    model = Lambda(lambda x: x[:2].relu() * x[2:])
    x = images(4)
    places = Places(model, x)
    with places:
        last = model(x)
    with pytest.raises(Failure, match="a part of the samples, as of a chunk or slice; let the network run on all"):
        places.axis.rows(last)


def swapped_parts(x, layer):
    return torch.relu(layer(torch.cat([part * 1 for part in reversed(x.flatten(1).chunk(2))])))


def parts_in_another_order(x, layer):
    return torch.relu(layer(torch.cat([part.flip(0) for part in x.flatten(1).chunk(2)])))


def parts_side_by_side(x, layer):
    return torch.cat([layer(part) for part in x.flatten(1).chunk(2)], 1).relu()


def parts_added_up(x, layer):
    return torch.cat([layer(part).sum(0) for part in x.flatten(1).chunk(2)]).relu()


def parts_as_long_as_channels(x, layer):
    return torch.cat([(part @ part.T).relu() for part in x.flatten(1).chunk(2)])


def backwards(x, layer):
    return torch.stack([layer(one.flatten()) for one in reversed(x.unbind(0))])


def one_of_two(x, layer):
    return torch.cat([layer(one[None].flatten(1)) + layer(x.flatten(1))[:1] for one in x])


def patches_as_samples(x, layer):
    return layer(x.flatten(1).as_strided((4, 64), (1, 4)))


def squeezed(x, layer):
    x = layer(x.flatten(1))[None]
    x.squeeze_(0)
    return torch.relu(x)


PARTS = [swapped_parts, parts_in_another_order, parts_side_by_side, parts_added_up, parts_as_long_as_channels]


@pytest.mark.parametrize("forward", [*PARTS, backwards, one_of_two, patches_as_samples, squeezed])
def test_samples_that_are_cut_apart_are_never_left_out_in_silence(forward):
    model, x = Lambda(forward, nn.Linear(64, 4)), images(4, c=1)
    places = Places(model, x)
    with places:
        last = model(x)
    with pytest.raises(Failure, match="cannot be read by sample"):
        places.axis.rows(last)


@pytest.mark.parametrize(
    ("loop", "place"),
    [
        (lambda x, layer: torch.stack([layer(one.flatten()) for one in x]), SamplePlace(0)),
        (lambda x, layer: torch.stack([layer(x[i].flatten()) for i in range(4)], -1), SamplePlace(1)),
        (lambda x, layer: torch.cat([layer(one.flatten(1)) for one in x.split(1)]), SamplePlace(0)),
        (lambda x, layer: torch.cat([layer(x[i, 0]).relu() for i in range(4)]), SamplePlace(0, after=8)),
        (lambda x, layer: torch.cat([layer(part) for part in x.flatten(1).chunk(2)]), SamplePlace(0)),
        (lambda x, layer: torch.cat([layer(part).T for part in x.flatten(1).split([2, 2])], -1), SamplePlace(1)),
        (lambda x, layer: torch.cat([layer(x[a:b].flatten(1)) for a, b in ((0, 3), (3, 4))]), SamplePlace(0)),
    ],
)
def test_samples_that_a_loop_runs_alone_or_in_parts_are_told_apart_when_they_are_joined(loop, place):
    layer = nn.Linear(8, 4) if place.after > 1 else nn.Linear(64, 4)
    assert check(Lambda(lambda x, layer: loop(x, layer).relu(), layer), images(4, c=1))[-1] == place


def test_what_a_loop_computes_of_one_sample_is_no_map_of_the_batch():
    model = Lambda(lambda x, layer: torch.stack([layer(one.flatten()).relu() for one in x]), nn.Linear(64, 4))
    inside = [place for name, _, place in seen(model, images(4, c=1)) if name == "relu"]
    assert [place.sample for place in inside] == [0, 1, 2, 3]
    assert all(place.reason == "it is of one sample alone, as in a loop over the batch" for place in inside)


@pytest.mark.parametrize("write", [lambda part, h: part.copy_(h), lambda part, h: part.add_(h)])
def test_samples_written_through_a_view_reach_the_whole(write):
    def forward(x, layer):
        buffer = torch.zeros(6, 5)
        write(buffer[:, :4], layer(x.flatten(1)))
        return torch.relu(buffer)

    assert check(Lambda(forward, nn.Linear(64, 4)), images(6, c=1))[-1] == SamplePlace(0)


@pytest.mark.parametrize(("shift", "axes"), [(4, 3), (0, 2), ((1, 4), (2, 3))])
def test_a_roll_along_other_axes_leaves_samples_in_place(shift, axes):
    assert check(Lambda(lambda x: torch.roll(x, shift, axes).relu()), images(5))[-1] == SamplePlace(0)


def test_a_tensor_of_unknown_history_is_read_by_its_shape():
    axis = SampleAxis(4, torch.zeros(4, 3))
    assert axis.place(torch.zeros(4, 4)) == SamplePlace(0) and axis.place(torch.zeros(3, 4)) == SamplePlace(1)
    assert axis.place(torch.zeros(12, 5)) == SamplePlace(0, after=3)
    for shape, reason in (((3, 4, 4), "several of its axes"), ((3, 5), "no axis for the 4 samples")):
        place = axis.place(torch.zeros(shape))
        assert isinstance(place, NoPlace) and reason in (place.reason or "")


def test_a_single_sample_is_a_row_of_its_own():
    axis = SampleAxis(1, torch.zeros(1, 3))
    assert axis.rows(torch.zeros(1, 5)).shape == (1, 5) and axis.rows(torch.zeros(7, 5)).shape == (1, 7, 5)
