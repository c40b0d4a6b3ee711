"""Judging architectures: by proxies at a fidelity, by sizes, and by an accuracy that is looked up or trained."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import fmean
from typing import NamedTuple

from zerocost.base.errors import Failure
from zerocost.run import Scorer
from zerocost.run.job import Scores
from zerocost.search.sizes import Cost
from zerocost.spaces.architecture import Architecture


class Judged(NamedTuple):
    """What is known of an architecture: its numbers by name, and why others are missing."""

    scores: dict[str, float]
    failures: dict[str, str]


Judge = Callable[[Sequence[Architecture]], Iterator[Judged]]


def judge(scorer: Scorer | None, quantities: Mapping[str, Cost]) -> Judge:
    """A function that judges architectures in the order given, one at a time where there is a single process.

    `scorer` gives the proxies, the mean over the seeds of its job; `quantities` all other numbers.

    >>> from zerocost import spaces
    >>> made = judge(None, {"length": lambda arch: float(len(str(arch)))})
    >>> next(made([Architecture("abc", ())]))
    Judged(scores={'length': 3.0}, failures={})
    """

    def judged(archs: Sequence[Architecture]) -> Iterator[Judged]:
        alone = scorer is None or scorer.workers == 1
        for group in [[arch] for arch in archs] if alone else [list(archs)]:
            scored = scorer([str(arch) for arch in group]) if scorer else {}
            by_text: dict[str, list[Scores]] = {}
            for (text, _), scores in scored.items():
                by_text.setdefault(text, []).append(scores)
            for arch in group:
                found: dict[str, float | Failure] = {name: quantity(arch) for name, quantity in quantities.items()}
                found |= averaged(by_text.get(str(arch), []))
                numbers = {name: value for name, value in found.items() if not isinstance(value, Failure)}
                yield Judged(numbers, {name: str(value) for name, value in found.items() if isinstance(value, Failure)})

    return judged


def averaged(seeds: Sequence[Scores]) -> dict[str, float | Failure]:
    """The mean of each score over seeds, or the first of its failures."""
    found: dict[str, float | Failure] = {}
    for name in seeds[0] if seeds else ():
        values = [scores[name].value for scores in seeds if scores[name].value is not None]
        failed = next((scores[name].reason for scores in seeds if scores[name].value is None), None)
        found[name] = Failure(failed or "") if len(values) < len(seeds) else fmean(v for v in values if v is not None)
    return found
