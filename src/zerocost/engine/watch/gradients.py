"""What watchers have in common that look at gradients on their way back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor

from zerocost.engine.calls.call import Undo
from zerocost.engine.failures import is_out_of_memory
from zerocost.engine.watch.base import Scene, Watcher


class GradientWatcher(Watcher):
    """A watcher that is shown gradients during one backward pass, that of the loss, while it listens."""

    source: ClassVar[str] = "loss"

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self.listens = False
        self._hooks: list[Any] = []

    def when_known(self, tensor: Tensor, record: Callable[[Tensor], None], in_base: bool = False) -> Undo:
        """Call `record` with the gradient to a tensor, when it is known; returns how to undo that.

        It is looked up in that to the tensor of which it is a view where it is to be found `in_base`: none comes to a
        view itself that is overwritten, and only a part to one of several equal ones.
        """
        base = tensor._base
        read: Callable[[Tensor], Tensor] = _unchanged
        if in_base and base is not None and base.requires_grad:
            read, tensor = _reader_of_view(tensor, base), base

        def hook(gradient: Tensor) -> None:
            if self.listens and self.problem is None:
                try:
                    with torch.no_grad():
                        record(read(gradient))
                except Exception as error:
                    if is_out_of_memory(error):
                        raise
                    self.problem = self.failure(error).without_frames()

        handle = tensor.register_hook(hook)  # type: ignore[no-untyped-call]
        self._hooks.append(handle)
        remove: Undo = handle.remove
        return remove

    def stop(self) -> None:
        """Take the hooks off."""
        self.listens = False
        for hook in self._hooks:
            hook.remove()
        self._hooks.clear()


def _unchanged(gradient: Tensor) -> Tensor:
    return gradient


def _reader_of_view(view: Tensor, base: Tensor) -> Callable[[Tensor], Tensor]:
    """Takes the gradient to a view out of that to the tensor that it is a view of."""
    strides, geometry = base.stride(), (view.shape, view.stride(), view.storage_offset() - base.storage_offset())

    def read(gradient: Tensor) -> Tensor:
        laid_out = torch.empty_strided(gradient.shape, strides, dtype=gradient.dtype, device=gradient.device)
        return laid_out.copy_(gradient).as_strided(*geometry)

    return read
