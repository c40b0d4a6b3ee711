"""Candidates in whatever form they come, made one: a mapping from name to builder."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from torch import nn

from zerocost.errors import InputError
from zerocost.seeding import Builder


def named(candidates: Any) -> dict[str, Builder | nn.Module]:
    """Name to builder (or finished module), out of a mapping, a sequence, or a function that returns one of them.

    Candidates without a name are numbered. Raises `InputError` when there are none or one is neither a module nor a
    function.

    >>> list(named([nn.Linear(1, 1), lambda: nn.Linear(2, 2)]))
    ['0', '1']
    """
    if isinstance(candidates, Callable) and not isinstance(candidates, nn.Module | Mapping):  # type: ignore[arg-type]
        candidates = candidates()
    if isinstance(candidates, Mapping):
        items = {str(name): build for name, build in candidates.items()}
    elif isinstance(candidates, Iterable) and not isinstance(candidates, nn.Module | str):
        items = {str(index): build for index, build in enumerate(candidates)}
    else:
        raise InputError(
            f"candidates must be a mapping from name to a function that builds a network (or a sequence of such), "
            f"but got {type(candidates).__name__}"
        )
    if isinstance(candidates, Mapping) and len(items) < len(candidates):
        raise InputError("two candidates have the same name once names are made strings; give each its own")
    if not items:
        raise InputError("there are no candidates to rank")
    for name, build in items.items():
        if not callable(build):
            raise InputError(
                f"candidate {name!r} is a {type(build).__name__}; expected a torch.nn.Module or a function that "
                "builds one"
            )
    return items
