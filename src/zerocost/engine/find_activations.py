"""Finds the activations among a network's calls, those included that it computes step by step."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from zerocost.engine.calls import Call
from zerocost.engine.elementwise import Activation, Step, next_step
from zerocost.engine.functions import BY_HAND, CLAMPS, ELEMENTWISE, GATE
from zerocost.engine.watch.base import Undo


class ActivationFinder:
    """Finds the activations among a network's calls, those included that it computes step by step.

    A part of one that is an activation by itself, as softplus is of Mish, is shown to watchers at once, and undone when
    the whole is known.
    """

    def __init__(self) -> None:
        self.open: list[Activation] = []

    def before(self, call: Call, reaches: Callable[[Tensor], bool]) -> tuple[Call, Step | None]:
        """A call as watchers are to be shown it, and the step that it makes. Only what a sample `reaches` counts."""
        if call.name not in ELEMENTWISE:
            return call, None
        step, verdict = next_step(*call[:4], reaches)
        if step is None:
            return call, None
        if any(s.activation is not None and s.activation.closed for s in verdict.inner):
            return call, step
        if verdict.kind == GATE:
            for one in verdict.inner:
                one.forget()
            return Call(call.function, GATE, call.args, call.kwargs), step
        if verdict.extends is not None:
            return self._extended(verdict.extends, step), step
        source = None if verdict.root is None else verdict.root.value()
        if verdict.root is not None and source is not None:
            for one in reversed(verdict.inner):
                one.forget()
            call = Call(call.function, BY_HAND, (source,), call.kwargs)
            step.activation = Activation(call, verdict.root)
        elif (call.is_activation or call.name in CLAMPS) and step.above is not None:
            step.activation = Activation(call, step.above)
        return call, step

    def _extended(self, last: Step, step: Step) -> Call:
        """The call of an activation that ends with another step than it seemed, and of which the result was noted."""
        activation, last.activation = last.activation, None
        assert activation is not None
        for undo in activation.after:
            undo()
        step.activation = activation
        return activation.call

    def after(self, call: Call, step: Step | None, result: Tensor, noted: list[Undo], noted_after: list[Undo]) -> None:
        """Called with what a call returned, and with how to undo what watchers noted before and after it."""
        if step is None or step.above is None:
            if self.open and call.name not in ELEMENTWISE and isinstance(call.input, Tensor):
                self._close()
            return
        known: Step | None = getattr(result, "_elementwise_step", None)
        if result.is_inference() or (result.shape != step.above.shape and call.name != "stack"):
            return
        if known is not None and known.version == result._version:
            return
        result._elementwise_step = step.hold(result)  # type: ignore[attr-defined]
        activation = step.activation
        if activation is not None:
            activation.after = noted_after
            if activation.before is None:
                activation.before = noted
                self.open.append(activation)

    def _close(self) -> None:
        """The network has gone on: what was shown stays."""
        for activation in self.open:
            activation.closed = True
            activation.before, activation.after = [], []
        self.open.clear()
