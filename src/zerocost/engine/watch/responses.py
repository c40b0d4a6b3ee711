"""How activations, and the gradients to them, correlate between samples."""

from __future__ import annotations

from torch import Tensor

from zerocost.engine.rows import row_correlation
from zerocost.engine.signals import Response
from zerocost.engine.watch.base import NO_ACTIVATION, Call, Collector, check_visible
from zerocost.engine.watch.blocks import Blocks
from zerocost.engine.watch.gradients import GradientWatcher


class Responses(GradientWatcher, Collector):
    """For each activation, how its inputs, and the loss's gradients to them, correlate between samples: N×N."""

    signal = "responses"
    meaning = "for each activation, correlations between samples of values and of gradients: N×N"
    needs = (Blocks,)
    nothing_seen = NO_ACTIVATION

    def before(self, call: Call) -> None:
        if not call.is_activation or id(call.input) in self.scene.constants:
            return
        check_visible(call.input)
        block, attention_batch = self.scene.block, self.scene.attention_batch
        self.values.append(Response(block, row_correlation(self.scene.rows(call.input).flatten(1))))
        if call.input.requires_grad:

            def record(gradient: Tensor) -> None:
                rows = self.scene.rows(gradient, attention_batch).flatten(1)
                self.values.append(Response(block, row_correlation(rows)))

            self.when_known(call.input, record)
