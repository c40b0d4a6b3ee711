"""Why a network cannot be measured: reasons that several files give, and how what is raised becomes a `Failure`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from zerocost.base.errors import Failure, InputError, describe_error

NO_VALUES = (
    "the weights have no values, as they are on the meta device; give them some with model.to_empty(device='cpu'), and "
    "initialise them"
)
FIXED = "the network has quantised layers, whose weights cannot be set"
COMPILED = "a part of the network is compiled by torch.jit, which hides its calls; score the network it was made of"
NO_ACTIVATION = "no activation was seen whose hinge is at zero (ReLU, GELU, SiLU and the like)"
NO_LAYER = "no convolution or linear layer was seen"


class OneValue(Failure):
    """A normalisation layer gets one value a channel (or group), which has no variance."""

    def __init__(self) -> None:
        super().__init__(
            "a normalisation layer gets one value a channel, which has no variance; give larger inputs or, where it is "
            "BatchNorm in train mode, more samples or mode=eval"
        )


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory could not be had: torch's error or Python's, or the RuntimeError of torch's CPU allocator."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error)


def attempt(function: Callable[..., Any], *arguments: Any) -> Any:
    """What a function returns, or the `Failure` that says why it returns nothing. Running out of memory is raised."""
    try:
        return function(*arguments)
    except (InputError, torch.OutOfMemoryError, KeyboardInterrupt):
        raise
    except Failure as failure:
        return failure.without_frames()
    except BaseException as error:
        if is_out_of_memory(error):
            raise torch.OutOfMemoryError(str(error)) from error
        return Failure(describe_error(error))


def or_failure(function: Callable[..., Any], *arguments: Any) -> Any:
    """`attempt` where running out of memory is a `Failure`, too, as no splitting of the batch could help."""
    try:
        return attempt(function, *arguments)
    except torch.OutOfMemoryError:
        return Failure("out of memory")
