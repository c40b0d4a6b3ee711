"""Elementwise functions of one tensor that a network computes step by step, such as x · sigmoid(x).

Each step of a chain of elementwise calls knows the step that all its ways go through. What lies between the two is a
function of one number, which tells whether it is an activation. A product of tensors of several origins knows its
factors, so that (b · x) · sigmoid(x) is such a function times b.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from zerocost.engine.calls.functions import (
    BY_HAND,
    CAPS,
    CLAMPS,
    DIFFERENCES,
    GATE,
    HINGES,
    PRODUCTS,
    SUMS,
    Function,
    is_cap,
    is_rectifier,
)
from zerocost.engine.follow.curves import classify
from zerocost.engine.follow.steps import Line, Step, common_step, read, roots, step_of

_SUMS = SUMS | DIFFERENCES
_NEGATIONS = {"neg", "negative"}
_LOG_SIGMOIDS = {"logsigmoid", "log_sigmoid"}
_LAST = _SUMS | PRODUCTS | HINGES | CAPS | CLAMPS | _NEGATIONS | {"addcmul", "lerp"}
_FIRST = {"exp", "stack"} | _NEGATIONS
"""Functions that may be the first step of an activation of which the network does not use the input again."""
_QUOTIENTS = {"div", "idiv", "itruediv", "truediv", "true_divide", "divide"}
_CHOICES = {"where", "masked_fill"}
_MOST_FACTORS = 4


class _Verdict(NamedTuple):
    """What a step completes.

    Attributes:
        kind: `BY_HAND` for an activation, `GATE` (bounded and symmetric about zero, as a sigmoid) or "" for neither.
        root: the step that it is a function of.
        extends: the step that ends in an activation already, which this one only scales.
        inner: steps in between that end in activations.
    """

    kind: str = ""
    root: Step | None = None
    extends: Step | None = None
    inner: Sequence[Step] = ()


_NOTHING = _Verdict()


def next_step(
    function: Function,
    name: str,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    reaches: Callable[[Tensor], bool],
) -> tuple[Step | None, _Verdict]:
    """The step that an elementwise call makes and what it completes; no step for one of several tensors but a product.

    Tensors that no sample `reaches` are constants.
    """
    given: list[Step] = []
    kept: Tensor | None = None

    def replaced(value: Any) -> Any:
        nonlocal kept
        if not isinstance(value, Tensor) or value.ndim == 0 or not reaches(value) or value.is_inference():
            return value
        given.append(step_of(value))
        kept = value
        return given[-1]

    named = {key: _each(replaced, value) for key, value in kwargs.items()}
    line = Line(function, name, tuple([_each(replaced, value) for value in args]), named)
    if not given:
        return None, _NOTHING
    above = common_step(given)
    if above is None:
        return _product(line, given)
    step = Step(line, above, _is_active(given))
    if name in _FIRST:
        step.kept = kept
    if len(given) == 1 and name in PRODUCTS and given[0] is line.args[0]:
        step.factors = given[0].factors
    if step.active and name in _SUMS and len(given) > 1 and above in given:
        found = read(step, above)
        if found is None or any(s.activation is not None and s.activation.call.is_activation for s in found[1]):
            return None, _NOTHING  # a residual connection around an activation
    return step, _judge(step, given)


def _each(replaced: Callable[[Any], Any], value: Any) -> Any:
    """A value replaced, or each of a list of tensors that are stacked.

    Not a part of what replaces them, which would keep itself, and the last tensor, until garbage is collected.
    """
    return tuple(map(replaced, value)) if isinstance(value, list | tuple) else replaced(value)


def _is_active(given: Sequence[Step]) -> bool:
    return any(s.active or s.activation is not None for s in given)


def _product(line: Line, given: Sequence[Step]) -> tuple[Step | None, _Verdict]:
    """The step of a product of tensors of several origins, and what it completes as a function of one of them."""
    if line.name in _CHOICES and not _chooses_zero(line):
        return None, _NOTHING
    product = Step()
    for one in given if line.name in PRODUCTS or line.name in _CHOICES else ():
        for factor in one.factors:
            steps = [factor, *(step for step in given if step is not one)]
            above = common_step(steps)
            if above is not None:
                product.part = Step(line.given(one, factor), above, _is_active(steps))
                product.factors = (product.part, *(other for other in one.factors if other is not factor))
                return product, _judge(product.part, steps)
    if line.name not in PRODUCTS or len(given) != 2:
        return None, _NOTHING
    one, other = given
    if line.name in _QUOTIENTS:
        other = Step(Line(torch.reciprocal, "reciprocal", (other,), {}), other, _is_active([other]))
    product.factors = (*(one.factors or (one,)), *(other.factors or (other,)))[:_MOST_FACTORS]
    return product, _NOTHING


def _chooses_zero(line: Line) -> bool:
    """Whether a call puts zero in the place of some numbers and leaves the others."""
    other = line.args[2] if len(line.args) > 2 else line.kwargs.get("other", line.kwargs.get("value"))
    is_number = isinstance(other, int | float) or (isinstance(other, Tensor) and not other.ndim)
    return is_number and bool(other == 0)


def _judge(step: Step, given: Sequence[Step]) -> _Verdict:
    """What a step completes that is computed from the `given` ones."""
    assert step.line is not None and step.above is not None
    name, one = step.line.name, len(given) == 1
    named = is_rectifier(name, step.line.args, step.line.kwargs)
    turned = name in _NEGATIONS and given[0].line is not None and _may_be_turned(given[0].line)
    if one and not (step.active or name in HINGES or turned or (named and step.above.above is not None)):
        return _NOTHING
    if name not in _LAST and not named:
        return _NOTHING
    verdict = _NOTHING
    for root in roots(step):
        found = read(step, root)
        if found is None:
            break
        formula, between = found
        kind = classify(formula)
        inner = [s for s in between if s.activation is not None]
        if kind == GATE:
            return _Verdict(GATE, root, None, inner)
        if verdict.kind or not kind:
            continue
        extended = _all_through(step, [s for s in inner if s.activation and s.activation.call.is_activation])
        if not named and (extended is None or kind not in (BY_HAND, _kind_of(extended))):
            verdict = _Verdict(BY_HAND, root, extended, inner)
    return verdict


def _may_be_turned(line: Line) -> bool:
    """Whether a call may be that of an activation upside down."""
    return line.name in _LOG_SIGMOIDS or is_cap(*line[1:])


def _all_through(step: Step, inner: Sequence[Step]) -> Step | None:
    """The nearest of some steps that the whole of a step goes through."""
    return next((above for above in roots(step) if above in inner), None)


def _kind_of(step: Step) -> str:
    """What an activation's last step is, as a function of what the activation was given."""
    assert step.activation is not None
    found = read(step, step.activation.root)
    return "" if found is None else classify(found[0])
