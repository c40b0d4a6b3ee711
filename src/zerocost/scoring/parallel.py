"""Candidates scored in other processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from torch import nn

from zerocost.base.workers import Workers
from zerocost.engine.signals import SIGNALS, Signal
from zerocost.scoring.candidates import Builder

_Candidates = Mapping[str, Builder | nn.Module]


def own_signals() -> dict[str, Signal]:
    """The user's own signals, which another process has not registered."""
    return {name: s for name, s in SIGNALS.items() if s.function and not s.declared_in.startswith("zerocost.")}


def in_processes(score: Callable[[Any], Any], candidates: _Candidates, workers: Workers) -> Iterator[Any]:
    """What a function gives for each candidate, in their order; a `Failure` where a worker process died of one, twice.

    Raises:
        InputError: the candidates or the function cannot be sent to other processes.
    """
    pool = workers.pool(partial(_set_up, score, candidates, own_signals()))
    return pool.answers((name,) for name in candidates)


def _set_up(
    score: Callable[[Any], Any], candidates: _Candidates, signals: Mapping[str, Signal]
) -> Callable[[str], Any]:
    """In a worker process: the function that scores the candidate of a name."""
    SIGNALS.update(signals)
    return lambda name: score(candidates[name])
