"""Every number of an architecture that needs no score: its costs, measured or looked up, and its accuracy."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

from zerocost.base.errors import Failure, InputError, describe_error
from zerocost.base.format import name_of
from zerocost.benchmarks.base import Benchmark
from zerocost.search.latency import LatencyMeter, Timing
from zerocost.search.latency_sources import measured_latency
from zerocost.search.sizes import Cost
from zerocost.spaces.architecture import Architecture
from zerocost.spaces.base import SearchSpace
from zerocost.store import Score, Store

Accuracy = Benchmark | Callable[[Architecture], float]


class _Timings(dict[str, Timing]):
    """Measured latencies, by the key that twins share, each kept in a store as soon as it is known."""

    def __init__(self, store: Store, conditions: str) -> None:
        known = store.known(conditions).items()
        super().__init__({key: Timing(s.value, 0.0, 0) for (key, *_), s in known if s.value is not None})
        self.store, self.conditions = store, conditions

    def __setitem__(self, key: str, timing: Timing) -> None:
        super().__setitem__(key, timing)
        self.store.add(self.conditions, {(key, 0, "latency"): Score(timing.median, None)})


def latency_cost(space: SearchSpace, inputs: Any, store: Store, meter: LatencyMeter) -> Cost:
    """The latency of a space's networks, what was measured kept in a store under the meter's conditions."""
    shape = tuple(getattr(inputs, "shape", ())[1:])
    timings = _Timings(store, f"{space.name}; input={shape}; {meter.conditions}")
    return measured_latency(space, inputs, meter, timings)


def table_costs(benchmark: Benchmark) -> dict[str, Cost]:
    """What a benchmark's table says of an architecture that no training changes: latencies, energies, parameters, …

    For each metric a function from an architecture to its number on the benchmark's default dataset, in the benchmark's
    units, or to the `Failure` that says why there is none.

    >>> from zerocost import spaces
    >>> from zerocost.benchmarks.base import Query
    >>> from zerocost.benchmarks.table import Row, table_from_rows
    >>> arch = "|none~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|"
    >>> default = Query("cifar10", "raspi4_latency", 0, "mean")
    >>> benchmark = Benchmark("demo", spaces.get("nasbench201"), table_from_rows([Row(arch, {default: 3.5})]), default)
    >>> {metric: number(benchmark.space.parse(arch)) for metric, number in table_costs(benchmark).items()}
    {'raspi4_latency': 3.5}
    """
    metrics = [metric for metric in benchmark.metrics if _is_untrained(benchmark, metric)]
    return {metric: partial(_look_up, benchmark, metric=metric, epochs=0) for metric in metrics}


def _is_untrained(benchmark: Benchmark, metric: str) -> bool:
    """Whether a benchmark has a metric that no training changes."""
    try:
        return bool(len(benchmark.truth(metric=metric, epochs=0)))
    except InputError:
        return False


def _look_up(
    benchmark: Benchmark, arch: Architecture, metric: str | None = None, epochs: int | None = None
) -> float | Failure:
    """One number of a benchmark's table, or the reason why it has none."""
    try:
        return benchmark.query(arch, metric=metric, epochs=epochs)
    except InputError as error:
        return Failure(str(error))


def accuracy_function(source: Accuracy) -> Cost:
    """The accuracy of an architecture, asked once: looked up in a benchmark, or by a function of your own.

    A `Failure` that your function raises concerns this architecture alone.

    Raises:
        InputError: a benchmark without a trained metric, or something that is neither; and, when it is asked, for a
            function of your own that raises, or returns no number.

    >>> accuracy_function(lambda arch: 0.5)(Architecture("a", ()))
    0.5
    """
    if isinstance(source, Benchmark) and not source.default.epochs:
        raise InputError(f"{source!r} has no accuracy, only {', '.join(source.metrics)}; give a table of accuracies")
    if not isinstance(source, Benchmark) and not callable(source):
        raise InputError(f"accuracy must be a benchmark or a function of an architecture, but got {source!r}")

    @cache
    def accuracy(arch: Architecture) -> float | Failure:
        if isinstance(source, Benchmark):
            return _look_up(source, arch)
        try:
            return float(source(arch))
        except Failure as error:
            return error
        except Exception as error:
            reason = describe_error(error)
            raise InputError(f"accuracy function {name_of(source)} failed for {arch}: {reason}") from error

    return accuracy
