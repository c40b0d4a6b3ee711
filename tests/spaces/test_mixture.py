"""Mixtures: with one-hot weights they are the architectures, in between their outputs follow the weights smoothly."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from zerocost.scoring.candidates import initialise
from zerocost.spaces import Architecture, Choose, Fidelity, get
from zerocost.spaces.darts import DARTSNet
from zerocost.spaces.mixture import Mixable, Mixture, one_hot, superpose

TINY = Fidelity(width=0.01, depth=0.1)
IMAGES = torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def chosen(mixture: Mixture, arch: Architecture, network: nn.Module) -> nn.Module:
    """The network of an architecture, with the parameters that the mixture has for it."""
    state, paths = mixture.network.state_dict(), {module: path for path, module in mixture.network.named_modules()}
    for edges, coefficients in mixture.edges:
        option = int(coefficients(one_hot(mixture, arch)).argmax())
        for path in [paths[edge] for edge in edges]:
            taken = f"{path}.operations.{option}."
            state |= {key.replace(taken, f"{path}.", 1): value for key, value in state.items() if taken in key}
    network.load_state_dict({key: state[key] for key in network.state_dict()})
    return network


@pytest.mark.parametrize("name", ["nasbench201", "transnas_micro"])
def test_one_hot_weights_give_the_architecture(name: str) -> None:
    space = get(name)
    assert isinstance(space, Mixable)
    mixture = initialise(partial(space.mixture, TINY))
    rng = np.random.default_rng(0)
    for arch in [space.sample(rng) for _ in range(4)]:
        network = chosen(mixture, arch, space.build(arch, TINY))
        with torch.no_grad():
            torch.testing.assert_close(mixture(IMAGES, one_hot(mixture, arch)), network(IMAGES))


def test_one_hot_weights_give_the_architecture_of_darts() -> None:
    space = get("darts")
    mixture = initialise(partial(space.mixture, TINY))
    arch = space.sample(np.random.default_rng(0))
    network = space.build(arch, TINY)
    assert isinstance(network, DARTSNet)
    ours = mixture.network.state_dict()
    own = {key: ours[key] for key in network.state_dict() if ".nodes." not in key}
    order = list(mixture.options["normal_2_a"])
    for c, cell in enumerate(network.cells):
        kind = "reduce" if cell.reduction else "normal"
        for n, node in enumerate(cell.nodes):
            for e, source in enumerate(node.sources):
                i = order.index(dict(arch.choices)[f"{kind}_{n + 2}_{'ab'[e]}"])
                for key in node.operations[e].state_dict():
                    theirs = f"cells.{c}.nodes.{n}.edges.{source}.operations.{i}.{key}"
                    own[f"cells.{c}.nodes.{n}.operations.{e}.{key}"] = ours[theirs]
    network.load_state_dict(own)
    with torch.no_grad():
        torch.testing.assert_close(mixture(IMAGES, one_hot(mixture, arch)), network(IMAGES))


@pytest.mark.parametrize("name", ["nasbench201", "transnas_micro", "darts"])
def test_options_are_those_the_space_asks_for(name: str) -> None:
    space = get(name)
    asked: dict[str, object] = {}

    def first(name: str, options: object) -> object:
        asked[name] = options
        return options[0]  # type: ignore[index]

    space.choose(Choose(first))  # type: ignore[arg-type]
    assert initialise(partial(space.mixture, TINY)).options == asked


def test_the_gradient_to_the_weights_is_that_of_finite_differences() -> None:
    space = get("nasbench201", classes=2)
    mixture = initialise(partial(space.mixture, TINY)).double().eval()
    images, names = IMAGES[:1, :, :4, :4].double(), list(mixture.options)

    def outputs(*weights: Tensor) -> Tensor:
        return mixture(images, dict(zip(names, weights, strict=True)))

    generator = torch.Generator().manual_seed(0)
    weights = [torch.rand(5, generator=generator, dtype=torch.float64, requires_grad=True) for _ in names]
    assert torch.autograd.gradcheck(outputs, weights)


def test_superposed_networks_share_what_is_no_edge() -> None:
    a, b = (nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1)) for _ in range(2))
    mixed = superpose([a, b], {"1": "layer"})["layer"][0]
    mixed.weights = torch.tensor([0.25, 0.75])
    hidden = a[0](torch.ones(1))
    operations = mixed.operations
    torch.testing.assert_close(a(torch.ones(1)), 0.25 * operations[0](hidden) + 0.75 * operations[1](hidden))


def test_spaces_without_mixture_are_not_mixable() -> None:
    assert not isinstance(get("cnn"), Mixable)
