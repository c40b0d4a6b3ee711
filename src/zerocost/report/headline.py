"""The top of the page: what was done, in one sentence, and the answer, with its uncertainty."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from zerocost.report import format as fmt
from zerocost.report.frames import RANDOM, SURVIVORS
from zerocost.report.statistics import difference

if TYPE_CHECKING:
    from zerocost.pipeline import SearchResult


@dataclass(frozen=True)
class Fact:
    """One number of the answer: what it is, the number, and how it was had."""

    label: str
    value: str
    note: str = ""
    group: str = ""


def sentence(result: SearchResult, ranking: pd.DataFrame, runs: pd.DataFrame) -> str:
    """What was done, with numbers."""
    scored, kept = len(ranking), len(result.kept.frame)
    failed = int(ranking["rank"].isna().sum())
    text = (
        f"{fmt.plural(scored, 'candidate')} of the space {result.space} scored with "
        f"{fmt.plural(len(result.table.proxies), 'proxy', 'proxies')}"
    )
    if failed:
        text += f" ({failed:,} could not be ranked)"
    if result.kept.dropped:
        text += f", {kept:,} kept"
    parts = [
        f"{fmt.plural(ours['name'].nunique(), noun)} ({fmt.plural(len(ours), 'run')})"
        for group, noun in ((SURVIVORS, "survivor"), (RANDOM, "random pick"))
        if len(ours := runs[runs["group"] == group])
    ]
    if parts:
        text += f", {' and '.join(parts)} trained"
    total = sum(stage.seconds for stage in result.stages)
    return f"{text}, in {fmt.seconds(total)}." if result.stages else f"{text}."


def fidelity(result: SearchResult) -> str:
    """The scale at which the candidates were scored; empty for full size."""
    scale = str(result.settings.get("fidelity", "full"))
    return "" if scale == "full" else scale


def facts(result: SearchResult, ranking: pd.DataFrame, runs: pd.DataFrame, trained: pd.DataFrame) -> list[Fact]:
    """The best candidate, and what the two groups reached; only the ranking's first where nothing was trained."""
    survivors, random = (trained[trained["group"] == group] for group in (SURVIVORS, RANDOM))
    scale = fidelity(result)
    size = f"parameters as scored ({scale})" if scale else "parameters"
    if survivors.empty and random.empty:
        return _ranked_first(ranking, size)
    answer = [_best(survivors if len(survivors) else random, ranking, size)]
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
        gain = difference(survivors["accuracy"], random["accuracy"])
        bounds = gain.interval and " to ".join(map(fmt.points, gain.interval))
        note = f"95 % interval {bounds}" if bounds else "no interval: needs two candidates that differ in each group"
        answer.append(Fact("Survivors minus random picks", f"{fmt.points(gain.value)} points", note))
    return answer


def verdict(trained: pd.DataFrame) -> str:
    """What the comparison of survivors with random picks does and does not show; empty without both groups."""
    survivors, random = (trained[trained["group"] == group] for group in (SURVIVORS, RANDOM))
    if survivors.empty or random.empty:
        return ""
    interval = difference(survivors["accuracy"], random["accuracy"]).interval
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
    failed = int(runs["accuracy"].isna().sum())
    note = f"; {fmt.plural(failed, 'failed run')} left out" if failed else ""
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


def _ranked_first(ranking: pd.DataFrame, size: str) -> list[Fact]:
    ranked = ranking.dropna(subset=["rank_score"])
    if ranked.empty:
        return [Fact("Best candidate", "none", "no candidate could be ranked; the reasons are under Dropped")]
    first = ranked.iloc[0]
    score, params = fmt.number(first["rank_score"]), fmt.count(first["params"])
    note = f"rank score {score}, {params} {size}; not trained"
    return [Fact("Ranked first", str(ranked.index[0]), note)]
