"""profile(): where the time of one scoring goes."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pandas as pd
import torch
from torch import Tensor, nn

from zerocost import combine
from zerocost.base.errors import Failure, InputError
from zerocost.base.format import plural
from zerocost.base.result import Result, frame_from_dict, frame_to_dict
from zerocost.base.seeding import check_seed
from zerocost.base.torch_state import neutral_torch
from zerocost.base.whole import check_whole
from zerocost.data.as_batch import as_batches
from zerocost.data.batch import Batch, separate_targets
from zerocost.engine.failures import or_failure
from zerocost.engine.model.lazy import materialised
from zerocost.engine.model.network import Network
from zerocost.engine.plan import plan
from zerocost.engine.proxy import Proxy
from zerocost.engine.run import neutral_modes
from zerocost.engine.timing import TIMING, Timing
from zerocost.scoring.candidates import Builder, initialise_on, is_network
from zerocost.scoring.score import score_batches
from zerocost.tasks.task import Task, as_task

if TYPE_CHECKING:
    import plotly.graph_objects as go

_Part = tuple[str, str]
"""A kind and a name."""


@dataclass(frozen=True, eq=False, repr=False)
class Profile(Result):
    """Where the time of one scoring goes, in units of one ordinary forward and backward pass.

    Attributes:
        table: one row a part, with its kind and name: "build", each "pass", each "watcher" (whose time is part of that
            of its pass), the formula of each "proxy", "the rest", and "together"; its `units`, and its `share` of all.
            Of each proxy, `alone` is what scoring with it alone would cost.
        unit: seconds of one unit.
        rounds: how often everything was measured; the table has medians.
        failures: why proxies have no score, and so no row.
    """

    table: pd.DataFrame
    unit: float
    rounds: int
    failures: dict[str, str]

    def to_frame(self) -> pd.DataFrame:
        """A copy of `table`."""
        return self.table.copy()

    def plot(self) -> go.Figure:
        """The units of all parts as bars."""
        from zerocost.scoring.figures import profile_figure

        return profile_figure(self.table)

    def to_dict(self) -> dict[str, Any]:
        """The profile as plain values."""
        return vars(self) | {"table": frame_to_dict(self.table)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Profile:
        """The profile that `to_dict` described."""
        return cls(**values | {"table": frame_from_dict(values["table"])})

    def _headline(self) -> str:
        together = self.table.loc[self.table["kind"] == "together", "units"].iloc[0]
        return f"Profile: {together:.2f} units of {1000 * self.unit:.3g} ms, {plural(self.rounds, 'round')}"

    def _shown(self) -> pd.DataFrame:
        return self.table


def profile(
    build: Builder | nn.Module,
    batch: Any,
    proxies: Iterable[str | Proxy] | str = "default",
    *,
    task: Task | str | None = None,
    rounds: int = 5,
    seed: int = 0,
) -> Profile:
    """Where the time of one scoring goes, by pass, watcher and proxy.

    One unit is an ordinary forward and backward pass of the network on the batch. On the processor time is that of all
    threads of this process, which other processes disturb little; on a GPU it is the time until it has finished.

    Args:
        build: a function that builds a network, or a network.
        batch: as in `zerocost.score`.
        proxies: as in `zerocost.score`.
        task: as in `zerocost.score`.
        rounds: how often everything is measured.
        seed: seeds the initial weights and each pass.

    Raises:
        InputError: settings or a batch that cannot be used, or a network that cannot be trained on it.

    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 2))
    >>> found = profile(net, (torch.rand(4, 3, 2, 2), torch.arange(4) % 2), "snip,naswot", rounds=1)
    >>> found.table["name"].tolist()
    ['build', 'data', 'loss', 'activation_kernel', 'snip', 'naswot', 'the rest', 'together']
    """
    check_seed(seed)
    check_whole("rounds", rounds)
    batches = list(map(separate_targets, as_batches(batch)))
    chosen = as_task(task, None, batches[0])
    asked = combine.proxies_for(proxies, batches[0].inputs)
    model = or_failure(lambda: materialised(initialise_on(build, seed, None), batches[0].inputs, seed))
    if isinstance(model, Failure):
        raise InputError(str(model))
    measure = _Measure(model, batches, chosen, seed)
    cannot = or_failure(measure.unit)
    if isinstance(cannot, Failure):
        raise InputError(f"there is no forward and backward pass to compare with: {cannot}")
    measure.parts(asked)  # what is done once in a process is not part of the cost
    found: list[dict[_Part, float]] = []
    units: list[float] = []
    for _ in range(rounds):
        before = measure.unit()
        building = 0.0 if is_network(build) else measure.seconds(partial(initialise_on, build, seed, None))
        parts = {("build", "build"): building} | measure.parts(asked)
        parts |= {("alone", p.name): measure.seconds(partial(measure.score, [p])) for p in asked}
        units.append((before + measure.unit()) / 2)
        found.append({part: spent / units[-1] for part, spent in parts.items()})
    medians = {part: statistics.median(one.get(part, 0.0) for one in found) for part in found[0]}
    return Profile(_tabulate(medians), statistics.median(units), rounds, measure.failures)


class _Measure:
    """Times one network on one batch."""

    def __init__(self, model: nn.Module, batches: list[Batch], task: Task, seed: int) -> None:
        self.model, self.batches, self.task, self.seed = model, batches, task, seed
        self.device = next((t.device for t in model.parameters()), torch.device("cpu"))
        self.clock = time.perf_counter if self.device.type == "cuda" else time.process_time
        self.failures: dict[str, str] = {}

    def seconds(self, run: Any) -> float:
        """The time that a call takes."""
        self._finish()
        start = self.clock()
        run()
        self._finish()
        return self.clock() - start

    def _finish(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def score(self, proxies: list[Proxy]) -> Any:
        """Score the network once."""
        return score_batches(self.model, self.batches, plan(proxies), self.task, self.seed)

    def unit(self) -> float:
        """The time of one forward and backward pass."""
        with neutral_torch():
            network = Network(self.model, self.task.output)
            (inputs, targets), *_ = network.prepare(self.batches)
            targets = self.task.targets(targets)

            def forward_backward(tensors: dict[str, Tensor]) -> None:
                outputs = network.run(tensors, inputs)
                loss = self.task.loss(outputs, targets) if targets is not None else outputs.sum()
                torch.autograd.grad(loss, [t for t in tensors.values() if t.requires_grad], allow_unused=True)

            with neutral_modes(network.device), network.fresh(self.seed, training=True):
                tensors = network.copies()
                for name in network.floating:
                    tensors[name].requires_grad_()
                forward_backward(tensors)
                return self.seconds(partial(forward_backward, tensors))

    def parts(self, proxies: list[Proxy]) -> dict[_Part, float]:
        """The time of one scoring and of its parts."""
        watchers: dict[str, float] = {}
        formulas: dict[str, float] = {}
        timing = Timing(self.clock, watchers)
        timed = [replace(p, formula=timing.timed(p.name, p.formula, formulas)) for p in proxies]
        token = TIMING.set(timing)
        try:
            cards: list[Any] = []
            together = self.seconds(lambda: cards.append(self.score(timed)))
        finally:
            TIMING.reset(token)
        self.failures = dict(cards[0].failures)
        passes: dict[str, float] = {}
        for step in cards[0].passes:
            passes[step.name] = passes.get(step.name, 0.0) + step.milliseconds / 1000
        found = {("pass", name): spent for name, spent in passes.items()}
        found |= {("watcher", name): spent for name, spent in watchers.items()}
        found |= {("proxy", name): spent for name, spent in formulas.items()}
        rest = together - sum(passes.values()) - sum(formulas.values())
        return found | {("rest", "the rest"): rest}


def _tabulate(units: Mapping[_Part, float]) -> pd.DataFrame:
    """The table of a profile out of the units of each part; they add up to the whole, watchers apart."""
    together = sum(value for (kind, _), value in units.items() if kind in ("build", "pass", "proxy", "rest"))
    rows = [
        (kind, name, value, value / together, units.get(("alone", name), math.nan) if kind == "proxy" else math.nan)
        for (kind, name), value in units.items()
        if kind != "alone"
    ]
    rows.append(("together", "together", together, 1.0, math.nan))
    return pd.DataFrame(rows, columns=["kind", "name", "units", "share", "alone"])
