"""Measuring architectures: proxies at a fidelity, costs, and an accuracy that is looked up or trained."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import fmean
from typing import NamedTuple

from zerocost.base.errors import Failure
from zerocost.run import Scorer
from zerocost.run.job import Scores
from zerocost.search.sizes import Cost
from zerocost.spaces.architecture import Architecture


class Measurement(NamedTuple):
    """What is known of an architecture: its numbers by name, and why others are missing."""

    scores: dict[str, float]
    failures: dict[str, str]


Measure = Callable[[Sequence[Architecture]], Iterator[Measurement]]
"""Measures architectures, in the order given."""


def measure_function(
    scorer: Scorer | None, costs: Mapping[str, Cost], begin: Callable[[Sequence[Architecture]], None] | None = None
) -> Measure:
    """A function that measures architectures in the order given, one at a time where there is a single process.

    Args:
        scorer: gives the proxies, the mean over the seeds of its job.
        costs: all other numbers, by name.
        begin: has other processes begin with what costs of these architectures will be asked for.

    >>> measure = measure_function(None, {"length": lambda arch: float(len(str(arch)))})
    >>> next(measure([Architecture("abc", ())]))
    Measurement(scores={'length': 3.0}, failures={})
    """

    def measure(archs: Sequence[Architecture]) -> Iterator[Measurement]:
        one_by_one = begin is None and (scorer is None or scorer.workers.in_process)
        for group in [[arch] for arch in archs] if one_by_one else [list(archs)]:
            if begin:
                begin(group)
            scored = scorer([str(arch) for arch in group]) if scorer else {}
            by_text: dict[str, list[Scores]] = {}
            for (text, _), scores in scored.items():
                by_text.setdefault(text, []).append(scores)
            for arch in group:
                values: dict[str, float | Failure] = {name: cost(arch) for name, cost in costs.items()}
                values |= mean_scores(by_text.get(str(arch), []))
                failures = {name: str(value) for name, value in values.items() if isinstance(value, Failure)}
                numbers = {name: value for name, value in values.items() if not isinstance(value, Failure)}
                yield Measurement(numbers, failures)

    return measure


def mean_scores(seeds: Sequence[Scores]) -> dict[str, float | Failure]:
    """The mean of each score over seeds, or the first of its failures."""
    found: dict[str, float | Failure] = {}
    for name in seeds[0] if seeds else ():
        values = [scores[name].value for scores in seeds if scores[name].value is not None]
        failed = next((scores[name].reason for scores in seeds if scores[name].value is None), None)
        found[name] = Failure(failed or "") if len(values) < len(seeds) else fmean(v for v in values if v is not None)
    return found
