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

START = "start"
"""What the controller reads before the first choice."""
DEVIATION = 0.1
"""Standard deviation of all initial weights."""

State = tuple[Tensor, Tensor]


class ChoiceStep(NamedTuple):
    """One choice: its name, its options, and the place of the answer among them."""

    name: str
    options: Options
    answer: int


class Controller:
    """An LSTM that reads each answer and gives the probabilities of the next choice's options.

    Each option of each choice has a row of weights: what the LSTM reads once it is taken, what its logit is computed
    with, and a bias. Rows are made when first met, from `seed` and their names alone; an update changes only those of
    the choices in its batch. So the policy depends on what was learnt and on nothing else.

    Args:
        seed: of the initial weights.
        hidden: size of the LSTM and of what it reads.
        learning_rate: of Adam.
    """

    @torch.inference_mode(False)
    def __init__(self, seed: int, hidden: int, learning_rate: float) -> None:
        self.seed, self.hidden = seed, hidden
        self.gates = nn.Parameter(self._drawn("gates", (2 * hidden, 4 * hidden)))
        self.bias = nn.Parameter(torch.zeros(4 * hidden, dtype=torch.float32, device="cpu"))
        self.optimizer = torch.optim.Adam([self.gates, self.bias], lr=learning_rate, foreach=True)
        self.rows: dict[str, nn.Parameter] = {}
        self._tables: dict[tuple[str, str], Tensor] = {}

    @torch.inference_mode(False)
    @torch.no_grad()
    def draw(self, space: SearchSpace, rng: np.random.Generator, temperature: float = 1.0) -> Architecture:
        """An architecture of the space, each choice drawn; raises `InputError` where the answers make none.

        A temperature above 1 brings the chances of the options closer together.
        """
        read, state = self._row(START)[None, : self.hidden], self._rest(1)

        def pick(name: str, options: Options) -> Value:
            nonlocal read, state
            state = self._read(read, state)
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
        """One step of REINFORCE on a batch of architectures, each the choices that were made on the way to it."""
        with torch.inference_mode(False), torch.enable_grad():
            chances, entropies = self.score(paths)
            goal = torch.tensor(advantages, dtype=torch.float32, device="cpu") @ chances + entropy * entropies.sum()
            self.optimizer.zero_grad()
            (-goal / len(paths)).backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
        self._tables.clear()

    def score(self, paths: Sequence[Sequence[ChoiceStep]]) -> tuple[Tensor, Tensor]:
        """The log-probability of each path, and its entropy, the sum over its choices; one run of the LSTM for all."""
        where: dict[tuple[str, str], list[tuple[int, int, ChoiceStep]]] = {}
        for b, path in enumerate(paths):
            for t, step in enumerate(path):
                where.setdefault((step.name, repr(step.options)), []).append((b, t, step))
        tables = {key: self._table(*places[0][2][:2]) for key, places in where.items()}
        start = self._row(START)[: self.hidden]
        read = [
            [start, *[tables[s.name, repr(s.options)][s.answer, : self.hidden] for s in path[:-1]]] for path in paths
        ]
        states = [self._rest(len(paths))]
        for column in nn.utils.rnn.pad_sequence([torch.stack(row) for row in read]):
            states.append(self._read(column, states[-1]))
        outputs = torch.stack([output for output, _ in states[1:]])
        total, entropies = torch.zeros(2, len(paths), dtype=torch.float32, device="cpu")
        for key, places in where.items():
            b, t, answers = torch.tensor([(b, t, step.answer) for b, t, step in places], device="cpu").T
            logs = self._logits(outputs[t, b], tables[key]).log_softmax(1)
            total = total.index_add(0, b, logs.gather(1, answers[:, None])[:, 0])
            entropies = entropies.index_add(0, b, -(logs.exp() * logs).sum(1))
        return total, entropies

    def _rest(self, count: int) -> State:
        """The state before anything was read: N×hidden of zeros, twice."""
        zeros = torch.zeros(count, self.hidden, dtype=torch.float32, device="cpu")
        return zeros, zeros

    def _read(self, given: Tensor, state: State) -> State:
        """Output and cell of the LSTM, N×hidden each, once it has read N×hidden."""
        output, cell = state
        enter, keep, new, leave = (torch.cat([given, output], 1) @ self.gates + self.bias).chunk(4, 1)
        cell = keep.sigmoid() * cell + enter.sigmoid() * new.tanh()
        return leave.sigmoid() * cell.tanh(), cell

    def _logits(self, outputs: Tensor, table: Tensor) -> Tensor:
        """Of a choice's options, N×options, from the LSTM's outputs N×hidden."""
        return outputs @ table[:, self.hidden : -1].T + table[:, -1]

    def _table(self, name: str, options: Options) -> Tensor:
        """The rows of a choice's options."""
        return torch.stack([self._row(f"{name}={option}") for option in options])

    def _row(self, name: str) -> nn.Parameter:
        if name not in self.rows:
            self.rows[name] = nn.Parameter(self._drawn(name, (2 * self.hidden + 1,)))
            self.optimizer.param_groups[0]["params"].append(self.rows[name])
        return self.rows[name]

    def _drawn(self, name: str, shape: Sequence[int]) -> Tensor:
        return DEVIATION * torch.randn(tuple(shape), generator=stream(self.seed, f"controller {name}"), device="cpu")
