from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn


def images(n=4, side=8):
    return torch.randn(n, 3, side, side, generator=torch.Generator().manual_seed(0))


def tokens(n=4, t=5, e=8):
    return torch.randn(n, t, e, generator=torch.Generator().manual_seed(0))


def rows(values):
    """N×C×positions as samples and positions by channels."""
    return values.flatten(2).transpose(1, 2).flatten(0, 1)


@pytest.fixture
def cnn():
    torch.manual_seed(0)
    return nn.Sequential(
        *(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 6, 2), nn.ReLU()),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 3)),
    )


def between(model, x):
    """Output of each layer of a Sequential."""
    outputs = []
    for layer in model:
        x = layer(x)
        outputs.append(x.detach().clone())
    return outputs


class Calls(nn.Module):
    def __init__(self, call, *modules):
        super().__init__()
        self.call, self.parts = call, nn.ModuleList(modules)

    def forward(self, x):
        return self.call(x, *self.parts)


def test_features_of_a_cnn_are_the_last_map_before_pooling(watched, cnn):
    found = watched("features", cnn, images())
    assert torch.equal(found, between(cnn, images())[5].flatten(2)) and found.shape == (4, 6, 4)


def test_features_of_a_residual_network_are_the_sum(watched):
    torch.manual_seed(0)
    conv, head = nn.Conv2d(3, 3, 3, padding=1), nn.Linear(3, 2)
    for add in (lambda a, b: a + b, torch.add, lambda a, b: a.add_(b)):
        model = Calls(lambda x, c, h, add=add: h(add(c(x), x).mean((2, 3))), conv, head)
        assert torch.equal(watched("features", model, images()), (conv(images()) + images()).flatten(2))


def test_features_of_a_transformer_are_its_tokens(watched):
    torch.manual_seed(0)
    layer, head = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True), nn.Linear(8, 3)
    found = watched("features", Calls(lambda x, body, top: top(body(x).mean(1)), layer, head), tokens())
    assert torch.equal(found, layer(tokens()).transpose(1, 2)) and found.shape == (4, 8, 5)


def test_features_of_an_mlp_are_what_its_last_layer_is_given(watched):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 3))
    x = tokens()[:, 0]
    assert torch.equal(watched("features", model, x), torch.relu(model[0](x)))
    assert "neither maps nor a linear layer" in str(watched("features", nn.ReLU(), x))


def test_features_are_not_what_is_written_over_them_later(watched, cnn):
    apart, over = (nn.Sequential(*list(cnn)[:6], nn.Dropout(0.5, inplace=i), *list(cnn)[6:]) for i in (False, True))
    torch.manual_seed(0)
    expected = watched("features", apart, images())
    torch.manual_seed(0)
    assert torch.equal(watched("features", over, images()), expected)


def test_sample_maps_are_those_of_the_first_sample_with_channels_and_positions(watched, cnn):
    outputs = between(cnn, images())
    found = watched("sample_maps", cnn, images())
    assert len(found) == 6  # the pooled map has one position, and what follows has none
    for one, other in zip(found, outputs[:6], strict=True):
        assert torch.equal(one, other[0].flatten(1))


def test_an_activation_in_place_does_not_change_the_map_before_it(watched, cnn):
    inplace = nn.Sequential(*(nn.ReLU(inplace=True) if isinstance(m, nn.ReLU) else m for m in cnn))
    for signal in ("sample_maps", "module_maps"):
        one, other = (watched(signal, model, images()) for model in (cnn, inplace))
        assert len(one) == len(other) and all(map(torch.equal, one, other))


def test_maps_of_tokens_have_their_width_as_channels(watched):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 6), nn.GELU())
    found = watched("sample_maps", model, tokens())
    assert [tuple(m.shape) for m in found] == [(6, 5), (6, 5)]
    assert torch.equal(found[0], model[0](tokens())[0].T)


def test_one_channel_or_one_position_is_no_map(watched):
    assert "no map" in str(watched("sample_maps", nn.Sequential(nn.Conv2d(3, 1, 3)), images()))
    assert "no map" in str(watched("sample_maps", nn.Sequential(nn.Conv2d(3, 4, 8)), images()))


def test_module_maps_count_each_module_that_returns_a_map(watched, cnn):
    outputs = between(cnn, images())
    assert len(watched("module_maps", cnn, images())) == 6
    nested = nn.Sequential(nn.Sequential(nn.Sequential(*list(cnn)[:6])), *list(cnn)[6:])
    found = watched("module_maps", nested, images())
    assert len(found) == 8 and all(torch.equal(m, outputs[5][0].flatten(1)) for m in found[5:])


def test_functions_are_no_modules(watched):
    conv = nn.Conv2d(3, 4, 3)
    model = Calls(lambda x, c: F.relu(c(x)).mean((2, 3)), conv)
    assert len(watched("module_maps", model, images())) == 1
    assert len(watched("sample_maps", model, images())) == 2


def test_neurons_are_a_window_of_each_layers_outputs(watched, cnn):
    outputs = [rows(m) if m.ndim > 2 else m for m in between(cnn, images())]
    layers = [outputs[i] for i in (0, 1, 2, 4, 5, 8)]
    found = watched("neurons", cnn, images())
    assert [tuple(m.shape) for m in found] == [(4, 4), (4, 4), (4, 4), (6, 6), (6, 6), (3, 3)]
    for matrix, whole in zip(found, layers, strict=True):
        windows = whole.unfold(0, len(matrix), 1).transpose(1, 2)
        assert any(torch.equal(window, matrix) for window in windows)


def test_neurons_of_few_samples_are_all_of_them_and_the_window_follows_the_seed(watched):
    torch.manual_seed(0)
    wide, x = nn.Linear(8, 32), tokens()[:, 0]
    assert torch.equal(watched("neurons", wide, x)[0], wide(x))
    narrow = nn.Linear(8, 2)
    many = torch.randn(500, 8)
    one, again, other = (watched("neurons", narrow, many, seed=seed)[0] for seed in (0, 0, 1))
    assert torch.equal(one, again) and not torch.equal(one, other)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's own, of what it imports to compile
def test_what_compile_wraps_a_module_in_is_no_module_of_the_network(watched):
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    x = torch.randn(2, 3, 8, 8)
    expected = watched("module_maps", net, x)
    with torch.compiler.set_stance("force_eager"):
        found = watched("module_maps", nn.Sequential(torch.compile(net[0]), torch.compile(net[1])), x)
    assert len(found) == len(expected) == 3 and all(map(torch.equal, found, expected))


@pytest.mark.parametrize(
    "beside",
    [
        lambda y, layer: layer(y.mean((2, 3))),
        lambda y, layer: y.permute(0, 2, 3, 1).shape,
        lambda y, layer: F.layer_norm(y, y.shape[-1:]),
    ],
    ids=["a layer", "a look at another layout", "a normalisation"],
)
def test_what_is_called_beside_a_map_leaves_its_channels_where_they_are(watched, beside):
    conv, layer = nn.Conv2d(3, 6, 3), nn.Linear(6, 2)

    def network(x, conv, layer):
        y = conv(x)
        beside(y, layer)
        return F.relu(y)

    x = images()
    expected = F.relu(conv(x))[0].flatten(1)
    assert torch.equal(watched("sample_maps", Calls(network, conv, layer), x)[-1], expected)


@pytest.mark.parametrize(
    "way",
    [
        lambda y: y.unsqueeze(1).sum(1),
        lambda y: torch.stack([y, y]).mean(0),
        lambda y: torch.stack([y, y], 1)[:, 0],
        lambda y: torch.cat([y, y]).chunk(2)[0],
    ],
    ids=["unsqueeze", "stack and mean", "stack and pick", "cat and chunk"],
)
def test_channels_are_followed_through_axes_that_come_and_go(watched, way):
    conv, layer = nn.Conv2d(3, 6, 3), nn.Linear(6, 2)

    def network(x, conv, layer):
        y = conv(x)
        layer(y.mean((2, 3)))
        return F.relu(way(y))

    x = images()
    expected = F.relu(conv(x))[0].flatten(1)
    assert torch.equal(watched("sample_maps", Calls(network, conv, layer), x)[-1], expected)


def test_channels_that_were_shuffled_are_found_again(watched):
    conv = nn.Conv2d(3, 6, 3)
    model = Calls(lambda x, conv: conv(x).view(4, 2, 3, 6, 6).transpose(1, 2).reshape(4, 6, 6, 6), conv)
    x = images()
    assert torch.equal(watched("module_maps", model, x)[-1], model(x)[0].flatten(1))


def test_a_sum_of_patches_and_what_a_layer_makes_of_them_has_the_layers_channels(watched):
    def network(x, conv, layer):
        y = conv(x).reshape(4 * 6 * 3, 2, 3, 2).transpose(1, 2).reshape(4, 6, 9, 4)
        patches = y.transpose(1, 3).reshape(4 * 4, 9, 6)
        return patches + layer(patches)

    model, x = Calls(network, nn.Conv2d(3, 6, 3), nn.Linear(6, 6)), images()
    expected = model(x)[:4].flatten(0, 1).T
    assert torch.equal(watched("module_maps", model, x)[-1], expected)
