from __future__ import annotations

import copy
import itertools

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import zerocost as zc
from zerocost.base.errors import Failure
from zerocost.engine.losses import cross_entropy
from zerocost.engine.model.network import Network
from zerocost.engine.observe.observer import Observer
from zerocost.engine.plan import plan
from zerocost.engine.run import measure
from zerocost.engine.settings import DEFAULT
from zerocost.engine.watch.activations import ActivationKernel, SignPatterns
from zerocost.engine.watch.base import Scene
from zerocost.engine.watch.blocks import Blocks
from zerocost.engine.watch.maps import LastFeatures, ModuleMaps
from zerocost.engine.watch.spectra import BlockSpectra
from zerocost.proxies import resolve

N = 6


def signs(call, x):
    """Signs at the activations that a call runs on `x`."""
    observer = Observer(Scene(len(x), in_parts=True), [ActivationKernel])
    with observer.watching():
        call(x)
    result = observer.result(ActivationKernel)
    return [] if isinstance(result, Failure) else result


def signals(model, batch, *proxies, loss=cross_entropy):
    return measure(model, [batch], plan(resolve(proxies)), loss, 0).signals[DEFAULT]


def data(*shape, classes=3, seed=0):
    inputs = torch.randn(N, *shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return inputs, torch.arange(N) % classes


ACTIVATIONS = {
    "nn.ReLU": nn.ReLU(),
    "nn.ReLU in place": nn.ReLU(inplace=True),
    "torch.relu": torch.relu,
    "torch.relu_": torch.relu_,
    "F.relu": F.relu,
    "F.relu positional": lambda x: F.relu(x, True),
    "F.relu keyword": lambda x: F.relu(input=x),
    "method": lambda x: x.relu(),
    "method in place": lambda x: x.relu_(),
    "aten": torch.ops.aten.relu,
    "aten overload": torch.ops.aten.relu.default,
    "nn.ReLU6": nn.ReLU6(),
    "F.relu6": F.relu6,
    "hardtanh": nn.Hardtanh(0.0, 6.0),
    "hardtanh in place": lambda x: F.hardtanh_(x, 0.0, 6.0),
    "clamp": lambda x: x.clamp(min=0),
    "clamp in place": lambda x: x.clamp_(0),
    "torch.clamp": lambda x: torch.clamp(x, 0, 1),
    "clamp_min": lambda x: torch.clamp_min(x, 0),
    "clip": lambda x: x.clip(0, None),
    "threshold": nn.Threshold(0.0, 0.0),
    "leaky_relu": nn.LeakyReLU(0.1),
    "leaky_relu in C": lambda x: torch._C._nn.leaky_relu(x, 0.1),
    "prelu": nn.PReLU().double(),
    "rrelu": nn.RReLU(),
    "elu": nn.ELU(),
    "elu_": F.elu_,
    "celu": nn.CELU(),
    "selu": nn.SELU(),
    "gelu": nn.GELU(),
    "gelu tanh": lambda x: F.gelu(x, approximate="tanh"),
    "silu": nn.SiLU(),
    "silu in C": torch._C._nn.silu,
    "mish": F.mish,
    "softplus": nn.Softplus(),
    "hardswish": nn.Hardswish(inplace=True),
}


@pytest.mark.parametrize("call", ACTIVATIONS.values(), ids=ACTIVATIONS.keys())
def test_an_activation_counts_once_however_it_is_spelt(call):
    x = data(5)[0]
    codes = signs(call, x.clone())
    assert len(codes) == 1
    assert torch.equal(codes[0], x > 0)


@pytest.mark.parametrize(
    "call",
    [
        *(torch.tanh, torch.sigmoid, torch.abs, F.normalize, nn.Softmax(1), nn.Dropout(0.5), nn.MaxPool1d(2)),
        *(nn.Hardtanh(), nn.Identity(), lambda x: x.clamp(-1, 1), lambda x: x.clamp(max=0), lambda x: x * x.abs()),
    ],
)
def test_other_functions_do_not_count(call):
    assert signs(call, data(5)[0]) == []


def test_activations_of_parameters_do_not_count():
    class Gated(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.gate = nn.Linear(5, N), nn.Parameter(torch.randn(N))
            self.scale = nn.Parameter(torch.tensor(0.5))

        def forward(self, x):
            return torch.relu(self.layer(x)) * F.relu(self.gate) * F.softplus(self.scale)

    torch.manual_seed(0)
    model = Gated().double()
    plain = nn.Sequential(model.layer, nn.ReLU())
    batch = data(5)
    assert torch.equal(
        signals(model, batch, "naswot")["activation_kernel"], signals(plain, batch, "naswot")["activation_kernel"]
    )


def test_activations_inside_a_transformer_layer_count():
    layer = nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0, batch_first=True, activation="gelu").double()
    codes = signs(layer, data(3, 4)[0])
    assert [tuple(code.shape) for code in codes] == [(N, 3 * 8)]


def test_nothing_is_seen_after_the_mode_is_left():
    observer = Observer(Scene(N), [ActivationKernel])
    with observer.watching():
        pass
    torch.relu(data(5)[0])
    assert "no activation was seen" in str(observer.result(ActivationKernel))


def test_only_what_is_wanted_is_watched_and_what_it_is_made_of():
    model = nn.Sequential(nn.Linear(5, 5), nn.ReLU())
    observer = Observer(Scene(N, model=model), [ActivationKernel, BlockSpectra])
    assert set(observer.watchers) == {ActivationKernel, BlockSpectra, Blocks}
    assert set(observer.signals("data")) == {"activation_kernel", "block_spectra"}


def test_a_signal_that_cannot_be_measured_costs_no_other():
    class Rows(nn.Module):
        """Gives the last layer fewer rows than there are samples."""

        def forward(self, x):
            return torch.relu(x)[:, None].expand(-1, 3, -1)[:4, 0].relu()

    x = data(5)[0]
    observer = Observer(Scene(N), [ActivationKernel, LastFeatures, SignPatterns])
    with observer.watching():
        Rows()(x)
    assert "has no axis for the 6 samples" in str(observer.result(ActivationKernel))
    assert "has no axis for the 6 samples" in str(observer.result(SignPatterns))
    assert "neither maps nor a linear layer" in str(observer.result(LastFeatures))


def test_hooks_are_on_the_modules_only_while_they_are_watched():
    model = nn.Sequential(*(nn.Sequential(nn.Linear(5, 5), nn.ReLU()) for _ in range(2)))
    observer = Observer(Scene(N, model=model), [BlockSpectra, ModuleMaps])

    def hooks():
        return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())

    with pytest.raises(ValueError, match="stopped"), observer.watching():
        assert hooks() == 4 + 7  # in and out of two blocks, out of seven modules
        raise ValueError("stopped")
    assert hooks() == 0


def by_hand(model, batch, layers):
    """0.5·fan_in·mean over samples of (sum over positions a·∂L/∂a)², with module hooks; channels as the last axis."""
    outputs = {}
    handles = [m.register_forward_hook(lambda m, _, out: outputs.setdefault(m, []).append(out)) for m in layers]
    loss = F.cross_entropy(model(batch[0]), batch[1])
    for handle in handles:
        handle.remove()
    total = 0.0
    for layer in layers:
        values = 0
        for out in outputs[layer]:
            product = out * torch.autograd.grad(loss, out, retain_graph=True)[0]
            product = product.movedim(1, -1) if product.ndim == 4 else product
            values = values + product.reshape(N, -1, product.shape[-1]).sum(1)
        fan_in = layer.weight.numel() / values.shape[1]
        total += float((0.5 * fan_in * values.square().mean(0).sum()).detach())
    return total


def conv(after):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Identity(), nn.Conv2d(4, 4, 3), after, nn.Flatten(), nn.Linear(64, 3)
    ).double()


def test_fisher_equals_the_formula_taken_by_module_hooks():
    model, batch = conv(nn.SiLU()), data(3, 8, 8)
    expected = by_hand(model, batch, [model[0], model[3], model[6]])
    assert zc.score(model, batch, "fisher")["fisher"] == pytest.approx(expected, rel=1e-10)


class Call(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def augmented(x):
    x *= 3
    return F.silu(x)


def through_a_view(x):
    x[:, :1] *= 0
    return F.silu(x)


def by_index(x):
    x[:, 0] = 0.0
    return F.silu(x)


def masked(x):
    return F.silu(x * torch.tensor([0.0, 1, 1, 1], dtype=x.dtype)[:, None, None])


@pytest.mark.parametrize(
    ("write", "apart"),
    [
        (lambda x: F.silu(x, inplace=True), F.silu),
        (nn.Hardswish(inplace=True), F.hardswish),
        (augmented, lambda x: F.silu(3 * x)),
        (lambda x: F.silu(x.mul_(3)), lambda x: F.silu(3 * x)),
        (lambda x: F.silu(torch.ops.aten.mul_.Tensor(x, 3)), lambda x: F.silu(3 * x)),
        (through_a_view, masked),
        (by_index, masked),
    ],
)
def test_writing_over_a_layers_output_does_not_change_fisher(write, apart):
    one, other = (zc.score(conv(Call(call)), data(3, 8, 8), "fisher") for call in (write, apart))
    assert one["fisher"] == pytest.approx(other["fisher"], rel=1e-12)


def test_an_overwrite_that_cannot_be_seen_is_a_failure():
    def hidden(x):
        torch._foreach_mul_([x], 2.0)
        return x

    card = zc.score(conv(Call(hidden)), data(3, 8, 8), "fisher")
    assert "overwritten in place" in card.failures["fisher"]


def test_layers_are_seen_however_they_are_called():
    class Functional(nn.Module):
        def __init__(self, model):
            super().__init__()
            self.inner = model

        def forward(self, x):
            first, norm, _, second, act, _, last = self.inner
            x = act(torch.conv2d(norm(torch.conv2d(x, first.weight, first.bias)), second.weight, bias=second.bias))
            return F.linear(x.flatten(1), weight=last.weight, bias=last.bias)

    batch, model = data(3, 8, 8), conv(nn.SiLU())
    expected = zc.score(model, batch, "fisher")["fisher"]
    assert zc.score(Functional(model), batch, "fisher")["fisher"] == pytest.approx(expected, rel=1e-12)


def test_a_layer_called_twice_counts_once_with_its_contributions_added():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.last = nn.Linear(4, 4), nn.Linear(4, 3)

        def forward(self, x):
            return self.last(torch.relu(self.layer(torch.relu(self.layer(x)))))

    model, batch = Twice().double(), data(4)
    expected = by_hand(model, batch, [model.layer, model.last])
    assert zc.score(model, batch, "fisher")["fisher"] == pytest.approx(expected, rel=1e-10)


class Attention(nn.Module):
    """Attention written out, with the weights of a MultiheadAttention."""

    def __init__(self, mha):
        super().__init__()
        self.mha = copy.deepcopy(mha)
        self.mha.batch_first = True

    def forward(self, x):
        m, (n, t, e) = self.mha, x.shape
        q, k, v = F.linear(x, m.in_proj_weight, m.in_proj_bias).chunk(3, -1)
        split = [a.reshape(n, t, m.num_heads, -1).transpose(1, 2) for a in (q, k, v)]
        mixed = F.scaled_dot_product_attention(*split).transpose(1, 2).reshape(n, t, e)
        return F.linear(mixed, m.out_proj.weight, m.out_proj.bias)


class Classifier(nn.Module):
    def __init__(self, attend, width=4):
        super().__init__()
        torch.manual_seed(1)
        self.attend, self.last = attend, nn.Linear(width, 3)

    def forward(self, x):
        return self.last(self.attend(x).mean(1))


@pytest.mark.parametrize("tokens", [3, N], ids=["tokens", "as many tokens as samples"])
@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("need_weights", [True, False])
def test_the_layers_inside_attention_are_seen_token_by_token(tokens, batch_first, need_weights):
    torch.manual_seed(0)
    mha = nn.MultiheadAttention(4, 2, batch_first=batch_first)

    class Built(nn.Module):
        def __init__(self):
            super().__init__()
            self.mha = mha

        def forward(self, x):
            x = x if batch_first else x.transpose(0, 1)
            out = self.mha(x, x, x, need_weights=need_weights)[0]
            return out if batch_first else out.transpose(0, 1)

    batch = data(tokens, 4)
    built, written = (
        signals(Classifier(attend).double(), batch, "fisher")["channel_saliency"]
        for attend in (Built(), Attention(mha))
    )
    assert len(built) == len(written) == 3
    for one, other in zip(built, written, strict=True):
        assert torch.allclose(one.values, other.values, rtol=1e-10, atol=1e-14) and one.fan_in == other.fan_in


def test_tokens_first_outside_attention_are_told_from_samples():
    class Feed(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0)
            self.last = nn.Linear(4, 3)

        def forward(self, x):
            return self.last(self.layer(x.transpose(0, 1)).mean(0))

    class BatchFirst(Feed):
        def __init__(self):
            super().__init__()
            self.layer.self_attn.batch_first = True

        def forward(self, x):
            return self.last(self.layer(x).mean(1))

    torch.manual_seed(0)
    one, other = Feed().double(), BatchFirst().double()
    other.load_state_dict(one.state_dict())
    for name, size in itertools.product(("fisher", "naswot"), (4, N)):
        assert zc.score(one, data(size, 4), name)[name] == pytest.approx(
            zc.score(other, data(size, 4), name)[name], rel=1e-10
        )


def test_gradients_taken_inside_forward_do_not_count():
    class Energy(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.last = nn.Linear(4, 8), nn.Linear(8, 3)

        def forward(self, x):
            free = x.detach().requires_grad_()
            force = torch.autograd.grad(self.layer(free).sum(), free, create_graph=True)[0]
            return self.last(torch.relu(self.layer(x))) + 0 * force.sum()

    torch.manual_seed(0)
    model, batch = Energy().double(), data(4)
    plain = nn.Sequential(model.layer, nn.ReLU(), model.last)
    assert zc.score(model, batch, "fisher")["fisher"] == pytest.approx(zc.score(plain, batch, "fisher")["fisher"])


def test_samples_hidden_by_vmap_are_a_failure():
    class Mapped(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.last = nn.Linear(4, N), nn.Linear(N, 3)

        def forward(self, x):
            return self.last(torch.vmap(lambda row: torch.relu(self.layer(row)))(x))

    card = zc.score(Mapped().double(), data(4), "naswot, fisher, snip")
    assert set(card.failures) == {"naswot", "fisher"} and "vmap" in card.failures["fisher"]
    assert "snip" in card


def test_a_network_without_activations_or_layers_says_so():
    class Bare(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.rand(4, 3))

        def forward(self, x):
            return torch.tanh((x[..., None] - self.weight).abs().sum(-2))

    card = zc.score(Bare().double(), data(4), "naswot, fisher")
    assert "no activation was seen" in card.failures["naswot"]
    assert "no convolution or linear layer" in card.failures["fisher"]


@pytest.mark.parametrize("hidden", ["closure", "tuple", "tensors"])
def test_a_parameter_read_around_its_module_is_a_failure_not_a_wrong_number(hidden):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = nn.Linear(4, 4), nn.Linear(4, 3)
            weight = self.first.weight
            self.pair = (weight, 0)
            self.layer = lambda x: F.linear(x, weight)

        def forward(self, x):
            if hidden == "closure":
                x = self.layer(x)
            elif hidden == "tuple":
                x = x @ self.pair[0]
            else:
                x = x @ torch.stack([self.pair[0], self.pair[0]])[0]
            return self.last(torch.relu(x))

    card = zc.score(Net().double(), data(4), "snip, synflow, naswot, params")
    assert set(card.failures) == {"snip", "synflow", "naswot"}
    assert all("around its modules" in reason for reason in card.failures.values())


def test_asking_such_a_parameter_for_its_shape_is_harmless():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(4, 3)
            self.pair = (self.first.weight, 0)

        def forward(self, x):
            assert self.pair[0].shape == (3, 4) and self.pair[0].dtype == x.dtype
            return self.first(x)

    assert "snip" in zc.score(Net().double(), data(4), "snip")


def test_the_networks_own_tensors_are_the_originals():
    model = nn.Linear(2, 2)
    assert Network(model).originals == {id(model.weight), id(model.bias)}


def test_channels_are_followed_through_permutations():
    class ConvNeXtBlock(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.linear = nn.Conv2d(3, 4, 3), nn.Linear(4, 7)

        def forward(self, x):
            x = self.conv(x).permute(0, 2, 3, 1)
            return F.gelu(self.linear(x)).permute(0, 3, 1, 2)

    model = ConvNeXtBlock().double()
    found = signals(nn.Sequential(model, nn.ReLU()), data(3, 8, 10), "zen")["features"]
    assert found.shape == (N, 7, 6 * 8)


@pytest.mark.filterwarnings("ignore:`torch.jit")
def test_what_torch_jit_hides_is_named_and_costs_what_does_not_need_it_nothing():
    def network(activation):
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(6, 8), Call(activation), nn.Linear(8, 4))

    batch = torch.randn(8, 6), torch.arange(8) % 4
    relus = torch.jit.trace(torch.relu, torch.zeros(2, 8)), torch.relu
    traced, plain = (zc.score(network(relu), batch, "near,zen,fisher,snip,synflow") for relu in relus)
    assert set(traced.failures) == {"near", "zen", "fisher"} and not plain.failures
    assert all("compiled by torch.jit" in reason for reason in traced.failures.values())
    assert dict(traced) == {name: plain[name] for name in ("snip", "synflow")}
