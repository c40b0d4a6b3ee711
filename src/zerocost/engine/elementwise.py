"""Elementwise functions of one tensor that a network computes step by step, such as x · sigmoid(x).

Each step of a chain of elementwise calls knows the step that all its ways go through. What lies between the two is a
function of one number, which tells whether it is an activation.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from torch import Tensor

from zerocost.engine.calls import Call
from zerocost.engine.curves import At, Filled, Line, classify
from zerocost.engine.functions import (
    BY_HAND,
    CAPS,
    CLAMPS,
    DIFFERENCES,
    GATE,
    HINGES,
    PRODUCTS,
    SUMS,
    Function,
    is_rectifier,
)
from zerocost.engine.watch.base import Undo

_SUMS = SUMS | DIFFERENCES
_NEGATIONS = {"neg", "negative"}
_LOG_SIGMOIDS = {"logsigmoid", "log_sigmoid"}
_LAST = _SUMS | PRODUCTS | HINGES | CAPS | CLAMPS | _NEGATIONS | {"addcmul", "lerp"}
_MOST_STEPS, _FARTHEST = 30, 6


@dataclass
class Activation:
    """An activation as watchers were shown it.

    Attributes:
        call: the call that they were shown.
        root: what it is a function of.
        before: how to undo what they noted of its input; None as long as they were not shown it.
        after: how to undo what they noted of its result.
        closed: whether the network has gone on, so that nothing is undone any more.
    """

    call: Call
    root: Step
    before: list[Undo] | None = None
    after: list[Undo] = field(default_factory=list)
    closed: bool = False


class Step:
    """The result of an elementwise call, as a function of a step above it; a start, for a tensor of another origin.

    Attributes:
        line: the call: function, name, arguments (steps in place of tensors), keyword arguments; None for a start.
        above: the nearest step that everything it is computed from goes through.
        depth: how many such steps lie above one another.
        activation: what was shown as an activation that ends here.
        active: whether it is computed from one.
    """

    __slots__ = ("above", "activation", "active", "depth", "line", "shape", "tensor", "version")

    def __init__(self, line: _Line | None = None, above: Step | None = None, active: bool = False) -> None:
        self.line, self.above, self.active = line, above, active
        self.depth: int = 0 if above is None else above.depth + 1
        self.activation: Activation | None = None
        self.tensor: weakref.ref[Tensor] | None = None
        self.version = 0
        self.shape: tuple[int, ...] = ()

    def hold(self, tensor: Tensor) -> Step:
        """Let the step be that of a tensor as it is now."""
        self.tensor, self.version, self.shape = weakref.ref(tensor), tensor._version, tensor.shape
        return self

    def forget(self) -> None:
        """Let watchers forget the activation that ends here."""
        if self.activation is not None:
            for undo in (*self.activation.after, *(self.activation.before or ())):
                undo()
            self.activation = None

    def value(self) -> Tensor | None:
        """The tensor; None where it is gone or was overwritten."""
        tensor = None if self.tensor is None else self.tensor()
        return tensor if tensor is not None and tensor._version == self.version else None


class _Line(NamedTuple):
    function: Function
    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


class _Verdict(NamedTuple):
    """What a step completes.

    Attributes:
        kind: "activation", "gate" (bounded and symmetric about zero, as a sigmoid) or "" for neither.
        root: the step that it is a function of.
        extends: the step that ends in an activation already, which this one only scales.
        inner: steps in between that end in activations.
    """

    kind: str = ""
    root: Step | None = None
    extends: Step | None = None
    inner: Sequence[Step] = ()


_NOTHING = _Verdict()


def _step_of(tensor: Tensor) -> Step:
    """The step that a tensor is, as it is now; a start where it is none."""
    step: Step | None = getattr(tensor, "_elementwise_step", None)
    if step is None or step.version != tensor._version:
        step = tensor._elementwise_step = Step().hold(tensor)  # type: ignore[attr-defined]
    return step


def next_step(
    function: Function,
    name: str,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    reaches: Callable[[Tensor], bool],
) -> tuple[Step | None, _Verdict]:
    """The step that an elementwise call makes and what it completes; no step for one of several tensors.

    Tensors that no sample `reaches` are constants.
    """
    given: list[Step] = []

    def replaced(value: Any) -> Any:
        if isinstance(value, list | tuple):  # of tensors that are stacked
            return tuple(map(replaced, value))
        if not isinstance(value, Tensor) or value.ndim == 0 or not reaches(value) or value.is_inference():
            return value
        given.append(_step_of(value))
        return given[-1]

    line = _Line(function, name, tuple(map(replaced, args)), {key: replaced(v) for key, v in kwargs.items()})
    above = _common_step(given)
    if above is None:
        return None, _NOTHING
    step = Step(line, above, any(s.active or s.activation is not None for s in given))
    if step.active and name in _SUMS and len(given) > 1 and above in given:
        read = _read(step, above)
        if read is None or any(s.activation is not None and s.activation.call.is_activation for s in read[1]):
            return None, _NOTHING  # a residual connection around an activation
    return step, _judge(step, given)


def _common_step(steps: Sequence[Step]) -> Step | None:
    """The nearest step that all the given ones go through; None without one."""
    found: Step | None = steps[0] if steps else None
    for other in steps[1:]:
        one: Step | None = other
        while found is not one:
            if found is None or one is None:
                return None
            deeper = found.depth - one.depth
            found = found.above if deeper >= 0 else found
            one = one.above if deeper <= 0 else one
    return found


def _judge(step: Step, given: Sequence[Step]) -> _Verdict:
    """What a step completes that is computed from the `given` ones."""
    assert step.line is not None and step.above is not None
    name, one = step.line.name, len(given) == 1
    named = is_rectifier(name, step.line.args, step.line.kwargs)
    turned = name in _NEGATIONS and given[0].line is not None and given[0].line.name in CAPS | _LOG_SIGMOIDS
    if one and not (step.active or name in HINGES or turned or (named and step.above.above is not None)):
        return _NOTHING
    if name not in _LAST and not named:
        return _NOTHING
    found = _NOTHING
    for root in _roots(step):
        read = _read(step, root)
        if read is None:
            break
        formula, between = read
        kind = classify(formula)
        inner = [s for s in between if s.activation is not None]
        if kind == GATE:
            return _Verdict(GATE, root, None, inner)
        if found.kind or not kind:
            continue
        extended = _all_through(step, inner)
        if not named and (extended is None or kind not in (BY_HAND, _kind_of(extended))):
            found = _Verdict(BY_HAND, root, extended, inner)
    return found


def _roots(step: Step) -> Iterator[Step]:
    """The steps above one another, the nearest first."""
    above = step.above
    for _ in range(_FARTHEST):
        if above is None:
            return
        yield above
        above = above.above


def _all_through(step: Step, inner: Sequence[Step]) -> Step | None:
    """The nearest of some steps that the whole of a step goes through."""
    return next((above for above in _roots(step) if above in inner), None)


def _kind_of(step: Step) -> str:
    """What an activation's last step is, as a function of what the activation was given."""
    assert step.activation is not None
    read = _read(step, step.activation.root)
    return "" if read is None else classify(read[0])


def _read(step: Step, root: Step) -> tuple[tuple[Line, ...], list[Step]] | None:
    """A step as a formula in `root`, one line a step, and the steps in between; None for one too long."""
    places, between = {id(root): 0}, list[Step]()
    lines: list[Line] = []

    def at(value: Any) -> Any:
        if isinstance(value, Tensor):
            return Filled(value.detach().flatten()[0].item())
        if isinstance(value, tuple):
            return tuple(map(at, value))
        if not isinstance(value, Step):
            return value
        if id(value) not in places:
            if value.line is None or len(lines) >= _MOST_STEPS:
                raise OverflowError
            function, name, args, kwargs = value.line
            line = (function, name, tuple(map(at, args)), tuple((key, at(v)) for key, v in kwargs.items()))
            lines.append(line)
            between.append(value)
            places[id(value)] = len(lines)
        return At(places[id(value)])

    try:
        at(step)
        hash(formula := tuple(lines))
    except (OverflowError, TypeError, IndexError, RuntimeError):
        return None
    return formula, between[:-1]
