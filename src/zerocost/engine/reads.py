"""Which tensors a network reads when it runs, so that weights which no pass has read can be named."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from zerocost.engine.functions import Function

_DESCRIPTIONS = (bool, int, torch.Size, torch.dtype, torch.device, torch.layout)
"""What a call returns that looks at the form of a tensor, not at its values."""


class Reads(TorchFunctionMode):
    """Notes each tensor that a call is given.

    Attributes:
        ids: of the tensors. Compare them with those of tensors that are kept meanwhile: others may be given out again.

    >>> one, other = torch.ones(2), torch.ones(2)
    >>> with Reads() as reads:
    ...     _ = one.sum() + other.numel()
    >>> id(one) in reads.ids, id(other) in reads.ids
    (True, False)
    """

    def __init__(self) -> None:
        super().__init__()
        self.ids: set[int] = set()

    def __torch_function__(
        self, function: Function, _: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = function(*args, **(kwargs or {}))
        if not isinstance(result, _DESCRIPTIONS):
            self.ids.update(id(leaf) for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor))
        return result
