"""Recurrent layers: what torch's fused functions are given, and the same in elementary steps, in the same order."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function_unary

from zerocost.engine.calls.functions import Function

_State = tuple[Tensor, ...]
"""h, and of an LSTM c as well, N×units each."""
_Cell = Callable[[Tensor, _State, Tensor, Tensor | None], _State]
"""The next state: of what a step is given times its weight, the state before, and the weight and bias of that."""

_PLACE = re.compile(r"_(ih|hh|hr)(_l\d+(_reverse)?)?$")


class Recurrence(NamedTuple):
    """What torch.lstm, torch.gru, torch.rnn_tanh and torch.rnn_relu are given, in their order.

    Attributes:
        input: T×N×features, or N×T×features where it is `batch_first`; of a packed sequence its data.
        hx: the first states of all layers; of an LSTM two tensors.
        params: for each layer and direction W_ih, W_hh, their biases where it `has_biases`, and a projection if any.
        batch_sizes: of a packed sequence, how many samples have each step.
    """

    input: Tensor
    hx: Any
    params: Sequence[Tensor]
    has_biases: bool
    num_layers: int
    dropout: float
    train: bool
    bidirectional: bool
    batch_first: bool = False
    batch_sizes: Tensor | None = None

    @classmethod
    def of(cls, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Recurrence:
        """The arguments of a call by their names.

        >>> layer, x, h = torch.nn.GRU(3, 4, 2), torch.zeros(5, 2, 3), torch.zeros(2, 2, 4)
        >>> given = Recurrence.of((x, h, layer._flat_weights, True, 2, 0.0, False, False, False), {})
        >>> given.steps, given.depth, [tuple(w.shape) for w in given.matrices[0]]
        (5, 6, [(12, 3), (12, 4)])
        """
        sizes = kwargs.get("batch_sizes", args[1] if len(args) > 1 else None)
        if not isinstance(sizes, Tensor) or sizes.is_floating_point():
            return cls(*args, **kwargs)
        given = dict(zip(("data", "batch_sizes", *cls._fields[1:]), args, strict=False)) | kwargs
        return cls(given.pop("data"), **given)

    @property
    def steps(self) -> int:
        """The number of steps."""
        if self.batch_sizes is not None:
            return len(self.batch_sizes)
        return self.input.shape[1 if self.batch_first else 0]

    @property
    def states(self) -> Sequence[Tensor]:
        """The first states, layers and directions × N × units."""
        return [self.hx] if isinstance(self.hx, Tensor) else list(self.hx)

    @property
    def tensors(self) -> list[Sequence[Tensor]]:
        """The parameters of each layer and direction."""
        each = len(self.params) // (self.num_layers * (1 + self.bidirectional))
        return [self.params[start : start + each] for start in range(0, len(self.params), each)]

    @property
    def matrices(self) -> list[list[Tensor]]:
        """The weight matrices of each layer and direction."""
        return [[tensor for tensor in tensors if tensor.ndim == 2] for tensors in self.tensors]

    @property
    def depth(self) -> int:
        """Products on the longest path from input to output: through all steps, and through all layers."""
        longest = self.steps * self.num_layers if self.bidirectional else self.steps + self.num_layers - 1
        return longest * (len(self.matrices[0]) - 1)


def parameter_kind(name: str) -> str:
    """What a parameter is called in its module, without what recurrent layers and cells add.

    >>> parameter_kind("encoder.bias_hh_l1_reverse"), parameter_kind("head.weight")
    ('bias', 'weight')
    """
    return _PLACE.sub("", name.rpartition(".")[2])


def hand_on(output: Tensor) -> Tensor:
    """What a recurrent layer hands on, seen as one torch function."""
    if has_torch_function_unary(output):
        result: Tensor = handle_torch_function(hand_on, (output,), output)
        return result
    return output


def in_steps(function: Function, *_: Any) -> Function | None:
    """What to run in place of a recurrent function, so that each product is a call by itself; None for any other.

    >>> layer, x = torch.nn.GRU(3, 4), torch.rand(5, 2, 3)
    >>> given = x, torch.zeros(1, 2, 4), layer._flat_weights, True, 1, 0.0, False, False, False
    >>> torch.allclose(in_steps(torch.gru)(*given)[0], layer(x)[0])
    True
    """
    cell = _CELL_OF.get(function)
    return in_cells(function) if cell is None else partial(_run, partial(_run_steps, cell))


def in_cells(function: Function, *_: Any) -> Function | None:
    """What to run in place of the function of a single step, so that each product is a call by itself."""
    return _CELLS.get(function)


def in_layers(function: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Function | None:
    """What to run in place of a recurrent function of several layers, so that each layer is a call by itself."""
    if function not in _CELL_OF or Recurrence.of(args, kwargs).num_layers == 1:
        return None
    return partial(_run, partial(_run_whole, function))


def _lstm(given: Tensor, state: _State, weight: Tensor, bias: Tensor | None) -> _State:
    h, c = state
    entering, forgotten, new, shown = (F.linear(h, weight, bias) + given).chunk(4, 1)
    c = forgotten.sigmoid() * c + entering.sigmoid() * new.tanh()
    return shown.sigmoid() * c.tanh(), c


def _gru(given: Tensor, state: _State, weight: Tensor, bias: Tensor | None) -> _State:
    (h,) = state
    (reset, update, new), (h_reset, h_update, h_new) = given.chunk(3, 1), F.linear(h, weight, bias).chunk(3, 1)
    new = (new + h_new * (h_reset + reset).sigmoid()).tanh()
    return ((h - new) * (h_update + update).sigmoid() + new,)


def _tanh(given: Tensor, state: _State, weight: Tensor, bias: Tensor | None) -> _State:
    return ((F.linear(state[0], weight, bias) + given).tanh(),)


def _relu(given: Tensor, state: _State, weight: Tensor, bias: Tensor | None) -> _State:
    return ((F.linear(state[0], weight, bias) + given).relu(),)


def _run(run_layer: Callable[..., tuple[Tensor, ...]], *args: Any, **kwargs: Any) -> tuple[Tensor, ...]:
    """What the last layer returns, and the last states of all layers."""
    given = Recurrence.of(args, kwargs)
    output = given.input.transpose(0, 1) if given.batch_first else given.input
    directions, last = 1 + given.bidirectional, []
    for start in range(0, given.num_layers * directions, directions):
        if start and given.dropout and given.train:
            output = F.dropout(output, given.dropout, True)
        here = slice(start, start + directions)
        output, *states = run_layer(given, output, [state[here] for state in given.states], given.tensors[here])
        last.append(states)
    output = output.transpose(0, 1) if given.batch_first else output
    return output, *(torch.cat(states) for states in zip(*last, strict=True))


def _run_whole(
    function: Function, given: Recurrence, sequence: Tensor, first: list[Tensor], tensors: list[Sequence[Tensor]]
) -> tuple[Tensor, ...]:
    """One layer by torch's own function."""
    sizes = () if given.batch_sizes is None else (given.batch_sizes,)
    states = first[0] if isinstance(given.hx, Tensor) else tuple(first)
    found: tuple[Tensor, ...] = function(
        sequence,
        *sizes,
        states,
        [tensor for ones in tensors for tensor in ones],
        *(given.has_biases, 1, 0.0, given.train, given.bidirectional),
        *(() if sizes else (False,)),
    )
    return found


def _run_steps(
    cell: _Cell, given: Recurrence, sequence: Tensor, first: list[Tensor], tensors: list[Sequence[Tensor]]
) -> tuple[Tensor, ...]:
    """One layer step by step, in one direction or both."""
    made, last = [], []
    for place, (w_ih, w_hh, *others) in enumerate(tensors):
        (b_ih, b_hh), projection = (others[:2], others[2:]) if given.has_biases else ((None, None), others)
        products, sizes = F.linear(sequence, w_ih, b_ih), given.batch_sizes
        steps = products.unbind(0) if sizes is None else torch.split(products, sizes.tolist())
        state = tuple(one[place] for one in first)
        outputs, state = _run_direction(cell, steps[::-1] if place else steps, state, w_hh, b_hh, projection)
        made.append((torch.stack if sizes is None else torch.cat)(outputs[::-1] if place else outputs, 0))
        last.append(state)
    output = torch.cat(made, -1) if len(made) > 1 else made[0]
    return hand_on(output), *(torch.stack(states) for states in zip(*last, strict=True))


def _run_direction(
    cell: _Cell,
    steps: Iterable[Tensor],
    first: _State,
    weight: Tensor,
    bias: Tensor | None,
    projection: Sequence[Tensor],
) -> tuple[list[Tensor], _State]:
    """The output of each step, and each sample's last state; samples end, or begin, where steps have less, or more."""
    outputs: list[Tensor] = []
    ended: list[_State] = []
    state = first
    for step in steps:
        samples, running = len(step), len(outputs[-1]) if outputs else len(step)
        if not outputs and samples < len(first[0]):
            state = tuple(one[:samples] for one in first)
        if samples < running:
            ended.append(tuple(one[samples:] for one in state))
            state = tuple(one[:samples] for one in state)
        elif samples > running:
            state = tuple(torch.cat([one, new[running:samples]]) for one, new in zip(state, first, strict=True))
        h, *c = cell(step, state, weight, bias)
        for matrix in projection:
            h = F.linear(h, matrix)
        state = h, *c
        outputs.append(h)
    if ended:
        state = tuple(torch.cat(parts) for parts in zip(state, *reversed(ended), strict=True))
    return outputs, state


class _Step(NamedTuple):
    """What torch.lstm_cell, torch.gru_cell, torch.rnn_tanh_cell and torch.rnn_relu_cell are given, in their order."""

    input: Tensor
    hx: Any
    w_ih: Tensor
    w_hh: Tensor
    b_ih: Tensor | None = None
    b_hh: Tensor | None = None


def _run_cell(cell: _Cell, *args: Any, **kwargs: Any) -> Any:
    """One step."""
    input, hx, w_ih, w_hh, b_ih, b_hh = _Step(*args, **kwargs)
    state = cell(F.linear(input, w_ih, b_ih), (hx,) if isinstance(hx, Tensor) else tuple(hx), w_hh, b_hh)
    return state[0] if len(state) == 1 else state


_CELL_OF: dict[Function, _Cell] = {torch.lstm: _lstm, torch.gru: _gru, torch.rnn_tanh: _tanh, torch.rnn_relu: _relu}
_CELLS: dict[Function, Function] = {
    torch.lstm_cell: partial(_run_cell, _lstm),
    torch.gru_cell: partial(_run_cell, _gru),
    torch.rnn_tanh_cell: partial(_run_cell, _tanh),
    torch.rnn_relu_cell: partial(_run_cell, _relu),
}
