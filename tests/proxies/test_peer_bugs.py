"""Mistakes found in other implementations of these proxies; each must stay impossible here."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import zerocost as zc

ALL = [name for name in zc.proxies.__all__ if name in zc.proxies.names()]


def images(samples: int = 8) -> Tensor:
    return torch.randn(samples, 3, 8, 8, generator=torch.Generator().manual_seed(3))


def batch(samples: int = 8) -> tuple[Tensor, Tensor]:
    return images(samples), torch.arange(samples) % 4


def seeded(build: Callable[[], nn.Module], seed: int = 0) -> nn.Module:
    return zc.seeding.initialise(build, seed)


def cnn(activation: nn.Module | None = None) -> nn.Module:
    return nn.Sequential(
        *(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), activation or nn.ReLU()),
        *(nn.Conv2d(8, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, 4)),
    )


def mlp() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(192, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 4))


class Applied(nn.Module):
    """A function of a tensor as a module of a given class name."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


# ---- 1. NASWOT found activations by the name of a module's class


@pytest.mark.parametrize(
    "relu",
    [F.relu, torch.relu, torch.relu_, Tensor.relu, lambda x: F.relu(x, inplace=True), lambda x: x.clamp(min=0)],
    ids=["F.relu", "torch.relu", "torch.relu_", "Tensor.relu", "F.relu in place", "clamp"],
)
def test_naswot_counts_functional_activations(relu: Callable[[Tensor], Tensor]) -> None:
    by_module, by_function = seeded(cnn), seeded(lambda: cnn(Applied(relu)))
    expected = zc.score(by_module, images(), "naswot")["naswot"]
    assert zc.score(by_function, images(), "naswot")["naswot"] == pytest.approx(expected, rel=1e-12)
    blind = zc.score(seeded(lambda: cnn(nn.Identity())), images(), "naswot")["naswot"]
    assert abs(blind - expected) > 1e-3  # so the first activation does count


def test_naswot_does_not_depend_on_class_names() -> None:
    model = seeded(cnn)
    expected = zc.score(model, images(), "naswot")["naswot"]
    for name in ("ReLUConvBN", "Sequential2"):
        renamed = copy.deepcopy(model)
        renamed.__class__ = type(name, (nn.Sequential,), {})
        assert zc.score(renamed, images(), "naswot")["naswot"] == expected


@pytest.mark.parametrize("activation", [nn.ReLU6(), nn.LeakyReLU(), nn.GELU(), nn.SiLU(), nn.Hardswish(), nn.PReLU()])
def test_naswot_counts_activations_that_are_not_called_relu(activation: nn.Module) -> None:
    model = seeded(lambda: nn.Sequential(nn.Flatten(), nn.Linear(192, 64), activation, nn.Linear(64, 4)))
    kernel = codes_agree(model[1](model[0](images())) > 0)
    assert zc.score(model, images(), "naswot")["naswot"] == pytest.approx(kernel.logdet().item(), rel=1e-10)


def codes_agree(code: Tensor) -> Tensor:
    on = code.double()
    return on @ on.T + (1 - on) @ (1 - on).T


# ---- 2. Running out of memory split the batch and changed the score


def fails_above(samples: int, model: nn.Module) -> nn.Module:
    """The model in a network that runs out of memory on more than `samples` samples."""

    def check(x: Tensor) -> Tensor:
        if len(x) > samples:
            raise torch.OutOfMemoryError(f"out of memory on {len(x)} samples")
        return x

    return nn.Sequential(Applied(check), model)


def test_a_batch_split_for_memory_gives_the_same_scores() -> None:
    model, (inputs, labels) = seeded(mlp), batch(10)
    whole = zc.score(model.double(), (inputs, labels), ALL)
    split = zc.score(fails_above(3, model), (inputs, labels), ALL)
    assert (whole.provenance["part_size"], split.provenance["part_size"]) == (10, 2)
    assert split.failures == whole.failures == {}
    assert dict(split) == pytest.approx(dict(whole), rel=1e-10)


def test_a_batch_that_batch_norm_ties_together_is_not_split() -> None:
    card = zc.score(fails_above(3, seeded(cnn)), batch(8), "grad_norm,snip,fisher,grasp,jacob_cov,naswot,params")
    reason = "out of memory at batch 8; BatchNorm in train mode cannot be split, try batch=2"
    assert card.failures == dict.fromkeys(("grad_norm", "snip", "fisher", "grasp", "jacob_cov", "naswot"), reason)
    assert "params" in card


# ---- 3. jacob_cov left its gradient on the caller's batch, and the next network's was added to it


@pytest.mark.parametrize("requires_grad", [False, True])
def test_a_second_network_on_the_same_batch_gets_its_own_jacobian(requires_grad: bool) -> None:
    inputs, labels = images().requires_grad_(requires_grad), batch()[1]
    first, second = seeded(cnn, 1), seeded(cnn, 2)
    expected = zc.score(second, (images(), labels), ALL)
    zc.score(first, (inputs, labels), ALL)
    assert dict(zc.score(second, (inputs, labels), ALL)) == dict(expected)
    assert inputs.grad is None
    assert inputs.requires_grad == requires_grad
    assert torch.equal(inputs.detach(), images())


# ---- 5. Scoring changed the model: hooks, statistics, weights, dtype, mode; the second score differed from the first


@pytest.mark.parametrize("build", [cnn, mlp])
@pytest.mark.parametrize("training", [True, False])
def test_scoring_leaves_the_model_as_it_was_and_gives_the_same_twice(
    build: Callable[[], nn.Module], training: bool
) -> None:
    model = seeded(build).train(training)
    model[1].weight.grad = torch.ones_like(model[1].weight) if build is mlp else None
    model[-1].bias.requires_grad_(False)
    before = state(model)
    first = zc.score(model, batch(), ALL)
    assert not first.failures
    assert state(model) == before
    assert dict(zc.score(model, batch(), ALL)) == dict(first)


def state(model: nn.Module) -> dict[str, object]:
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return {
        "tensors": {name: (tensor.dtype, tensor.tolist()) for name, tensor in model.state_dict().items()},
        "identity": [id(parameter) for parameter in model.parameters()],
        "grad": [None if p.grad is None else p.grad.tolist() for p in model.parameters()],
        "requires_grad": [p.requires_grad for p in model.parameters()],
        "modules": [(name, sorted(vars(m)), m.training) for name, m in model.named_modules()],
        "hooks": [len(getattr(m, hook)) for m in model.modules() for hook in hooks],
    }


# ---- 10. Fisher: a layer called twice, activations overwritten in place, tokens taken for channels


def fisher_by_hand(outputs: list[Tensor], gradients: list[Tensor], channel: int, fan_in: int) -> float:
    """One layer's Fisher saliency out of its outputs at each call and the gradients to them."""
    products = [(a * g).movedim(channel, -1).flatten(1, -2) for a, g in zip(outputs, gradients, strict=True)]
    return 0.5 * fan_in * sum(p.sum(1) for p in products).square().mean(0).sum().item()


class Twice(nn.Module):
    """A convolution that runs twice, and nothing else that Fisher counts."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        self.seen = [self.conv(x)]
        self.seen.append(self.conv(self.seen[0].relu()))
        return self.seen[1].relu().mean((2, 3))


def test_fisher_of_a_layer_called_twice_adds_its_calls() -> None:
    model, (inputs, labels) = seeded(Twice), (images(), batch()[1] % 3)
    loss = F.cross_entropy(model(inputs), labels)
    seen = model.seen
    expected = fisher_by_hand(seen, list(torch.autograd.grad(loss, seen)), channel=1, fan_in=27)
    assert zc.score(model, (inputs, labels), "fisher")["fisher"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("activation", [nn.SiLU, nn.Hardswish, nn.ReLU, nn.ELU, nn.Hardtanh])
def test_fisher_sees_a_layer_before_it_is_overwritten_in_place(activation: Callable[..., nn.Module]) -> None:
    kept = zc.score(seeded(lambda: cnn(activation())), batch(), "fisher")["fisher"]
    plain = seeded(lambda: nn.Sequential(nn.Flatten(), nn.Linear(192, 16), activation(), nn.Linear(16, 4)))
    overwriting = copy.deepcopy(plain)
    overwriting[2] = activation(inplace=True)
    expected = zc.score(plain, batch(), "fisher")["fisher"]
    assert zc.score(overwriting, batch(), "fisher")["fisher"] == pytest.approx(expected, rel=1e-6)
    assert zc.score(seeded(lambda: cnn(activation(inplace=True))), batch(), "fisher")["fisher"] == pytest.approx(kept)


def test_fisher_takes_the_last_axis_of_tokens_for_channels() -> None:
    class Tokens(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(12, 4)

        def forward(self, x: Tensor) -> Tensor:
            self.seen = self.layer(x.reshape(len(x), 16, 12))  # 16 tokens of 4 channels
            return self.seen.square().mean(1)

    model, (inputs, labels) = seeded(Tokens), batch()
    loss = F.cross_entropy(model(inputs), labels)
    (gradient,) = torch.autograd.grad(loss, model.seen)
    expected = fisher_by_hand([model.seen], [gradient], channel=-1, fan_in=12)
    assert zc.score(model, (inputs, labels), "fisher")["fisher"] == pytest.approx(expected, rel=1e-5)


# ---- 11. Tied weights counted twice; networks without convolutions crashed; GraSP crashed on attention


class Tied(nn.Module):
    """Two layers, the same weight: as two modules, or written out as two uses of one."""

    def __init__(self, two_modules: bool) -> None:
        super().__init__()
        self.first = nn.Linear(192, 192, bias=False)
        self.second = nn.Linear(192, 192, bias=False) if two_modules else self.first
        self.second.weight = self.first.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x.flatten(1)).relu())[:, :4]


def test_tied_weights_count_once() -> None:
    two, one = seeded(lambda: Tied(two_modules=True)), seeded(lambda: Tied(two_modules=False))
    two.load_state_dict(dict.fromkeys(two.state_dict(), one.first.weight))
    card = zc.score(two, batch(), ALL)
    assert not card.failures
    assert dict(card) == pytest.approx(dict(zc.score(one, batch(), ALL)), rel=1e-12)
    assert card["params"] == 192 * 192
    assert card["flops"] == 2 * 192 * 192
    assert card["l2_norm"] == pytest.approx(two.first.weight.norm().item(), rel=1e-6)


class Scaled(nn.Module):
    """A network whose only parameter is a vector."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(192))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x.flatten(1) * self.scale)


def test_a_network_without_weight_matrices_fails_by_name_where_it_needs_them() -> None:
    needing = {"grad_norm", "snip", "plain", "grasp", "fisher", "l2_norm", "synflow", "log_synflow"}
    card = zc.score(Scaled(), batch(), ALL)
    assert card.failures == dict.fromkeys(needing, "the network has no weight matrices")
    assert card["params"] == 192
    for name in ("naswot", "jacob_cov"):
        assert card[name] == zc.score(Scaled(), batch(), name)[name]


def test_an_embedding_is_a_weight_matrix() -> None:
    model = seeded(lambda: nn.Sequential(nn.Embedding(10, 4), nn.Flatten(), nn.ReLU()))
    tokens = torch.arange(12).reshape(4, 3) % 10
    weight = model[0].weight
    (gradient,) = torch.autograd.grad(F.cross_entropy(model(tokens), torch.arange(4)), weight)
    card = zc.score(model, (tokens, torch.arange(4)), "snip,l2_norm,jacob_cov")
    assert card["snip"] == pytest.approx((weight * gradient).abs().sum().item(), rel=1e-5)
    assert card["l2_norm"] == pytest.approx(weight.norm().item(), rel=1e-5)
    assert card.failures == {"jacob_cov": "the input is not floating-point: there is no derivative to it"}


class Attention(nn.Module):
    """One layer of attention over the rows of an image, by torch's module or written out."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.mixing = nn.MultiheadAttention(24, 2, batch_first=True)
        self.head = nn.Linear(24, 4)

    def forward(self, x: Tensor) -> Tensor:
        rows = x.transpose(1, 2).flatten(2)
        if self.kind == "module":
            mixed, _ = self.mixing(rows, rows, rows, need_weights=False)
        else:
            packed = F.linear(rows, self.mixing.in_proj_weight, self.mixing.in_proj_bias)
            q, k, v = (t.unflatten(2, (2, 12)).transpose(1, 2) for t in packed.chunk(3, dim=2))
            if self.kind == "fused":
                heads = F.scaled_dot_product_attention(q, k, v)
            else:
                heads = torch.softmax(q @ k.mT / 12**0.5, dim=-1) @ v
            mixed = F.linear(heads.transpose(1, 2).flatten(2), self.mixing.out_proj.weight, self.mixing.out_proj.bias)
        return self.head(mixed.mean(1))


@pytest.mark.parametrize("kind", ["module", "fused"])
def test_grasp_differentiates_attention_twice(kind: str) -> None:
    proxies = "grasp,snip,jacob_cov,grad_norm"
    written_out = zc.score(seeded(lambda: Attention("by hand")).double(), batch(), proxies)
    card = zc.score(seeded(lambda: Attention(kind)).double(), batch(), proxies)
    assert not card.failures
    assert dict(card) == pytest.approx(dict(written_out), rel=1e-8)


@pytest.mark.parametrize("samples", [6, 8], ids=["fewer samples than tokens", "as many samples as tokens"])
def test_fisher_of_attention_keeps_samples_apart(samples: int) -> None:
    written_out = zc.score(seeded(lambda: Attention("by hand")).double(), batch(samples), "fisher")
    card = zc.score(seeded(lambda: Attention("module")).double(), batch(samples), "fisher")
    assert card["fisher"] == pytest.approx(written_out["fisher"], rel=1e-8)


def test_projection_matrices_of_attention_count() -> None:
    model = seeded(lambda: Attention("module"))
    weights = [p for p in model.parameters() if p.ndim == 2]
    gradients = torch.autograd.grad(F.cross_entropy(model(images()), batch()[1]), weights)
    expected = sum((w * g).abs().sum().item() for w, g in zip(weights, gradients, strict=True))
    assert len(weights) == 3
    assert zc.score(model, batch(), "snip")["snip"] == pytest.approx(expected, rel=1e-5)


# ---- 12. Crashes: naswot without 4-D ReLU inputs, l2_norm, FLOPs of a linear layer on tokens; eval mode left behind


def test_naswot_and_l2_norm_of_a_network_without_images() -> None:
    model = seeded(lambda: nn.Sequential(nn.Linear(192, 32), nn.ReLU(), nn.Linear(32, 2)))
    card = zc.score(model, images().flatten(1), "naswot,l2_norm")
    assert not card.failures
    assert card["l2_norm"] == pytest.approx(model[0].weight.norm().item() + model[2].weight.norm().item(), rel=1e-6)


def test_flops_of_a_linear_layer_on_tokens_counts_every_token() -> None:
    model = nn.Sequential(nn.Linear(5, 7)).train()
    assert zc.score(model, torch.randn(3, 11, 5), "flops")["flops"] == 11 * 5 * 7
    assert model.training


# ---- 13. A network in which every candidate holds all operations


def test_params_and_flops_count_what_the_candidate_has() -> None:
    small, large = nn.Sequential(nn.Linear(6, 2)), nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 2))
    table = zc.rank({"small": small, "large": large}, (torch.rand(8, 6), torch.arange(8) % 2), "params,flops", batch=8)
    assert table.frame["params"].to_dict() == {"small": 14, "large": 56}
    assert table.frame["flops"].to_dict() == {"small": 12, "large": 48}
