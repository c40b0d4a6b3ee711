"""The running variances of BatchNorm layers."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from zerocost.engine.watch.base import Call, Scene, Watcher


class Variances(Watcher):
    """The mean over channels of each BatchNorm's running variance after the run; of the batch where none is kept."""

    signal = "batch_norm_variances"

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self.seen: list[Tensor] = []

    def after(self, call: Call, result: Tensor) -> None:
        if call.name == "batch_norm":
            running = call.argument(2, "running_var")
            kept = call.input.movedim(1, -1).flatten(0, -2).var(0) if running is None else running
            self.seen.append(kept.detach().double().mean())

    def found(self) -> Any:
        return self.seen
