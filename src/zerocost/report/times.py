"""Where the time of a search went, what training everything would have taken, and the energy of the difference."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zerocost.base import format as fmt
from zerocost.base.errors import InputError
from zerocost.report.candidates import candidate_names
from zerocost.search.objectives import is_metric

if TYPE_CHECKING:
    from zerocost.search.pipeline import SearchResult
    from zerocost.train.run import Run


@dataclass(frozen=True)
class Times:
    """Where the time of a search went, in seconds of wall time.

    The time of training is divided by epochs. Where it is less than these took, as when several trained at once or an
    earlier call trained a part, `added_up` is true, and times of training are those of the epochs, added up.

    Attributes:
        scoring: all that came before training.
        survivors: the training of survivors.
        random: the training of random picks that are no survivors.
        candidates: how many were measured in all.
        everything: what training all of them would have taken: the time of those trained, and for each epoch of the
            others the mean of those timed; None without any of these, or where all were trained.
        source: whose epochs were timed for that; empty where none were.
        added_up: whether times of training are not wall time.
    """

    scoring: float
    survivors: float
    random: float
    candidates: int
    everything: float | None
    source: str
    added_up: bool

    @classmethod
    def of(cls, result: SearchResult) -> Times:
        """The times of a search."""
        survivors, picks = _by_run(result.survivors), _by_run(result.random)
        outside = {key: run for key, run in picks.items() if key not in survivors}
        epochs, epochs_outside = _seconds(survivors.values()) + _seconds(outside.values()), _seconds(outside.values())
        train = sum(stage.seconds for stage in result.stages if stage.name == "train")
        added_up = train < epochs
        scale = 1.0 if added_up or not epochs else train / epochs
        candidates, random = set(candidate_names(result)), scale * epochs_outside
        known = {**survivors, **{key: run for key, run in outside.items() if key[0] in candidates}}
        timed = [run for run in (picks or survivors).values() if run.epochs]
        own = (epochs if added_up else train) - random
        left = _epochs_left(result, len(candidates), known.values())
        every = None
        if timed and left > 0:
            picked = scale * _seconds(run for key, run in known.items() if key in outside)
            every = own + picked + left * _seconds(timed) / sum(len(run.epochs) for run in timed)
        return cls(
            scoring=sum(stage.seconds for stage in result.stages if stage.name != "train"),
            survivors=own,
            random=random,
            candidates=len(candidates),
            everything=every,
            source=("random picks" if picks else "survivors") if timed else "",
            added_up=added_up,
        )

    @property
    def saved(self) -> float | None:
        """How much longer training everything would have taken than the search did, its random picks counted."""
        return None if self.everything is None else self.everything - self.scoring - self.survivors - self.random

    @property
    def summary(self) -> str:
        """How long scoring and the training of survivors took, in words."""
        kind = ", its epochs added up" if self.added_up else ""
        trained = f", trained in {fmt.seconds(self.survivors)}{kind}" if self.survivors else ""
        return f"scored in {fmt.seconds(self.scoring)}{trained}"

    @property
    def note(self) -> str:
        """What training everything would have taken, in words."""
        parts = [f"the random picks took {fmt.seconds(self.random)} more"] if self.random else []
        if self.everything is not None:
            everything = f"{fmt.plural(self.candidates, 'candidate')} would have taken {fmt.seconds(self.everything)}"
            parts.append(
                f"training all {everything}, those not trained estimated by the mean epoch of the {self.source}"
            )
        return "; ".join(parts)


@dataclass(frozen=True)
class Power:
    """What a machine draws, and what its electricity emits, both as stated by who asks.

    Attributes:
        watts: the power of the machine while it trains or scores.
        grams_per_kwh: grams of CO₂ for each kilowatt-hour; None where only energy is asked for.

    >>> Power(300.0, 400.0).drawn(7200.0).replace(fmt.SPACE, " ")
    '0.6 kWh, 240 g of CO₂'
    """

    watts: float
    grams_per_kwh: float | None = None

    @classmethod
    def of(cls, watts: float | None, grams_per_kwh: float | None) -> Power | None:
        """The power that is stated; None where no watts are. Raises `InputError` for numbers that cannot be."""
        if watts is None and grams_per_kwh is not None:
            raise InputError("grams of CO₂ per kWh need the power of the machine too; give watts")
        for name, value in (("watts", watts), ("grams_per_kwh", grams_per_kwh)):
            if value is not None and not 0 < value < math.inf:
                raise InputError(f"{name} must be a number above 0, but got {value!r}")
        return None if watts is None else cls(watts, grams_per_kwh)

    @property
    def source(self) -> str:
        """What was stated, in words."""
        grams = "" if self.grams_per_kwh is None else f" and {self.grams_per_kwh:g}{fmt.SPACE}g/kWh"
        return f"{self.watts:g}{fmt.SPACE}W{grams}, as stated"

    def drawn(self, seconds: float) -> str:
        """The energy and the CO₂ of so many seconds, in words."""
        energy = self.watts * seconds / 3.6e6
        held = (energy, "kWh") if energy >= 0.1 else (1000 * energy, "Wh")
        text = f"{fmt.number(held[0], 3)}{fmt.SPACE}{held[1]}"
        if self.grams_per_kwh is None:
            return text
        grams = energy * self.grams_per_kwh
        mass = (grams / 1000, "kg") if grams >= 1000 else (grams, "g")
        return f"{text}, {fmt.number(mass[0], 3)}{fmt.SPACE}{mass[1]} of CO₂"


def _epochs_left(result: SearchResult, candidates: int, trained: Iterable[Run]) -> int:
    """How many more epochs training all candidates from each seed takes; none of a run that failed, nor where all were
    trained for an objective."""
    if any(map(is_metric, result.objectives)):
        return 0
    runs = list(trained)
    epochs = int(result.settings.get("epochs", max((len(run.epochs) for run in runs), default=0)))
    done = sum(len(run.epochs) if run.failure is None else epochs for run in runs)
    return candidates * epochs * int(result.settings.get("training_seeds", 1)) - done


def _seconds(runs: Iterable[Run]) -> float:
    return sum(run.seconds for run in runs)


def _by_run(runs: list[Run]) -> dict[tuple[str, int], Run]:
    return {(run.name, run.seed): run for run in runs}
