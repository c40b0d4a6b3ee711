"""The recurrent controller: a policy over the choices of any space, one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from zerocost.base.seeding import stream
from zerocost.spaces.architecture import Architecture, Value
from zerocost.spaces.base import SearchSpace
from zerocost.spaces.choose import Choose, Options

_START = "start"
"""Name of the row that the controller reads before the first choice."""
_DEVIATION = 0.1
"""Standard deviation of all initial weights."""

_State = tuple[Tensor, Tensor]


class ChoiceStep(NamedTuple):
    """One choice: its name, its options, and the place of the answer among them."""

    name: str
    options: Options
    answer: int


class Controller:
    """An LSTM that reads each answer and gives the probabilities of the next choice's options.

    Each option of each choice has a row of weights: what the LSTM reads after it is taken, the weights of its logit,
    and a bias. A row is initialised when it is first needed, from `seed` and its name alone; an update changes only the
    rows of the choices in its batch. So the policy depends on nothing but what was learnt.

    Args:
        seed: of the initial weights.
        hidden: size of the LSTM and of what it reads.
        learning_rate: of Adam.
    """

    @torch.inference_mode(False)
    def __init__(self, seed: int, hidden: int, learning_rate: float) -> None:
        self.seed, self.hidden = seed, hidden
        self.gates = nn.Parameter(self._initial("gates", (2 * hidden, 4 * hidden)))
        self.bias = nn.Parameter(torch.zeros(4 * hidden, dtype=torch.float32, device="cpu"))
        self.optimizer = torch.optim.Adam([self.gates, self.bias], lr=learning_rate, foreach=True)
        self.rows: dict[str, nn.Parameter] = {}
        self._tables: dict[tuple[str, str], Tensor] = {}

    @torch.inference_mode(False)
    @torch.no_grad()
    def draw(self, space: SearchSpace, rng: np.random.Generator, temperature: float = 1.0) -> Architecture:
        """Draw an architecture of the space, choice by choice.

        Args:
            space: the space.
            rng: draws the answers.
            temperature: above 1 it makes the probabilities of the options more equal.

        Raises:
            InputError: the answers make no architecture.
        """
        read, state = self._row(_START)[None, : self.hidden], self._zero_state(1)

        def pick(name: str, options: Options) -> Value:
            nonlocal read, state
            state = self._lstm_step(read, state)
            key = name, repr(options)
            if key not in self._tables:
                self._tables[key] = self._table(name, options)
            table = self._tables[key]
            logits = self._logits(state[0], table)[0].double() / temperature
            chances = logits.softmax(0).cumsum(0)
            answer = min(int(torch.searchsorted(chances, rng.random() * chances[-1])), len(options) - 1)
            read = table[answer : answer + 1, : self.hidden]
            return options[answer]

        return space.choose(Choose(pick))

    def learn(self, paths: Sequence[Sequence[ChoiceStep]], advantages: Sequence[float], entropy: float) -> None:
        """One step of REINFORCE on a batch of architectures, each given by the choices that lead to it."""
        with torch.inference_mode(False), torch.enable_grad():
            chances, entropies = self.log_probabilities(paths)
            goal = torch.tensor(advantages, dtype=torch.float32, device="cpu") @ chances + entropy * entropies.sum()
            self.optimizer.zero_grad()
            (-goal / len(paths)).backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
        self._tables.clear()

    def log_probabilities(self, paths: Sequence[Sequence[ChoiceStep]]) -> tuple[Tensor, Tensor]:
        """The log-probability of each path, and its entropy, the sum over its choices; in one pass for all."""
        where: dict[tuple[str, str], list[tuple[int, int, ChoiceStep]]] = {}
        for b, path in enumerate(paths):
            for t, step in enumerate(path):
                where.setdefault((step.name, repr(step.options)), []).append((b, t, step))
        tables = {key: self._table(*places[0][2][:2]) for key, places in where.items()}
        start = self._row(_START)[: self.hidden]
        read = [
            [start, *[tables[s.name, repr(s.options)][s.answer, : self.hidden] for s in path[:-1]]] for path in paths
        ]
        states = [self._zero_state(len(paths))]
        for column in nn.utils.rnn.pad_sequence([torch.stack(row) for row in read]):
            states.append(self._lstm_step(column, states[-1]))
        outputs = torch.stack([output for output, _ in states[1:]])
        total, entropies = torch.zeros(2, len(paths), dtype=torch.float32, device="cpu")
        for key, places in where.items():
            b, t, answers = torch.tensor([(b, t, step.answer) for b, t, step in places], device="cpu").T
            logs = self._logits(outputs[t, b], tables[key]).log_softmax(1)
            total = total.index_add(0, b, logs.gather(1, answers[:, None])[:, 0])
            entropies = entropies.index_add(0, b, -(logs.exp() * logs).sum(1))
        return total, entropies

    def _zero_state(self, count: int) -> _State:
        """The state before anything was read: zeros, N×hidden, twice."""
        zeros = torch.zeros(count, self.hidden, dtype=torch.float32, device="cpu")
        return zeros, zeros

    def _lstm_step(self, given: Tensor, state: _State) -> _State:
        """Output and cell of the LSTM, N×hidden each, after it has read N×hidden."""
        output, cell = state
        enter, keep, new, leave = (torch.cat([given, output], 1) @ self.gates + self.bias).chunk(4, 1)
        cell = keep.sigmoid() * cell + enter.sigmoid() * new.tanh()
        return leave.sigmoid() * cell.tanh(), cell

    def _logits(self, outputs: Tensor, table: Tensor) -> Tensor:
        """Logits of a choice's options, N×options, from the LSTM's outputs N×hidden."""
        return outputs @ table[:, self.hidden : -1].T + table[:, -1]

    def _table(self, name: str, options: Options) -> Tensor:
        """The rows of a choice's options."""
        return torch.stack([self._row(f"{name}={option}") for option in options])

    def _row(self, name: str) -> nn.Parameter:
        if name not in self.rows:
            self.rows[name] = nn.Parameter(self._initial(name, (2 * self.hidden + 1,)))
            self.optimizer.param_groups[0]["params"].append(self.rows[name])
        return self.rows[name]

    def _initial(self, name: str, shape: Sequence[int]) -> Tensor:
        return _DEVIATION * torch.randn(tuple(shape), generator=stream(self.seed, f"controller {name}"), device="cpu")
