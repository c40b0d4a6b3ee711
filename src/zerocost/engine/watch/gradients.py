"""Watchers that look at gradients on their way back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from zerocost.base.errors import Failure
from zerocost.engine.rows import row_correlation
from zerocost.engine.signals import Response
from zerocost.engine.watch.base import Call, Scene, Watcher, visible


class GradientWatcher(Watcher):
    """A watcher that is told of gradients during one backward run, while it listens."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self.listens = False
        self.problem: Failure | None = None
        self._hooks: list[Any] = []

    def when_known(self, tensor: Tensor, record: Callable[[Tensor], None]) -> None:
        """Call `record` with the gradient to a tensor, when it is known."""

        def hook(gradient: Tensor) -> None:
            if self.listens and self.problem is None:
                try:
                    with torch.no_grad():
                        record(gradient)
                except Failure as failure:
                    self.problem = failure.with_traceback(None)

        self._hooks.append(tensor.register_hook(hook))  # type: ignore[no-untyped-call]

    def stop(self) -> None:
        """Take the hooks off."""
        self.listens = False
        for hook in self._hooks:
            hook.remove()
        self._hooks.clear()


class Responses(GradientWatcher):
    """For each activation, how its inputs, and the loss's gradients to them, correlate between samples: N×N."""

    signal = "responses"

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self.seen: list[Response] = []

    def before(self, call: Call) -> None:
        if not call.activates or id(call.input) in self.scene.constants:
            return
        visible(call.input)
        block, attended = self.scene.block, self.scene.attended
        self.seen.append(Response(block, row_correlation(self.scene.rows(call.input).flatten(1))))
        if call.input.requires_grad:

            def record(gradient: Tensor) -> None:
                self.seen.append(Response(block, row_correlation(self.scene.rows(gradient, attended).flatten(1))))

            self.when_known(call.input, record)

    def found(self) -> Any:
        if not self.seen:
            raise Failure("no activation was seen whose hinge is at zero (ReLU, GELU, SiLU and the like)")
        return self.seen
