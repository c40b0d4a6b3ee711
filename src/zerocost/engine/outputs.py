"""The tensor to score in what a network returns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from zerocost.base.errors import Failure, InputError, describe_error

COMMON = ("logits", "out", "sample", "last_hidden_state")
"""Entries that libraries keep a network's output under, in the order in which they are looked for."""

Output = str | int | Callable[[Any], Tensor] | None
"""Where the tensor is: a key or an attribute, a place, a function that takes it out, or None to find it."""


class OutputPicker:
    """Takes the tensor to score out of what a network returns.

    Without `output` it is the tensor returned, or else one of `COMMON`, as a key or an attribute; the only tensor of a
    mapping; or the first of a tuple or list.

    Args:
        output: a key, an attribute, a place in a tuple (as text too), or a function; None finds it.

    Attributes:
        found: where the tensor was, in words; empty before a network ran, and where it returned the tensor itself.

    Raises:
        InputError: an `output` of another type.
        Failure: when called on what holds no such tensor.

    >>> import torch
    >>> pick = OutputPicker()
    >>> pick({"out": torch.zeros(2), "aux": torch.ones(2)}), pick.found
    (tensor([0., 0.]), 'out')
    >>> OutputPicker(1)((torch.zeros(2), torch.ones(2)))
    tensor([1., 1.])
    """

    def __init__(self, output: Output = None) -> None:
        if not isinstance(output, str | int | None) and not callable(output):
            raise InputError(
                f"output must be a key, an attribute, a place or a function, but got a {type(output).__name__}"
            )
        self.output, self.found = output, ""

    def __call__(self, returned: Any) -> Tensor:
        if self.output is not None:
            self.found = getattr(self.output, "__name__", str(self.output))
            return self._given(returned)
        if isinstance(returned, Tensor):
            return returned
        for name in COMMON:
            found = returned.get(name) if isinstance(returned, Mapping) else getattr(returned, name, None)
            if isinstance(found, Tensor):
                self.found = name
                return found
        return self._first(returned)

    def _given(self, returned: Any) -> Tensor:
        """The tensor at the place that was named."""
        try:
            if callable(self.output):
                found = self.output(returned)
            elif isinstance(self.output, str) and not isinstance(returned, Mapping):
                place = int(self.output) if self.output.isdecimal() else None
                found = getattr(returned, self.output) if place is None else returned[place]
            else:
                found = returned[self.output]
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            where = f"there is no output {self.found!r} in {_describe(returned)}"
            raise Failure(f"{where} ({describe_error(error)})") from error
        if isinstance(found, Tensor):
            return found
        raise Failure(
            f"output {self.found!r} is a {type(found).__name__}, expected a tensor; name another with output="
        )

    def _first(self, returned: Any) -> Tensor:
        """The only tensor of a mapping, or the first of a tuple or list."""
        if isinstance(returned, Mapping):
            tensors = {name: value for name, value in returned.items() if isinstance(value, Tensor)}
            if len(tensors) == 1:
                [(name, tensor)] = tensors.items()
                self.found = str(name)
                return tensor
        if isinstance(returned, Sequence) and not isinstance(returned, str):
            for place, value in enumerate(returned):
                if isinstance(value, Tensor) and value.ndim:
                    self.found = f"[{place}]"
                    return value
        raise Failure(
            f"the network returned {_describe(returned)}, expected a tensor; name the one to score with output=, "
            "a key, an attribute, a place or a function"
        )


def no_output(returned: Any) -> Tensor:
    """Stands for what a network returned, where only its run matters."""
    return torch.empty(0)


def _describe(returned: Any) -> str:
    """What a network returned, in words.

    >>> _describe({"boxes": 1, "scores": 2}), _describe(None)
    ('a dict of boxes, scores', 'a NoneType')
    """
    if isinstance(returned, Mapping):
        return f"a {type(returned).__name__} of {', '.join(map(str, returned))}"
    if isinstance(returned, tuple | list):
        return f"a {type(returned).__name__} of {', '.join(type(value).__name__ for value in returned)}"
    return f"a {type(returned).__name__}"
