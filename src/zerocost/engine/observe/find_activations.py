"""Finds the activations among a network's calls, those included that it computes step by step."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from zerocost.base.errors import Failure
from zerocost.engine.calls.call import Call, Undo
from zerocost.engine.calls.functions import BY_HAND, CLAMPS, ELEMENTWISE, GATE
from zerocost.engine.follow.elementwise import next_step
from zerocost.engine.follow.sample_axis import SampleAxis
from zerocost.engine.follow.steps import Activation, Step
from zerocost.engine.watch.base import Watcher

_LOST = (
    "the network overwrites the input of an activation that it computes step by step, so that it cannot be seen; keep "
    "the input, or use a function such as torch.nn.functional.gelu"
)


class ActivationFinder:
    """Finds the activations among a network's calls, those included that it computes step by step.

    A part of one that is an activation by itself, as softplus is of Mish, is shown to watchers at once, and undone when
    the whole is known.

    Args:
        watchers: who is shown them.
    """

    def __init__(self, watchers: Sequence[Watcher]) -> None:
        self.watchers = watchers
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
        if verdict.root is not None:
            call = self._complete(call, step, verdict.root, verdict.inner)
        elif (call.is_activation or call.name in CLAMPS) and step.above is not None:
            step.activation = Activation(call, step.above)
        return call, step

    def _complete(self, call: Call, step: Step, root: Step, inner: Sequence[Step]) -> Call:
        """The call of an activation that a step completes."""
        source, part = root.value(), step.part
        if part is not None:
            part.kept = part.computed()
        if source is None or (part is not None and part.kept is None):
            for watcher in self.watchers:
                watcher.problem = watcher.problem or Failure(_LOST)
            return call
        for one in reversed(inner):
            one.forget()
        # only what writes into its input is given as the function, which tells watchers so
        function = call.function if call.args and call.args[0] is source else torch.where
        step.activation = Activation(Call(function, BY_HAND, (source,), {}), root)
        return step.activation.call

    def _extended(self, last: Step, step: Step) -> Call:
        """The call of an activation that ends with another step than it seemed, and of which the result was noted."""
        activation, last.activation = last.activation, None
        assert activation is not None
        for undo in activation.after:
            undo()
        step.activation = activation
        return activation.call

    def shown(self, step: Step, result: Tensor, axis: SampleAxis) -> Tensor:
        """What watchers are shown for the result of a call: of a product, the factor that is an activation."""
        if step.part is None or step.activation is None:
            return result
        found, step.part.kept = step.part.kept, None
        if found is None:  # it only extends one that was shown
            found = step.part.computed()
        assert found is not None
        step.part.hold(found).activation = step.activation
        axis.follow(torch.clone, "clone", (step.activation.call.input,), {}, found)
        return found

    def after(self, call: Call, step: Step | None, result: Tensor, noted: list[Undo], noted_after: list[Undo]) -> None:
        """Called with what a call returned, and with how to undo what watchers noted before and after it."""
        if step is None or (step.above is None and not step.factors):
            if self.open and call.name not in ELEMENTWISE and isinstance(call.input, Tensor):
                self._close()
            return
        known: Step | None = getattr(result, "_elementwise_step", None)
        above = step.above if step.above is None or step.above.name != "stack" else step.above.above
        given = result.shape if above is None else above.shape
        if result.is_inference() or (result.shape != given and call.name != "stack"):
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
        """The network has gone on: what was shown stays, but for the input, which may be the result in place."""
        for activation in self.open:
            activation.closed = True
            activation.before, activation.after = [], []
            activation.call = activation.call._replace(args=(None, *activation.call.args[1:]))
        self.open.clear()
