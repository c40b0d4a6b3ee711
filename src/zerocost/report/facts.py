"""The numbers of the answer, each with its source and its uncertainty."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from zerocost.base import format as fmt
from zerocost.report.candidates import is_search, ranked_by_score, with_direction
from zerocost.report.fidelity_steps import table_fidelities
from zerocost.report.frames import FAILED, RANDOM, STOPPED, SURVIVORS
from zerocost.report.front import front_of
from zerocost.report.gain import best_at_random, seeds_note, spent_budget, trainings_in_order
from zerocost.report.metric import WrittenMetric, formatter_of
from zerocost.report.times import Power, Times
from zerocost.statistics.association import mean_difference

if TYPE_CHECKING:
    from zerocost.search.pipeline import SearchResult


@dataclass(frozen=True)
class Fact:
    """One number of the answer.

    Attributes:
        label: what the number is.
        value: the number, formatted.
        note: where it comes from.
        group: the group of trained candidates it is about, which gives its colour.
        candidate: the candidate that it is about.
    """

    label: str
    value: str
    note: str = ""
    group: str = ""
    candidate: str = ""


def search_facts(
    result: SearchResult, ranking: pd.DataFrame, trained: pd.DataFrame, power: Power | None = None
) -> list[Fact]:
    """The Pareto front of several objectives, the best candidate, what it gains on random picks, time and energy.

    Where nothing was trained, the first of the ranking takes the place of the gain.
    """
    survivors, random = (trained[trained["group"] == group] for group in (SURVIVORS, RANDOM))
    metric = WrittenMetric.of(result.task)
    if survivors.empty and random.empty:
        return [*_front_facts(result), *_ranked_first(result, ranking), *_time_facts(result, power)]
    answer = [*_front_facts(result), _best_trained(result, survivors if len(survivors) else random, ranking)]
    if spent_budget(result):
        answer += _best_against_random(result, metric)
    if len(survivors) and len(random):
        answer.append(_gain(survivors, random, metric))
    return [*answer, *_time_facts(result, power)]


def scoring_fidelity(result: SearchResult) -> str:
    """The fidelity at which the ranked candidates were scored; empty for full size."""
    scale = table_fidelities(result)[-1]
    return "" if scale == "full" else scale


def sample_note(trained: pd.DataFrame, runs: pd.DataFrame) -> str:
    """How many candidates and runs the mean of a group is over, and how many runs it leaves out."""
    left_out = [
        fmt.plural(found, f"{state} run")
        for state in (STOPPED, FAILED)
        if (found := int((runs["state"] == state).sum()))
    ]
    note = f"; {' and '.join(left_out)} left out" if left_out else ""
    return f"{fmt.plural(len(trained), 'candidate')}, {fmt.plural(int(trained['seeds'].sum()), 'run')}{note}"


def _gain(survivors: pd.DataFrame, random: pd.DataFrame, metric: WrittenMetric) -> Fact:
    """The difference of the means, with its interval."""
    gain = mean_difference(survivors["metric"], random["metric"])
    bounds = gain.interval and " to ".join(map(metric.difference, gain.interval))
    note = f"95 % interval {bounds}" if bounds else "no interval: it needs two different candidates in each group"
    means = " against ".join(metric.text(group["metric"].mean()) for group in (survivors, random))
    direction = "" if metric.higher_is_better else ", less is better"
    unit = " points" if metric.scale == 100 else ""
    value = f"{metric.difference(gain.value)}{unit}"
    return Fact("Survivors minus random picks", value, f"{metric.words}, mean {means}{direction}; {note}")


def _best_against_random(result: SearchResult, metric: WrittenMetric) -> list[Fact]:
    """The best of as many trainings as there are random picks, beside the best of those."""
    random, best = best_at_random(result), trainings_in_order(result)["best"]
    count = min(len(random), len(best))
    if not count:
        return []
    pair = " against ".join(map(metric.text, (best.iloc[count - 1], random.iloc[count - 1])))
    at_random = f"the mean best of {count} random picks" if count < len(random) else "the best of as many random picks"
    return [
        Fact(
            f"Best of the first {fmt.plural(count, 'training')}",
            pair,
            f"{metric.words}, {at_random}{seeds_note(result)}",
        )
    ]


def _time_facts(result: SearchResult, power: Power | None) -> list[Fact]:
    """Where the time went, how long training everything would have taken, and the energy of the difference."""
    times = Times.of(result)
    facts = [Fact("Time", times.summary, times.note)] if result.stages else []
    return facts if power is None else [*facts, _energy_fact(times, power)]


def _energy_fact(times: Times, power: Power) -> Fact:
    """The energy of the time that training everything would have taken beyond that of the search."""
    if times.saved is None:
        reason = "every candidate was trained" if times.source else "nothing was trained, so no epoch was timed"
        return Fact("Energy saved", "none" if times.source else "unknown", reason)
    picks = ", its random picks counted," if times.random else ""
    energy, time = power.drawn(abs(times.saved)), fmt.seconds(abs(times.saved))
    against = f"than training all {times.candidates:,} would have, at {power.source}"
    if times.saved > 0:
        return Fact("Energy saved", energy, f"the search{picks} took {time} less {against}")
    return Fact("Energy saved", "none", f"the search{picks} took {time} more {against}: {energy} more")


def _size_words(result: SearchResult) -> str:
    """What the number of parameters is of."""
    scale = scoring_fidelity(result)
    return f"parameters as scored ({scale})" if scale and not is_search(result) else "parameters"


def _best_trained(result: SearchResult, trained: pd.DataFrame, ranking: pd.DataFrame) -> Fact:
    metric = WrittenMetric.of(result.task)
    best = trained.iloc[metric.best(trained["metric"])]
    share = metric.scale == 100
    write = (lambda value: fmt.fixed(100 * value, 1)) if share else fmt.number
    spread = "" if np.isnan(best["sd"]) else f" ± {write(best['sd'])}"
    reached = f"{write(best['metric'])}{spread}{f'{fmt.SPACE}%' if share else ''}"
    over = f"mean ± sd over {best['seeds']} seeds" if spread else "one seed"
    params = ranking["params"].get(best["name"])
    weight = f", {fmt.count(params)} {_size_words(result)}" if params is not None else ""
    kind = "survivor" if best["group"] == SURVIVORS else "random pick"
    note = f"{metric.words}, {over}{weight}"
    return Fact(f"Best {kind}", f"{best['name']}: {reached}", note, best["group"], best["name"])


def _front_facts(result: SearchResult) -> list[Fact]:
    front = front_of(result)
    if len(result.objectives) < 2 or front is None:
        return []
    measured = "trained" if spent_budget(result) else "scored again" if result.earlier else "measured"
    named = [with_direction(name, name in front.falling) for name in map(str, front.values)]
    count = len(front.values) if spent_budget(result) else len(result.table)
    note = f"of {count:,} {measured}, by {fmt.join_words(named)}"
    facts = [Fact("Pareto front", fmt.plural(len(front.names), "architecture"), note)]
    if front.knee:
        [values] = front.values.loc[[front.knee]].to_dict("records")
        parts = [f"{str(name).replace('_', ' ')} {formatter_of(str(name))(v)}" for name, v in values.items()]
        facts.append(Fact("Knee of the front", front.knee, ", ".join(parts), candidate=front.knee))
    return facts


def _ranked_first(result: SearchResult, ranking: pd.DataFrame) -> list[Fact]:
    ranked = ranking.dropna(subset=["rank_score"])
    if ranking.empty and result.rejected:
        return [Fact("Best candidate", "none", "every proposal was refused; the reasons are under Dropped")]
    if ranked.empty:
        return [Fact("Best candidate", "none", "no candidate could be ranked; the reasons are under Dropped")]
    first = ranked.iloc[0]
    names = ["rank_score"] if ranked_by_score(result) else [name for name in result.objectives if name != "params"]
    parts = [f"{name.replace('_', ' ')} {formatter_of(name)(first[name])}" for name in names]
    parts.append(f"{fmt.count(first['params'])} {_size_words(result)}")
    name = str(ranked.index[0])
    trained = "no training ended well" if result.survivors else "not trained"
    fact = Fact("Ranked first", name, f"{', '.join(parts)}; {trained}", candidate=name)
    if len(result.kept.frame) or not result.kept.dropped:
        return [fact]
    return [Fact("Kept", "none", "no candidate passed the filter; the reasons are under Dropped"), fact]
