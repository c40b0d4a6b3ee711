"""Checkpointed parts of a network, run such that gradients see them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils.checkpoint import CheckpointFunction, checkpoint


@contextmanager
def without_reentry() -> Iterator[None]:
    """Let `use_reentrant=True` be False: else a part has no gradients where its inputs need none, and hides its graph.

    >>> layer = torch.nn.Linear(2, 1)
    >>> with without_reentry():
    ...     checkpoint(layer, torch.ones(1, 2), use_reentrant=True).requires_grad
    True
    """
    outside = vars(CheckpointFunction).get("apply")
    CheckpointFunction.apply = staticmethod(_apply)  # type: ignore[method-assign]
    try:
        yield
    finally:
        if outside is None:
            del CheckpointFunction.apply
        else:
            CheckpointFunction.apply = outside  # type: ignore[method-assign]


def saved_elsewhere() -> bool:
    """Whether what gradients need is not kept as it is now, as inside a checkpoint, which runs once more."""
    return torch._C._autograd._top_saved_tensors_default_hooks(False) is not None


def _apply(function: Callable[..., Any], keeps_random_state: bool, *args: Any) -> Any:
    """What a checkpoint without reentry returns, those inside it included."""
    part = without_reentry()(function)
    return checkpoint(part, *args, use_reentrant=False, preserve_rng_state=keeps_random_state)
