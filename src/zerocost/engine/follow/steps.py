"""The steps of elementwise calls: what each is a function of, and the formula that it is."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor

from zerocost.engine.calls.call import Call, Undo
from zerocost.engine.calls.functions import Function, is_in_place
from zerocost.engine.follow.curves import At, Filled
from zerocost.engine.follow.curves import Line as FormulaLine

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


class Line(NamedTuple):
    """A call, with steps in place of tensors."""

    function: Function
    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    def given(self, one: Step, other: Step) -> Line:
        """The call with one step in place of another."""
        args = tuple(other if value is one else value for value in self.args)
        return self._replace(
            args=args, kwargs={key: other if value is one else value for key, value in self.kwargs.items()}
        )


class Step:
    """The result of an elementwise call, as a function of a step above it; a start, for a tensor of another origin.

    Attributes:
        line: the call; None for a start.
        above: the nearest step that everything it is computed from goes through.
        depth: how many such steps lie above one another.
        activation: what was shown as an activation that ends here.
        active: whether it is computed from one.
        factors: of a product of tensors of several origins, or a multiple of one, the steps that were multiplied.
        part: of a product, the factor that the call has changed.
        views: of a tensor, the starts that its views are, by their geometry.
        shared: of a start, whether it is that of several equal views.
        kept: a tensor that it is computed from and that the network may let go of before the activation is complete.
        tensor: the result itself, as long as the network has it, with the version and the shape that it had.
    """

    __slots__ = (
        *("above", "activation", "active", "depth", "factors", "kept", "line", "part", "shape", "tensor", "version"),
        *("shared", "views"),
    )

    def __init__(self, line: Line | None = None, above: Step | None = None, active: bool = False) -> None:
        self.line, self.above, self.active = line, above, active
        self.depth: int = 0 if above is None else above.depth + 1
        self.activation: Activation | None = None
        self.factors: tuple[Step, ...] = ()
        self.part: Step | None = None
        self.views: dict[Any, Step] | None = None
        self.shared = False
        self.kept: Tensor | None = None
        self.tensor: weakref.ref[Tensor] | None = None
        self.version = 0
        self.shape: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        """The name of the call; empty for a start."""
        return "" if self.line is None else self.line.name

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

    def computed(self) -> Tensor | None:
        """The tensor, computed where there is none; None where what it is computed from is gone."""
        found = self.value()
        if found is not None or self.line is None:
            return found
        function, _, args, kwargs = self.line
        given: list[Any] = [v.computed() if isinstance(v, Step) else v for v in args]
        named = {key: v.computed() if isinstance(v, Step) else v for key, v in kwargs.items()}
        if any(v is None for v in given):
            return None
        if is_in_place(function, kwargs):
            given[0] = given[0].clone()
        with torch.no_grad():
            result: Tensor = function(*given, **named)
        return result


def step_of(tensor: Tensor) -> Step:
    """The step that a tensor is, as it is now; a start where it is none, the same one for equal views of a tensor."""
    step: Step | None = getattr(tensor, "_elementwise_step", None)
    if step is None or step.version != tensor._version:
        start = _start(tensor)
        start.shared = start.tensor is not None
        step = tensor._elementwise_step = start.hold(tensor)  # type: ignore[attr-defined]
    return step


def is_equal_view(tensor: Tensor) -> bool:
    """Whether a tensor is one of several equal views, each of which has a share of the gradient only."""
    step: Step | None = getattr(tensor, "_elementwise_step", None)
    return step is not None and step.shared


def _start(tensor: Tensor) -> Step:
    base = tensor._base
    if base is None or base.is_inference() or tensor.layout is not torch.strided:
        return Step()
    whole = step_of(base)
    if whole.views is None:
        whole.views = {}
    return whole.views.setdefault((tensor.storage_offset(), tensor.shape, tensor.stride(), tensor.dtype), Step())


def common_step(steps: Sequence[Step]) -> Step | None:
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


def roots(step: Step) -> Iterator[Step]:
    """The steps above one another, the nearest first."""
    above = step.above
    for _ in range(_FARTHEST):
        if above is None:
            return
        yield above
        above = above.above


class _Unreadable(Exception):
    """A step is no function of the root that it is read in, or takes too many lines."""


class _Reading(NamedTuple):
    """A step as a formula, as far as it is read.

    Attributes:
        places: by the ids of steps, their places in the formula.
        lines: its lines.
        steps: the step of each line.
    """

    places: dict[int, int]
    lines: list[FormulaLine]
    steps: list[Step]

    def at(self, value: Any) -> Any:
        """A value of a call as it is in the formula."""
        if isinstance(value, Tensor):
            return Filled(value.detach().flatten()[0].item())
        if isinstance(value, tuple):
            return tuple(map(self.at, value))
        if not isinstance(value, Step):
            return value
        if id(value) not in self.places:
            if value.line is None or len(self.lines) >= _MOST_STEPS:
                raise _Unreadable
            function, name, args, kwargs = value.line
            named = tuple((key, self.at(v)) for key, v in kwargs.items())
            self.lines.append((function, name, tuple(map(self.at, args)), named))
            self.steps.append(value)
            self.places[id(value)] = len(self.lines)
        return At(self.places[id(value)])


def read(step: Step, root: Step) -> tuple[tuple[FormulaLine, ...], list[Step]] | None:
    """A step as a formula in `root`, one line a step, and the steps in between; None for one that is unreadable."""
    reading = _Reading({id(root): 0}, [], [])
    try:
        reading.at(step)
        hash(formula := tuple(reading.lines))
    except (_Unreadable, TypeError, IndexError, RuntimeError):
        return None
    return formula, reading.steps[:-1]
