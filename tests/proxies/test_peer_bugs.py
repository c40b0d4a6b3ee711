"""Mistakes found in other implementations of these proxies, 1 to 9; each must stay impossible here."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import zerocost as zc
from reference.cases import nasbench201
from reference.small import ALL, MAPS, TRANSFORMERS, batch, cnn, images, mlp, seeded
from reference.vkdnw import transposed, vkdnw


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


def test_no_score_depends_on_class_names() -> None:
    model = seeded(cnn)
    expected = zc.score(model, batch(), ALL)
    for name in ("ReLUConvBN", "Sequential2"):
        renamed = copy.deepcopy(model)
        renamed.__class__ = type(name, (nn.Sequential,), {})
        assert dict(zc.score(renamed, batch(), ALL)) == dict(expected)


@pytest.mark.parametrize("name", ["swap", "linear_regions", "near", "wrcor"])
def test_the_other_proxies_of_activations_see_functions_too(name: str) -> None:
    expected = zc.score(seeded(cnn), batch(), name)[name]
    assert zc.score(seeded(lambda: cnn(Applied(F.relu))), batch(), name)[name] == pytest.approx(expected, rel=1e-12)


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
    assert whole.failures.keys() == TRANSFORMERS | MAPS
    assert len(split) > 25
    assert dict(split) == pytest.approx({name: whole[name] for name in split}, rel=1e-10)
    for name in whole.scores.keys() - split.scores.keys():
        assert split.failures[name].startswith("out of memory at batch 10; this cannot be measured in parts"), name


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


# ---- 4. ZiCo: gradients of two batches in the same memory gave 0, or were added up; unused layers crashed


def test_zico_compares_each_batch_with_the_other() -> None:
    model, (inputs, labels) = seeded(cnn), batch()
    halves = [(inputs[:4], labels[:4]), (inputs[4:], labels[4:])]
    expected = zc.score(model, halves, "zico")["zico"]
    assert expected > 1
    assert zc.score(model, (inputs, labels), "zico")["zico"] == expected
    assert zc.score(model, halves[::-1], "zico")["zico"] == pytest.approx(expected, rel=1e-6)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    assert zc.score(model, halves, "zico")["zico"] == expected


class Unused(nn.Module):
    """A network with a layer that does not run."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model, self.unused = model, nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)


def test_zico_and_gradsign_of_a_network_with_an_unused_layer() -> None:
    used = seeded(cnn)
    without, card = (zc.score(model, batch(), "zico,gradsign") for model in (used, Unused(used)))
    assert card["zico"] == without["zico"]
    weights = sum(p.numel() for p in used.parameters() if p.ndim > 1)
    assert card["gradsign"] == pytest.approx(without["gradsign"] * weights / (weights + 9), rel=1e-12)


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
    assert first.failures.keys() == (TRANSFORMERS if build is cnn else TRANSFORMERS | MAPS)
    assert state(model) == before
    assert dict(zc.score(model, batch(), ALL)) == dict(first)


def test_drawing_weights_anew_leaves_those_of_the_caller_and_gives_the_same_twice() -> None:
    model, inputs = seeded(cnn), images()
    before = state(model)
    drawn = ("zen(initialisation=gaussian, inputs=noise, repeats=3)", "swap(initialisation=kaiming)", "zen(repeats=2)")
    first = zc.score(model, inputs, drawn)
    assert not first.failures
    assert state(model) == before
    assert dict(zc.score(model, inputs, drawn)) == dict(first)
    assert first[drawn[0]] != zc.score(model, inputs, "zen")["zen"] != first[drawn[2]]


def test_zen_does_not_depend_on_what_was_measured_before() -> None:
    """The authors' running variances go on from call to call."""
    model = seeded(cnn)
    expected = zc.score(model, batch(), "zen")["zen"]
    assert zc.score(model, batch(), ALL)["zen"] == expected
    assert torch.equal(model[1].running_var, torch.ones(8))
    assert zc.score(model, batch(), "zen")["zen"] == expected


# ---- 6. AZ-NAS: an eigenvalue below 0 by rounding made a score -inf; zero gradients -880 000


@pytest.mark.parametrize("cell", ["skip_connect", "avg_pool_3x3"])
def test_expressivity_is_finite_in_float32_for_every_seed(cell: str) -> None:
    model = nasbench201(f"|{cell}~0|+|{cell}~0|{cell}~1|+|{cell}~0|{cell}~1|{cell}~2|", cells=2)
    repeated = "(initialisation=kaiming, inputs=noise, repeats=32)"
    card = zc.score(model, torch.zeros(8, 3, 16, 16), [f"az_expressivity{repeated}", f"az_progressivity{repeated}"])
    assert not card.failures
    assert all(spread > 0 for spread in card.spread.values())


@pytest.mark.parametrize(("cell", "reason"), [("none", "no gradient passes"), ("skip_connect", "hands its input on")])
def test_trainability_of_dead_blocks_and_of_none_is_a_named_failure(cell: str, reason: str) -> None:
    model = nasbench201(f"|none~0|+|none~0|none~1|+|{cell}~0|none~1|none~2|", cells=2)
    assert reason in zc.score(model, torch.randn(8, 3, 16, 16), "az_trainability").failures["az_trainability"]


# ---- 7. VKDNW multiplied by the transpose of the factor that its formula has


class Reordered(nn.Module):
    """A network whose classes are listed in another order."""

    def __init__(self, model: nn.Module, order: list[int]) -> None:
        super().__init__()
        self.model, self.order = model, order

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)[:, self.order]


def test_the_fisher_information_does_not_depend_on_the_order_of_classes() -> None:
    model, inputs, order = seeded(cnn).double(), images().double(), [2, 0, 3, 1]
    scores = [zc.score(m, inputs, "vkdnw")["vkdnw"] for m in (model, Reordered(model, order))]
    assert scores[1] == pytest.approx(scores[0], rel=1e-10)
    authors = [vkdnw(m, inputs, transposed) for m in (model, Reordered(model, order))]
    assert abs(authors[1] - authors[0]) > 1e-3


# ---- 8. NTK: the condition number of a singular kernel was rounding, of either sign


def test_the_condition_of_a_singular_kernel_is_a_named_failure() -> None:
    twice = images()
    twice[1] = twice[0]
    for model in (seeded(cnn), seeded(mlp)):
        assert "the tangent kernel is singular" in zc.score(model, twice, "ntk_condition").failures["ntk_condition"]
        assert zc.score(model, images(), "ntk_condition")["ntk_condition"] < -1


# ---- 9. MeCo: no convergence on collinear channels, and a score that depends on how modules nest


def test_meco_of_equal_and_of_constant_channels() -> None:
    model = seeded(lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 4)))
    assert zc.score(model, images(), "meco")["meco"] > 1e-3
    with torch.no_grad():
        model[0].weight[1] = 2 * model[0].weight[0]
        model[0].bias[1] = 2 * model[0].bias[0]
        model[0].weight[3] = 0
    assert abs(zc.score(model, images(), "meco")["meco"]) < 1e-6


def test_meco_of_layers_does_not_depend_on_how_modules_nest() -> None:
    flat = seeded(cnn)
    nested = nn.Sequential(nn.Sequential(*flat[:3]), nn.Sequential(*flat[3:5]), *flat[5:])
    names = ["meco", "meco_modules"]
    ours, authors = ([zc.score(m, images(), names)[name] for m in (flat, nested)] for name in names)
    assert ours[0] == ours[1]
    assert authors[1] > authors[0] > 0


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
