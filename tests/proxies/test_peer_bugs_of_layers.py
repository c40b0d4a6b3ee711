"""Mistakes found in other implementations of these proxies, 10 to 13: which layers, weights and networks they bear."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import zerocost as zc
from reference.small import ALL, BLOCKS, MAPS, TRANSFORMERS, batch, cnn, images, mlp, seeded

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
    assert card.failures.keys() == TRANSFORMERS | MAPS | BLOCKS
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
    needing = {"grad_norm", "snip", "plain", "grasp", "fisher", "l2_norm", "synflow", "log_synflow", "synflow_bn"}
    needing |= {"snr_snip", "snr_synflow", "gradsign", "knas", "zico", "zico_bc", "wrcor"}
    card = zc.score(Scaled(), batch(), ALL)
    reasons = {name: card.failures[name] for name in needing}
    assert reasons == dict.fromkeys(needing, "the network has no weight matrices")
    for name in ("lnwot", "naswot_conv", "t_cet"):
        assert card.failures[name] == "no convolution or linear layer was seen"
    assert card.failures["ntk_condition"] == "the network has no weights"
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


# ---- 12. Crashes without ReLU on images, of l2_norm, FLOPs on tokens; T-CET paired the order of calls with definitions


def test_naswot_and_l2_norm_of_a_network_without_images() -> None:
    model = seeded(lambda: nn.Sequential(nn.Linear(192, 32), nn.ReLU(), nn.Linear(32, 2)))
    card = zc.score(model, images().flatten(1), "naswot,l2_norm")
    assert not card.failures
    assert card["l2_norm"] == pytest.approx(model[0].weight.norm().item() + model[2].weight.norm().item(), rel=1e-6)


def test_linear_regions_and_swap_of_a_network_without_images() -> None:
    model, inputs = seeded(mlp), torch.cat([images(), images()[:3]])
    codes = torch.cat([model[:3](inputs), model[:5](inputs)], dim=1) > 0
    card = zc.score(model, inputs, "linear_regions,swap,swap_regularised(mu=3.4, sigma=1)")
    assert card["linear_regions"] == len(codes.unique(dim=0)) == 8
    assert card["swap"] == len(codes.unique(dim=1).T) > 8
    assert card["swap_regularised(mu=3.4, sigma=1)"] == pytest.approx(card["swap"] * np.exp(-((3.428 - 3.4) ** 2)))


def test_t_cet_pairs_a_layer_with_itself_in_whatever_order_it_is_defined() -> None:
    class Chain(nn.Module):
        def __init__(self, model: nn.Sequential, backwards: bool) -> None:
            super().__init__()
            self.names = [f"layer{i}" for i in range(len(model))]
            for i in reversed(range(len(model))) if backwards else range(len(model)):
                self.add_module(f"layer{i}", model[i])

        def forward(self, x: Tensor) -> Tensor:
            for name in self.names:
                x = getattr(self, name)(x)
            return x

    model = seeded(mlp).double()
    orders = [zc.score(Chain(model, backwards), images().double(), "t_cet")["t_cet"] for backwards in (False, True)]
    assert orders[1] == pytest.approx(orders[0], rel=1e-12)


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
