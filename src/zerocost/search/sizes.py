"""What an architecture costs, known without training it: parameters, multiply-adds, depth, memory."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, lru_cache, partial
from typing import Any

import torch
from torch import nn
from torch.utils._pytree import tree_map

from zerocost.base.errors import Failure, InputError
from zerocost.data import Batch
from zerocost.data.as_batch import as_batch
from zerocost.engine.failures import or_failure
from zerocost.engine.inputs import sample_test, take_samples
from zerocost.engine.model.lazy import materialised
from zerocost.engine.outputs import Output
from zerocost.scoring.candidates import initialise
from zerocost.scoring.score import score
from zerocost.spaces import Architecture, SearchSpace

Cost = Callable[[Architecture], float | Failure]
"""A number for an architecture, always the same for the same one, or the reason why there is none."""

_TOGETHER = (
    ("params",),
    ("embedding_params",),
    ("flops", "depth"),
    tuple(name + precision for name in ("peak_memory", "flash", "kv_cache") for precision in ("", "_fp16", "_int8")),
    ("active_params",),
    ("training_memory",),
)
"""The proxies that are sizes, cheapest first; those of a group are measured together."""
SIZE_PROXIES = {name: ",".join(group) for group in _TOGETHER for name in group}
"""The sizes, each with those that are measured together."""


def size_costs(space: SearchSpace, inputs: Any, output: Output = None) -> dict[str, Cost]:
    """The sizes of a space's full networks, cheapest first: each is computed when asked for, and once.

    Networks are built on the meta device, where weights take no memory and nothing is computed; one that cannot be
    built or run there is built on the CPU. Fidelity plays no part: sizes are those of the network to be trained.

    They are what `zerocost.score` gives for the proxies of these names: `params`, `flops`, `depth`, `peak_memory`, …

    Args:
        space: the space.
        inputs: what the networks take: a tensor N×C×H×W, or a structure of tensors. One sample of it is used.
        output: the tensor in what the networks return, as in `zerocost.score`.

    Returns:
        For each name a function from an architecture to its size, or to the `Failure` that says why there is none.

    Raises:
        InputError: inputs that no network can be run on.

    >>> from zerocost import spaces
    >>> known = size_costs(spaces.get("nasbench201"), torch.zeros(1, 3, 32, 32))
    >>> arch = spaces.get("nasbench201").parse("|none~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|")
    >>> {name: known[name](arch) for name in ("params", "flops", "peak_memory")}
    {'params': 73306.0, 'flops': 7783040.0, 'peak_memory': 262144.0}
    """
    sample = first_sample(inputs)
    build = lru_cache(maxsize=1)(partial(build_network, space))
    card = lru_cache(maxsize=1)(lambda model, names: score(model, Batch(sample, None), names, output=output))

    def scored(name: str, model: nn.Module) -> float:
        found = card(model, SIZE_PROXIES[name])
        if name in found.failures:
            raise Failure(found.failures[name])
        return found[name]

    def size(name: str, arch: Architecture) -> float | Failure:
        with torch.inference_mode(False), torch.enable_grad():
            found = or_failure(lambda: scored(name, materialised(build(arch, "meta"), sample)))
            if isinstance(found, Failure):
                found = or_failure(lambda: scored(name, materialised(build(arch, "cpu"), sample)))
        return Failure(str(found)) if isinstance(found, Failure) else float(found)

    return {name: cache(partial(size, name)) for name in SIZE_PROXIES}


def first_sample(inputs: Any) -> Any:
    """The first sample of a batch of inputs; `InputError` for inputs that cannot be used."""
    return take_samples(as_batch(Batch(inputs, None)).inputs, 0, 1)


def repeat_sample(sample: Any, count: int) -> Any:
    """A batch of the same sample `count` times.

    >>> repeat_sample(torch.ones(1, 3), 2).shape
    torch.Size([2, 3])
    """
    sampled = sample_test(sample)
    return tree_map(lambda value: torch.cat([value] * count) if sampled(value) else value, sample)


def build_network(space: SearchSpace, arch: Architecture, device: str) -> nn.Module:
    """The full network of an architecture; `Failure` when it cannot be built there."""

    def build() -> nn.Module:
        with torch.device(device):
            return space.build(arch)

    try:
        return initialise(build)
    except InputError as error:
        raise Failure(str(error)) from error
