"""The top of the page: what was done, in one sentence, and the answer, with its uncertainty."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from zerocost.report import format as fmt
from zerocost.report import progress as goals
from zerocost.report.frames import FAILED, RANDOM, STOPPED, SURVIVORS
from zerocost.statistics.association import mean_difference

if TYPE_CHECKING:
    from zerocost.search.pipeline import SearchResult


@dataclass(frozen=True)
class Fact:
    """One number of the answer: what it is, the number, and how it was had."""

    label: str
    value: str
    note: str = ""
    group: str = ""


def sentence(result: SearchResult, ranking: pd.DataFrame, runs: pd.DataFrame) -> str:
    """What was done, with numbers."""
    proposed = f", proposed by strategy {result.settings['strategy']}," if goals.searched(result) else ""
    text = f"{fmt.plural(count(result), 'candidate')} of the space {result.space}{proposed} {judged(result)}"
    numbers = {"more were refused": len(result.rejected), "could not be ranked": int(ranking["rank"].isna().sum())}
    asides = [f"{number:,} {what}" for what, number in numbers.items() if number]
    text += f" ({', '.join(asides)})" if asides else ""
    for table, scale in zip([*result.earlier[1:], result.table], goals.fidelities(result)[1:], strict=False):
        text += f", {len(table):,} of them again at {goals.sized(scale)}"
    if result.kept.dropped:
        text += f", {len(result.kept.frame):,} kept"
    parts = [
        f"{fmt.plural(ours['name'].nunique(), noun)} ({fmt.plural(len(ours), 'run')})"
        for group, noun in ((SURVIVORS, "survivor"), (RANDOM, "random pick"))
        if len(ours := runs[runs["group"] == group])
    ]
    if parts:
        text += f", {' and '.join(parts)} trained"
    if result.stages:
        text += f", in {fmt.seconds(sum(stage.seconds for stage in result.stages))}"
    return f"{text}. {interrupted(result)}".strip()


def count(result: SearchResult) -> int:
    """How many candidates were judged in all."""
    return len(result.order) or len(result.table)


def judged(result: SearchResult) -> str:
    """By what candidates were judged, in words."""
    scores = fmt.plural(len(goals.scored_by(result).proxies), "proxy", "proxies")
    if goals.plain(result):
        return f"scored with {scores}"
    named = [f"score ({scores})" if name == "score" else name for name in result.objectives]
    return f"judged by {fmt.listing(named)}"


def interrupted(result: SearchResult) -> str:
    """Where a search ended too early, as a sentence; empty where it is not known to have."""
    if not result.stages:
        return ""
    if "filter" not in [stage.name for stage in result.stages]:
        return "The search was interrupted before anything was trained."
    wanted = len(result.kept) * int(result.settings.get("training_seeds", 1)) if result.settings.get("epochs") else 0
    if len(result.survivors) < wanted:
        return f"Training was interrupted: {len(result.survivors):,} of {wanted:,} runs of survivors were done."
    return "Training was interrupted before the random picks." if wanted and not result.random else ""


def fidelity(result: SearchResult) -> str:
    """The scale at which the ranked candidates were scored; empty for full size."""
    scale = goals.fidelities(result)[-1]
    return "" if scale == "full" else scale


def facts(result: SearchResult, ranking: pd.DataFrame, runs: pd.DataFrame, trained: pd.DataFrame) -> list[Fact]:
    """The front of several objectives, the best candidate, and what the two groups reached.

    Where nothing was trained, the ranking's first takes their place.
    """
    survivors, random = (trained[trained["group"] == group] for group in (SURVIVORS, RANDOM))
    scale = fidelity(result)
    size = f"parameters as scored ({scale})" if scale and not goals.searched(result) else "parameters"
    if survivors.empty and random.empty:
        return [*_front(result), *_ranked_first(result, ranking, size)]
    answer = [*_front(result), _best(survivors if len(survivors) else random, ranking, size)]
    answer += [
        Fact(
            f"{group.capitalize()}, mean accuracy",
            fmt.percent(ours["accuracy"].mean()),
            _sample(ours, runs[runs["group"] == group]),
            group,
        )
        for group, ours in ((SURVIVORS, survivors), (RANDOM, random))
        if len(ours)
    ]
    if len(survivors) and len(random):
        gain = mean_difference(survivors["accuracy"], random["accuracy"])
        bounds = gain.interval and " to ".join(map(fmt.points, gain.interval))
        note = f"95 % interval {bounds}" if bounds else "no interval: needs two candidates that differ in each group"
        answer.append(Fact("Survivors minus random picks", f"{fmt.points(gain.value)} points", note))
    return answer


def verdict(trained: pd.DataFrame) -> str:
    """What the comparison of survivors with random picks does and does not show; empty without both groups."""
    survivors, random = (trained[trained["group"] == group] for group in (SURVIVORS, RANDOM))
    if survivors.empty or random.empty:
        return ""
    interval = mean_difference(survivors["accuracy"], random["accuracy"]).interval
    sizes = f"{fmt.plural(len(survivors), 'survivor')} against {fmt.plural(len(random), 'random pick')}"
    if interval is None:
        text = f"Too few candidates to say whether the filter beats a random pick ({sizes})."
    elif interval[0] > 0:
        text = f"Survivors trained better than random picks: the interval excludes 0 ({sizes})."
    elif interval[1] < 0:
        text = f"Survivors trained worse than random picks: the interval excludes 0 ({sizes})."
    else:
        text = f"The interval includes 0: this run does not show that the filter beats a random pick ({sizes})."
    above = random[~random["name"].isin(survivors["name"]) & (random["accuracy"] > survivors["accuracy"].max())]
    if len(above):
        best = above.iloc[int(above["accuracy"].argmax())]
        text += f" The best random pick, {best['name']}, reached {fmt.percent(best['accuracy'])}, above every survivor."
    return text


def _sample(trained: pd.DataFrame, runs: pd.DataFrame) -> str:
    left_out = [
        fmt.plural(found, f"{state} run")
        for state in (STOPPED, FAILED)
        if (found := int((runs["state"] == state).sum()))
    ]
    note = f"; {' and '.join(left_out)} left out" if left_out else ""
    return f"{fmt.plural(len(trained), 'candidate')}, {fmt.plural(int(trained['seeds'].sum()), 'run')}{note}"


def _best(trained: pd.DataFrame, ranking: pd.DataFrame, size: str) -> Fact:
    best = trained.iloc[int(trained["accuracy"].argmax())]
    spread = "" if np.isnan(best["sd"]) else f" ± {fmt.fixed(100 * best['sd'], 1)}"
    accuracy = f"{fmt.fixed(100 * best['accuracy'], 1)}{spread}{fmt.SPACE}%"
    over = f"mean ± sd over {best['seeds']} seeds" if spread else "one seed"
    params = ranking["params"].get(best["name"])
    weight = f", {fmt.count(params)} {size}" if params is not None else ""
    kind = "survivor" if best["group"] == SURVIVORS else "random pick"
    return Fact(f"Best {kind}", best["name"], f"{accuracy} accuracy ({over}){weight}", best["group"])


def _front(result: SearchResult) -> list[Fact]:
    if len(result.objectives) < 2 or not result.front:
        return []
    judged = "scored again" if result.earlier else "judged"
    note = f"of {len(result.table):,} {judged}, by {fmt.listing(list(map(goals.aim, result.objectives)))}"
    return [Fact("Pareto front", fmt.plural(len(result.front), "architecture"), note)]


def _ranked_first(result: SearchResult, ranking: pd.DataFrame, size: str) -> list[Fact]:
    ranked = ranking.dropna(subset=["rank_score"])
    if ranking.empty and result.rejected:
        return [Fact("Best candidate", "none", "every proposal was refused; the reasons are under Dropped")]
    if ranked.empty:
        return [Fact("Best candidate", "none", "no candidate could be ranked; the reasons are under Dropped")]
    first = ranked.iloc[0]
    names = ["rank_score"] if goals.plain(result) else [name for name in result.objectives if name != "params"]
    parts = [f"{name.replace('_', ' ')} {fmt.quantity(name)(first[name])}" for name in names]
    parts.append(f"{fmt.count(first['params'])} {size}")
    fact = Fact("Ranked first", str(ranked.index[0]), f"{', '.join(parts)}; not trained")
    if len(result.kept.frame) or not result.kept.dropped:
        return [fact]
    return [Fact("Kept", "none", "no candidate passed the filter; the reasons are under Dropped"), fact]
