"""What watchers have in common that look at gradients on their way back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor

from zerocost.base.errors import Failure
from zerocost.engine.watch.base import Scene, Undo, Watcher


class GradientWatcher(Watcher):
    """A watcher that is shown gradients during one backward pass, that of the loss, while it listens."""

    source: ClassVar[str] = "loss"

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self.listens = False
        self._hooks: list[Any] = []

    def when_known(self, tensor: Tensor, record: Callable[[Tensor], None]) -> Undo:
        """Call `record` with the gradient to a tensor, when it is known; returns how to undo that."""

        def hook(gradient: Tensor) -> None:
            if self.listens and self.problem is None:
                try:
                    with torch.no_grad():
                        record(gradient)
                except Failure as failure:
                    self.problem = failure.with_traceback(None)

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
