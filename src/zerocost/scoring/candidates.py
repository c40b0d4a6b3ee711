"""Candidates in any form, turned into one: a mapping from name to builder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import count
from typing import Any

import torch
from torch import nn
from typing_extensions import TypeIs

from zerocost.base.errors import Failure, InputError, describe_error
from zerocost.base.format import name_of
from zerocost.base.seeding import seeded
from zerocost.base.torch_state import neutral_torch
from zerocost.scoring.adapters import find_adapter

Builder = Callable[[], nn.Module]


def as_builders(candidates: Any) -> dict[str, Builder | nn.Module]:
    """Name to builder (or finished module), out of a mapping, an iterable, or a function that returns one of them.

    An iterable is read to its end, which an endless generator does not have. Candidates of one are named by their class
    or function, with a number where several have the same name. What UTF-8 does not hold in a name, as of a file, is
    escaped.

    Raises:
        InputError: there are no candidates, or one is neither a module nor a function.

    >>> list(as_builders([nn.Linear(1, 1), nn.Linear(2, 2), nn.Identity(), lambda: nn.Linear(2, 2)]))
    ['Linear-1', 'Linear-2', 'Identity', 'network']
    """
    if isinstance(candidates, Callable) and not isinstance(candidates, nn.Module | Mapping):  # type: ignore[arg-type]
        candidates = candidates()
    if isinstance(candidates, Mapping):
        items = {str(name).encode("utf-8", "backslashreplace").decode(): build for name, build in candidates.items()}
    elif isinstance(candidates, Iterable) and not isinstance(candidates, nn.Module | str):
        listed = list(candidates)
        items = dict(zip(_unique_names(listed), listed, strict=True))
    else:
        raise InputError(
            f"candidates must be a mapping from name to a function that builds a network (or a sequence of such), "
            f"but got {type(candidates).__name__}"
        )
    if isinstance(candidates, Mapping) and len(items) < len(candidates):
        raise InputError("two candidates have the same name as text; give each its own")
    if not items:
        raise InputError("there are no candidates; give at least one network")
    for name, build in items.items():
        if not callable(build):
            raise InputError(
                f"candidate {name!r} is a {type(build).__name__}; expected a torch.nn.Module or a function that "
                "builds one"
            )
    return items


def _unique_names(candidates: Sequence[object]) -> list[str]:
    """A name for each candidate, from its class or function; numbered where several share one."""
    plain = [_plain_name(candidate) for candidate in candidates]
    names, taken, shared, before = [], set(plain), Counter(plain), Counter[str]()
    for name in plain:
        before[name] += 1
        numbered = name
        if shared[name] > 1:
            numbered = next(made for number in count(before[name]) if (made := f"{name}-{number}") not in taken)
            taken.add(numbered)
        names.append(numbered)
    return names


def _plain_name(candidate: object) -> str:
    """The name of a builder, or of the class of a network; "network" for a lambda."""
    if isinstance(candidate, partial):
        return _plain_name(candidate.func)
    name = name_of(candidate)
    return "network" if name == "<lambda>" else name


def initialise_on(build: Builder | nn.Module, seed: int, device: str | torch.device | None) -> nn.Module:
    """The candidate's network, initialised from the seed and moved to the device; a finished one stays where it is."""
    model = initialise(build, seed)
    stays = device is None or model is build or find_adapter(model) is not None
    return model if stays else model.to(device)


def is_network(value: Any) -> TypeIs[nn.Module]:
    """Whether a value is a finished network: a torch module, or a model that an integration scores."""
    return isinstance(value, nn.Module) or find_adapter(value) is not None


def initialise(build: Builder | nn.Module, seed: int = 0) -> nn.Module:
    """Build a network whose initial weights depend on `seed` alone. A finished module is returned as it is.

    Args:
        build: a function that returns a module, or a module.
        seed: seeds torch, numpy and Python while the network is built.

    Raises:
        Failure: `build` raised, so that one bad candidate does not stop a ranking.
        InputError: it returned something that is not a `torch.nn.Module`.

    >>> a, b = (initialise(lambda: nn.Linear(2, 2), seed=3) for _ in range(2))
    >>> bool((a.weight == b.weight).all())
    True
    """
    if is_network(build):
        return build
    try:
        with neutral_torch(), seeded(seed):
            model = build()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever it is, the others go on
        raise Failure(f"building the network raised {describe_error(error)}") from error
    if not is_network(model):
        raise InputError(f"a candidate must build a torch.nn.Module, but got {type(model).__name__}")
    return model
