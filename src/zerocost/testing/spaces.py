"""The contract every search space keeps, as one function: anyone's space can face it."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from zerocost.base.fidelity import Fidelity
from zerocost.base.resize import resize
from zerocost.base.seeding import seeded
from zerocost.engine.inputs import call
from zerocost.scoring.candidates import initialise
from zerocost.spaces.architecture import Architecture
from zerocost.spaces.base import SearchSpace, distinct
from zerocost.spaces.choose import Choose

_SCALED = (Fidelity(width=0.5), Fidelity(depth=0.5), Fidelity(resolution=16), Fidelity(0.25, 0.5, 16))
_AT_MOST = 2000
"""The most neighbours, and architectures in the order of the space, that are looked at."""


def check_space(
    space: SearchSpace,
    inputs: Any = None,
    samples: int = 20,
    seed: int = 0,
    fidelities: Sequence[Fidelity] = _SCALED,
) -> None:
    """Check a search space against the contract of `SearchSpace`, and build four of its architectures.

    Args:
        space: the space.
        inputs: a small batch the networks accept; 2×3×32×32 images if None.
        samples: how many architectures are drawn.
        seed: seeds the drawing, the inputs and the weights.
        fidelities: the scaled-down siblings to build, `()` for a space that has none.

    Raises:
        AssertionError: a promise is broken; the message says which, and for which architecture.

    >>> from zerocost.spaces import from_function
    >>> def linear(choose):
    ...     return nn.Sequential(nn.Flatten(), nn.Linear(12, choose.int("classes", 2, 4)))
    >>> check_space(from_function(linear), torch.rand(2, 3, 2, 2), samples=3, fidelities=())
    """
    inputs = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(seed)) if inputs is None else inputs
    before = torch.get_rng_state()
    archs = distinct(space, samples, np.random.default_rng(seed))
    assert archs, "the space is empty"
    for arch in archs:
        _check_value(space, arch)
        _check_steps(space, arch, archs, seed)
    _check_drawing(space, samples, seed)
    _check_encoding(space, archs)
    _check_iteration(space, archs)
    assert torch.equal(before, torch.get_rng_state()), "torch's generator is used outside `build`"
    for arch in archs[:4]:
        _check_network(space, arch, inputs, seed, fidelities)
    assert torch.equal(before, torch.get_rng_state()), "seeded building leaves a trace in torch's generator"


def _check_value(space: SearchSpace, arch: Architecture) -> None:
    """Text, pickle and canonical key stand for the architecture exactly."""
    text = str(arch)
    parsed = space.parse(text)
    assert parsed == arch and str(parsed) == text, f"parse({text!r}) gives {str(parsed)!r}"
    assert parsed.choices == arch.choices, f"parse({text!r}) gives other choices: {parsed.choices}"
    assert hash(parsed) == hash(arch), f"{text!r}: equal architectures differ in hash"
    assert pickle.loads(pickle.dumps(arch)) == arch, f"{text!r} does not survive pickling"
    assert space.canonical(parsed) == space.canonical(arch), f"{text!r}: canonical differs after parse"
    answers = dict(arch.choices)
    chosen = space.choose(Choose(lambda name, options: answers[name]))
    assert chosen == arch and chosen.choices == arch.choices, f"{text!r}: choose, answered as it was, gives {chosen}"


def _check_steps(space: SearchSpace, arch: Architecture, others: list[Architecture], seed: int) -> None:
    """Neighbours, mutants and children are architectures of the space, and the first two are never `arch`."""
    near = list(islice(space.neighbors(arch), _AT_MOST))
    assert arch not in near, f"{arch} is among its own neighbours"
    assert len(set(near)) == len(near), f"{arch} has a neighbour listed twice"
    for neighbor in near[:: 1 + len(near) // 20]:
        _check_value(space, neighbor)
    rng = np.random.default_rng(seed)
    for _ in range(5 if near else 0):
        mutant = space.mutate(arch, rng)
        assert mutant != arch, f"a mutation leaves {arch} as it was"
        _check_value(space, mutant)
        assert mutant in near or len(near) == _AT_MOST, f"{mutant} is a mutant of {arch} but not a neighbour"
    assert space.crossover(arch, arch, rng) == arch, f"the child of {arch} with itself is another"
    for other in others[:5]:
        _check_value(space, space.crossover(arch, other, rng))


def _check_drawing(space: SearchSpace, samples: int, seed: int) -> None:
    """The same generator state gives the same architectures, whatever was drawn before."""

    def history() -> list[Architecture]:
        rng = np.random.default_rng(seed)
        drawn = [space.sample(rng) for _ in range(samples)]
        mutants = [space.mutate(arch, rng) for arch in drawn if any(True for _ in space.neighbors(arch))]
        children = [space.crossover(a, b, rng) for a, b in zip(drawn, reversed(drawn), strict=True)]
        return [*drawn, *mutants, *children]

    assert history() == history(), "the same seed gives different architectures"


def _check_encoding(space: SearchSpace, archs: list[Architecture]) -> None:
    """Encodings are finite vectors of one length that tell architectures apart."""
    vectors = [space.encode(arch) for arch in archs]
    assert {v.shape for v in vectors} == {(vectors[0].size,)}, f"shapes differ: { {v.shape for v in vectors} }"
    assert all(v.dtype == np.float64 and np.isfinite(v).all() for v in vectors), "an encoding is not finite float64"
    assert all((space.encode(a) == v).all() for a, v in zip(archs, vectors, strict=True)), "encode is not repeatable"
    seen: dict[bytes, Architecture] = {}
    for arch, vector in zip(archs, vectors, strict=True):
        twin = seen.setdefault(vector.tobytes(), arch)
        assert space.canonical(twin) == space.canonical(arch), f"{twin} and {arch} have the same encoding"


def _check_iteration(space: SearchSpace, archs: list[Architecture]) -> None:
    """Iteration yields each architecture once, in the same order; all of them, where they can be counted here."""
    first = list(islice(space, _AT_MOST + 1))
    assert len(set(first)) == len(first), "iteration yields an architecture twice"
    assert list(islice(space, 50)) == first[:50], "two iterations differ"
    for arch in first[:: 1 + len(first) // 20]:
        _check_value(space, arch)
    if len(first) <= _AT_MOST:
        assert space.size in (None, len(first)), f"size is {space.size}, but iteration yields {len(first)}"
        assert set(archs) <= set(first), f"never yielded: {set(archs) - set(first)}"
    else:
        assert space.size is None or space.size > _AT_MOST, f"size is {space.size}, but iteration yields more"


def _check_network(
    space: SearchSpace, arch: Architecture, inputs: Any, seed: int, fidelities: Sequence[Fidelity]
) -> None:
    """Networks are seeded by torch alone, run forward and backward, and are no larger when scaled down."""
    full, again = (initialise(partial(space.build, arch), seed) for _ in range(2))
    states = zip(full.state_dict().items(), again.state_dict().items(), strict=True)
    assert all(a == b and torch.equal(v, w) for (a, v), (b, w) in states), f"{arch}: same seed, other weights"
    shape, parameters, flops = _check_passes(full, inputs, seed, str(arch))
    for fidelity in fidelities:
        what = f"{arch} at {fidelity}"
        network = initialise(partial(space.build, arch, fidelity), seed)
        small = _check_passes(
            network, inputs if fidelity.resolution is None else resize(inputs, fidelity.resolution), seed, what
        )
        assert small[0] == shape, f"{what}: the output is {small[0]}, not {shape}"
        assert small[1] <= parameters, f"{what}: {small[1]} parameters, but {parameters} in full"
        assert small[2] <= flops, f"{what}: {small[2]} FLOPs, but {flops} in full"


def _check_passes(network: nn.Module, inputs: Any, seed: int, what: str) -> tuple[tuple[int, ...], int, int]:
    """Output shape, parameters and FLOPs of a forward pass; checks that it and the backward pass are finite."""
    counter = FlopCounterMode(display=False)
    with seeded(seed), counter:
        outputs: Tensor = call(network, inputs)
    assert torch.isfinite(outputs).all(), f"{what}: an output is not finite"
    torch.autograd.backward(outputs.sum())
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    assert gradients, f"{what}: no parameter has a gradient"
    assert all(torch.isfinite(g).all() for g in gradients), f"{what}: a gradient is not finite"
    return tuple(outputs.shape), sum(p.numel() for p in network.parameters()), counter.get_total_flops()
