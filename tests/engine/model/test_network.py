from __future__ import annotations

import pytest
import torch
from torch import nn

import zerocost as zc
from zerocost.engine.model.network import Network, unwrap


def mlp():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))


def batch(n=6):
    return torch.randn(n, 4, generator=torch.Generator().manual_seed(0)), torch.arange(n) % 3


def run(model, inputs, tensors=None):
    network = Network(model)
    with network.fresh(0, training=False), torch.no_grad():
        return network.run(tensors or network.copies(), inputs)


def test_weight_matrices_are_parameters_of_two_axes_outside_normalisation_shared_ones_once():
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.LayerNorm((4, 2, 2)), nn.Embedding(5, 2))
    model.append(nn.MultiheadAttention(4, 2))
    model.append(nn.Conv2d(3, 4, 1))
    model[5].weight = model[0].weight
    model.register_parameter("whole", nn.Parameter(torch.ones(2, 2, dtype=torch.long), requires_grad=False))
    assert Network(model).weight_names == ["0.weight", "3.weight", "4.in_proj_weight", "4.out_proj.weight"]


def test_the_model_runs_on_the_tensors_that_stand_in_for_its_own():
    model, (x, _) = mlp(), batch()
    tensors = {name: 2 * t for name, t in Network(model).copies().items()}
    with torch.no_grad():
        expected = nn.functional.linear(torch.relu(2 * model[0](x)), 2 * model[2].weight, 2 * model[2].bias)
    assert torch.allclose(run(model, x, tensors), expected)


def test_writing_into_weights_and_buffers_in_forward_leaves_the_models_own_alone():
    class Writes(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.norm = nn.Linear(4, 3), nn.BatchNorm1d(3)

        def forward(self, x):
            self.layer.weight.data.clamp_(-0.1, 0.1)
            with torch.no_grad():
                self.layer.bias.add_(1)
            return self.norm(self.layer(x))

    model = Writes()
    before = {name: t.clone() for name, t in model.state_dict().items()}
    zc.score(model, batch(), zc.proxies.names())
    assert all(torch.equal(t, before[name]) for name, t in model.state_dict().items())


def test_a_weight_read_through_a_list_or_dictionary_counts_like_one_read_from_its_module():
    class Reads(nn.Module):
        def __init__(self, inner, through):
            super().__init__()
            self.inner, self.list, self.dict = inner, [inner[0].weight], {"w": {"w": inner[0].weight}}
            self.through = through

        def forward(self, x):
            weight = {"list": self.list[0], "dict": self.dict["w"]["w"], "module": self.inner[0].weight}[self.through]
            return self.inner[2](torch.relu(nn.functional.linear(x, weight, self.inner[0].bias)))

    names = ["snip", "synflow", "grasp", "fisher", "naswot"]
    one, other, plain = (zc.score(Reads(mlp(), through), batch(), names) for through in ("list", "dict", "module"))
    assert dict(one) == dict(other) == dict(plain) == dict(zc.score(mlp(), batch(), names))


def test_dtype_and_device_are_those_of_the_parameters():
    network = Network(mlp().to(torch.bfloat16))
    assert (network.dtype, network.device) == (torch.bfloat16, torch.device("cpu"))
    images, labels = network.prepare((torch.rand(2, 3, dtype=torch.float64), torch.tensor([0, 1])))
    assert (images.dtype, labels.dtype) == (torch.bfloat16, torch.int64)
    assert Network(nn.Flatten()).dtype == torch.float32


def test_the_dtype_is_that_of_most_weight_matrices():
    table, layers = nn.Embedding(9, 3).half(), [nn.Linear(3, 3) for _ in range(3)]
    assert Network(nn.Sequential(table, layers[0])).dtype == torch.float32
    model = nn.ParameterList([nn.Parameter(torch.ones(9, 3, dtype=torch.half))])
    assert Network(nn.ModuleList([model, *layers])).dtype == torch.float32
    normalised = nn.Sequential(layers[0].half(), *(nn.LayerNorm(3) for _ in range(3)))
    assert Network(normalised).dtype == torch.float16


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_scores_in_another_dtype_are_near_those_in_float32(dtype):
    wanted = ["snip", "grad_norm", "synflow", "jacob_cov", "l2_norm", "fisher"]
    reference, card = zc.score(mlp(), batch(), wanted), zc.score(mlp().to(dtype), batch(), wanted)
    assert card.provenance["dtype"] == str(dtype).removeprefix("torch.")
    assert not card.failures
    assert all(card[name] == pytest.approx(reference[name], rel=0.05) for name in wanted)


@pytest.mark.parametrize(
    ("inputs", "forward"),
    [
        (torch.ones(2, 4), lambda x: x),
        ((torch.ones(2, 4), torch.ones(2, 4)), lambda a, b: a + b),
        ([torch.ones(2, 4), torch.ones(2, 4)], lambda a, b: a + b),
        ({"b": torch.ones(2, 4), "a": torch.ones(2, 4)}, lambda a, b: a - b),
    ],
)
def test_inputs_are_passed_as_the_network_takes_them(inputs, forward):
    model = nn.Module()
    model.forward = forward
    assert run(model, inputs).shape == (2, 4)


def test_scripted_modules_are_failures_with_advice():
    with pytest.warns((DeprecationWarning, FutureWarning)):
        scripted = torch.jit.script(mlp())
    assert "torch.jit" in zc.score(nn.Sequential(scripted), batch(), "naswot").failures["naswot"]


def test_a_network_without_weights_fails_only_where_weights_are_needed():
    card = zc.score(
        nn.Sequential(nn.Flatten(), nn.ReLU()), batch(3), ["params", "naswot", "jacob_cov", "snip", "synflow"]
    )
    assert set(card.failures) == {"snip", "synflow"}
    assert all("no weight matrices" in reason for reason in card.failures.values())


def test_complex_parameters_are_refused_by_what_is_defined_for_real_ones():
    class Spectral(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.filter = nn.Linear(4, 3), nn.Parameter(torch.randn(3, dtype=torch.cfloat))

        def forward(self, x):
            return torch.fft.ifft(torch.fft.fft(torch.relu(self.layer(x))) * self.filter).real

    undefined = {"snip", "synflow", "l2_norm", "ntk_condition", "vkdnw", "epsinas"}
    card = zc.score(Spectral(), batch(), [*undefined, "params", "flops"])
    assert set(card.failures) == undefined
    assert all("complex parameters" in reason for reason in card.failures.values())


def test_complex_outputs_of_a_layer_are_refused_by_what_is_computed_of_them():
    class Waves(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = nn.Linear(4, 6), nn.Linear(8, 3)

        def forward(self, x):
            weight = torch.view_as_complex(self.last.weight.unflatten(1, (4, 2)))
            return (torch.fft.fft(torch.relu(self.first(x)))[:, :4] @ weight.T).abs()

    card = zc.score(Waves(), batch(), ["near", "lnwot", "snip"])
    assert set(card.failures) == {"near", "lnwot"}
    assert all("complex numbers" in reason for reason in card.failures.values())


def compiled(model):
    return torch.compile(model, backend="eager")


@pytest.mark.parametrize("wrap", [nn.DataParallel, compiled, lambda m: compiled(nn.DataParallel(m))])
def test_wrappers_are_taken_off(wrap):
    model = mlp()
    assert unwrap(wrap(model)) is model
    assert dict(zc.score(wrap(model), batch(), "snip,naswot,flops")) == dict(
        zc.score(model, batch(), "snip,naswot,flops")
    )


def test_compiled_layers_run_uncompiled():
    model = mlp()
    mixed = nn.Sequential(compiled(model[0]), model[1], model[2])
    assert dict(zc.score(mixed, batch(), "snip,naswot")) == dict(zc.score(model, batch(), "snip,naswot"))


def test_a_train_method_of_its_own_is_respected_or_its_error_named():
    class Frozen(nn.Sequential):
        def train(self, mode=True):
            super().train(mode)
            self[1].eval()
            return self

    norm = nn.BatchNorm1d(8)
    layers = [nn.Linear(4, 8), norm, nn.ReLU(), nn.Linear(8, 3)]
    with torch.no_grad():
        norm.running_mean.fill_(0.3)
    torch.manual_seed(0)
    frozen, fixed = Frozen(*layers), nn.Sequential(layers[0], Fixed(norm), *layers[2:])
    assert zc.score(frozen, batch(), "snip")["snip"] == pytest.approx(zc.score(fixed, batch(), "snip")["snip"])

    class Refuses(nn.Linear):
        def train(self, mode=True):
            raise ValueError("no training")

    assert "no training" in zc.score(Refuses(4, 3), batch(), "snip").failures["snip"]


class Fixed(nn.Module):
    """BatchNorm by its running statistics."""

    def __init__(self, norm):
        super().__init__()
        self.norm = norm

    def forward(self, x):
        norm = self.norm
        return (x - norm.running_mean) / (norm.running_var + norm.eps).sqrt() * norm.weight + norm.bias


def test_what_forward_leaves_behind_does_not_reach_the_next_pass():
    class Counts(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.calls, self.cache = nn.Linear(4, 3), 0, []

        def forward(self, x):
            self.calls += 1
            self.cache.append(x)
            return self.layer(torch.relu(x)) * self.calls * len(self.cache)

    together = zc.score(Counts(), batch(), ["flops", "synflow", "snip", "jacob_cov"])
    torch.manual_seed(0)
    model = Counts()
    for name in together:
        assert (
            zc.score(model, batch(), name)[name]
            == zc.score(model, batch(), ["flops", "synflow", "snip", "jacob_cov"])[name]
        )
    assert model.calls == 0 and model.cache == []


def test_the_callers_inputs_are_not_written_to_and_keep_their_gradient():
    x, y = batch()
    x = x.requires_grad_()
    x.grad = torch.ones_like(x)
    before = x.detach().clone()
    apart, over = (
        zc.score(nn.Sequential(nn.ReLU(inplace=i), mlp()), (x, y), zc.proxies.names()) for i in (False, True)
    )
    assert dict(over) == dict(apart) and over.failures == apart.failures and len(over) > 20
    assert torch.equal(x.detach(), before) and x.requires_grad and torch.equal(x.grad, torch.ones_like(x))


def test_a_network_of_one_input_is_told_that_there_are_two():
    inputs, labels = batch()
    card = zc.score(mlp(), ((inputs, inputs), labels), "snip")
    assert card.failures["snip"].endswith("; the data gives it 2 inputs, one after the other")


def test_a_network_of_the_whole_batch_alone_is_said_to_have_been_given_a_part_of_it():
    class Graph(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.edges = nn.Linear(4, 3), torch.eye(len(batch()[1]))

        def forward(self, x):
            return self.edges @ self.layer(x)

    card = zc.score(Graph(), batch(), "snip,synflow")
    assert card["snip"] > 0
    assert card.failures["synflow"].endswith(f"; it was given 1 of the batch's {len(batch()[1])} samples")


class Freezes(nn.Module):
    """Decides by itself, while it runs, of what gradients are computed."""

    def __init__(self, act, undo):
        super().__init__()
        self.inner, self.act, self.undo = mlp(), act, undo

    def forward(self, x):
        self.act(self.inner[0])
        y = self.inner(x)
        self.undo(self.inner[0])
        return y


ALL = "snip,grad_norm,synflow,ntk_condition,ntk_trace,vkdnw,zico,grasp,gradsign,epsinas,fisher,wrcor,params"


@pytest.mark.parametrize(
    ("act", "undo"),
    [
        (lambda layer: layer.requires_grad_(False), lambda layer: None),
        (lambda layer: layer.requires_grad_(False), lambda layer: layer.requires_grad_(True)),
        (lambda layer: setattr(layer.weight, "requires_grad", False), lambda layer: None),
        (lambda layer: layer.weight.detach_(), lambda layer: None),
        (lambda layer: layer.weight.register_hook(lambda g: g), lambda layer: layer.weight.retain_grad()),
    ],
)
def test_what_a_network_decides_about_gradients_while_it_runs_changes_no_score(act, undo):
    model, plain = Freezes(act, undo), Freezes(lambda layer: None, lambda layer: None)
    one, other = (zc.score(net, batch(), ALL) for net in (model, plain))
    assert one.failures == other.failures == {} and dict(one) == pytest.approx(dict(other), rel=1e-6)
    assert model.inner[0].weight.requires_grad and not model.inner[0].weight._backward_hooks


def test_a_network_that_computes_gradients_while_it_runs_is_scored():
    class Slope(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = mlp()

        def forward(self, x):
            x = x.requires_grad_()
            return torch.autograd.grad(self.inner(x).sum(), x, create_graph=True)[0]

    card = zc.score(Slope(), batch(), "flops,depth,epsinas,zen,snip,zico_bc")
    assert not card.failures and card["flops"] == 2 * (4 * 8 + 8 * 3)


def test_vkdnw_of_a_checkpointed_network_is_that_of_the_network():
    class Checkpointed(Freezes):
        def forward(self, x):
            return torch.utils.checkpoint.checkpoint(self.inner, x, use_reentrant=False)

    nothing = lambda _: None  # noqa: E731
    one, other = (zc.score(kind(nothing, nothing), batch(), "vkdnw") for kind in (Checkpointed, Freezes))
    assert one["vkdnw"] == pytest.approx(other["vkdnw"], rel=1e-6)


def test_a_network_that_returns_a_generator_has_not_run():
    class Yields(nn.Module):
        def forward(self, x):
            yield x

    card = zc.score(Yields(), batch(), "flops,naswot,active_params,params,peak_memory")
    assert card.failures.keys() == {"flops", "naswot", "active_params", "peak_memory"}
    assert all("returned a generator, which has not run" in reason for reason in card.failures.values())


@pytest.mark.filterwarnings("ignore:Initializing zero-element")
def test_layers_without_units_change_nothing_else():
    class Empty(nn.Module):
        def __init__(self, units):
            super().__init__()
            torch.manual_seed(0)
            self.first, self.last = nn.Linear(4, 8), nn.Linear(8, 3)
            self.none = nn.Linear(8, units) if units is not None else None

        def forward(self, x):
            x = torch.relu(self.first(x))
            return self.last(x if self.none is None else torch.cat([x, torch.relu(self.none(x))], 1))

    one, other = (zc.score(Empty(units), batch(), ALL + ",near,naswot,jacob_cov,flops") for units in (0, None))
    assert one.failures == other.failures and dict(one) == pytest.approx(dict(other), rel=1e-6)


def test_a_sparse_weight_is_a_layer():
    class Sparse(nn.Module):
        def __init__(self, sparse):
            super().__init__()
            torch.manual_seed(0)
            weight = torch.randn(8, 4)
            self.weight, self.last = nn.Parameter(weight.to_sparse() if sparse else weight), nn.Linear(8, 3)

        def forward(self, x):
            return self.last(torch.relu(torch.sparse.mm(self.weight, x.T).T))

    one, other = (zc.score(Sparse(sparse), batch(), "near,fisher,depth,swap,snip") for sparse in (True, False))
    assert not one.failures and dict(one) == pytest.approx(dict(other), rel=1e-5)
    assert one["depth"] == 2


def test_a_network_of_a_smaller_vocabulary_is_told_what_ids_there_are():
    model = nn.Sequential(nn.Embedding(5, 2), nn.Flatten(), nn.Linear(6, 2))
    card = zc.score(model, (torch.arange(12).reshape(4, 3) - 1, torch.arange(4) % 2), "grad_norm")
    assert card.failures["grad_norm"].endswith("; the whole numbers that it was given are -1 to 10")


@pytest.mark.parametrize("by_method", [True, False])
def test_a_forward_that_sets_a_parameter_is_told_what_to_write(by_method):
    class Counting(nn.Linear):
        def forward(self, x):
            with torch.no_grad():
                if by_method:
                    self.bias.add_(1)
                else:
                    self.bias += 1
            return super().forward(x)

    card = zc.score(Counting(4, 2), (torch.rand(4, 4), torch.arange(4) % 2), "grad_norm")
    assert by_method == ("grad_norm" in card.scores)
    assert by_method or card.failures["grad_norm"].endswith("by a method, as p.add_(1), not by p += 1")
