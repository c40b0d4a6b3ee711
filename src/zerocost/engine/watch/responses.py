"""How activations, and the gradients to them, correlate between samples."""

from __future__ import annotations

from torch import Tensor

from zerocost.engine.calls.call import Call, Undo
from zerocost.engine.calls.functions import is_in_place
from zerocost.engine.failures import NO_ACTIVATION
from zerocost.engine.follow.steps import is_equal_view
from zerocost.engine.rows import row_correlation
from zerocost.engine.signals import Response
from zerocost.engine.watch.base import Collector, check_visible
from zerocost.engine.watch.blocks import Blocks
from zerocost.engine.watch.gradients import GradientWatcher


class Responses(GradientWatcher, Collector):
    """For each activation, how its inputs, and the loss's gradients to them, correlate between samples: N×N."""

    signal = "responses"
    meaning = "for each activation, correlations between samples of values and of gradients: N×N"
    needs = (Blocks,)
    nothing_seen = NO_ACTIVATION

    def before(self, call: Call) -> Undo | None:
        if not call.is_activation:
            return None
        check_visible(call.input)
        block, place, read = self.scene.block, self.scene.sample_axis.place(call.input), self.scene.sample_axis.read

        undos: list[Undo] = []

        def record(values: Tensor) -> None:
            rows = read(place, values)
            if rows is not None:
                undos.append(self.keep(Response(block, row_correlation(rows.flatten(1)))))

        record(call.input)
        if call.input.requires_grad:
            in_base = is_in_place(call.function, call.kwargs) or is_equal_view(call.input)
            undos.append(self.when_known(call.input, record, in_base))
        return lambda: [undo() for undo in undos]
