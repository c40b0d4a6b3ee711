"""The top of the page: one sentence on what was done, and the answer with its uncertainty."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from zerocost.base import format as fmt
from zerocost.report import progress
from zerocost.report.frames import FAILED, RANDOM, STOPPED, SURVIVORS
from zerocost.report.metric import ACCURACY, WrittenMetric
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
    """

    label: str
    value: str
    note: str = ""
    group: str = ""


def search_sentence(result: SearchResult, ranking: pd.DataFrame, runs: pd.DataFrame) -> str:
    """One sentence on what a search did, with numbers."""
    proposed = f", proposed by strategy {result.settings['strategy']}," if progress.is_search(result) else ""
    count = fmt.plural(candidate_count(result), "candidate")
    text = f"{count} of the space {result.space}{proposed} {_how_ranked(result)}"
    numbers = {"more were refused": len(result.rejected), "could not be ranked": int(ranking["rank"].isna().sum())}
    asides = [f"{number:,} {what}" for what, number in numbers.items() if number]
    text += f" ({', '.join(asides)})" if asides else ""
    for table, scale in zip([*result.earlier[1:], result.table], progress.table_fidelities(result)[1:], strict=False):
        text += f", {len(table):,} of them scored again at {progress.fidelity_label(scale)}"
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
    return f"{text}. {interruption_note(result)}".strip()


def candidate_count(result: SearchResult) -> int:
    """The number of candidates measured in all."""
    return len(result.order) or len(result.table)


def _how_ranked(result: SearchResult) -> str:
    """What candidates were measured by, in words."""
    scores = fmt.plural(len(progress.score_combination(result).proxies), "proxy", "proxies")
    if progress.ranked_by_score(result):
        return f"scored with {scores}"
    objectives = [f"score ({scores})" if name == "score" else name for name in result.objectives]
    return f"measured by {fmt.join_words(objectives)}"


def interruption_note(result: SearchResult) -> str:
    """A sentence on where a search was interrupted; empty where it was not."""
    if not result.stages:
        return ""
    if "filter" not in [stage.name for stage in result.stages]:
        return "The search was interrupted before anything was trained."
    wanted = len(result.kept) * int(result.settings.get("training_seeds", 1)) if result.settings.get("epochs") else 0
    if len(result.survivors) < wanted:
        return f"Training was interrupted: {len(result.survivors):,} of {wanted:,} runs of survivors were finished."
    return "Training was interrupted before the random picks." if wanted and not result.random else ""


def scoring_fidelity(result: SearchResult) -> str:
    """The fidelity at which the ranked candidates were scored; empty for full size."""
    scale = progress.table_fidelities(result)[-1]
    return "" if scale == "full" else scale


def search_facts(result: SearchResult, ranking: pd.DataFrame, runs: pd.DataFrame, trained: pd.DataFrame) -> list[Fact]:
    """The Pareto front of several objectives, the best candidate, and the mean metric of both groups.

    Where nothing was trained, the first of the ranking takes the place of the last two.
    """
    survivors, random = (trained[trained["group"] == group] for group in (SURVIVORS, RANDOM))
    metric = WrittenMetric.of(result.task)
    scale = scoring_fidelity(result)
    size = f"parameters as scored ({scale})" if scale and not progress.is_search(result) else "parameters"
    if survivors.empty and random.empty:
        return [*_front_facts(result), *_ranked_first(result, ranking, size)]
    answer = [*_front_facts(result), _best_trained(survivors if len(survivors) else random, ranking, size, metric)]
    answer += [
        Fact(
            f"{group.capitalize()}, mean {metric.words}",
            metric.text(ours["metric"].mean()),
            _sample_note(ours, runs[runs["group"] == group]),
            group,
        )
        for group, ours in ((SURVIVORS, survivors), (RANDOM, random))
        if len(ours)
    ]
    if len(survivors) and len(random):
        gain = mean_difference(survivors["metric"], random["metric"])
        bounds = gain.interval and " to ".join(map(metric.difference, gain.interval))
        note = f"95 % interval {bounds}" if bounds else "no interval: it needs two different candidates in each group"
        note = note if metric.higher_is_better else f"less is better; {note}"
        unit = " points" if metric.scale == 100 else ""
        answer.append(Fact("Survivors minus random picks", f"{metric.difference(gain.value)}{unit}", note))
    return answer


def survivors_verdict(trained: pd.DataFrame, metric: WrittenMetric = ACCURACY) -> str:
    """What the comparison of survivors with random picks shows; empty without both groups."""
    survivors, random = (trained[trained["group"] == group] for group in (SURVIVORS, RANDOM))
    if survivors.empty or random.empty:
        return ""
    sign = 1 if metric.higher_is_better else -1
    interval = mean_difference(sign * survivors["metric"], sign * random["metric"]).interval
    sizes = f"{fmt.plural(len(survivors), 'survivor')} against {fmt.plural(len(random), 'random pick')}"
    if interval is None:
        text = f"Too few candidates to say whether the filter beats a random pick ({sizes})."
    elif interval[0] > 0:
        text = f"Survivors trained better than random picks: the interval excludes 0 ({sizes})."
    elif interval[1] < 0:
        text = f"Survivors trained worse than random picks: the interval excludes 0 ({sizes})."
    else:
        text = f"The interval includes 0: this search does not show that the filter beats a random pick ({sizes})."
    good = sign * random["metric"] > (sign * survivors["metric"]).max()
    above = random[~random["name"].isin(survivors["name"]) & good]
    if len(above):
        best, side = above.iloc[metric.best(above["metric"])], "above" if metric.higher_is_better else "below"
        text += f" The best random pick, {best['name']}, reached {metric.text(best['metric'])}, {side} every survivor."
    return text


def _sample_note(trained: pd.DataFrame, runs: pd.DataFrame) -> str:
    left_out = [
        fmt.plural(found, f"{state} run")
        for state in (STOPPED, FAILED)
        if (found := int((runs["state"] == state).sum()))
    ]
    note = f"; {' and '.join(left_out)} left out" if left_out else ""
    return f"{fmt.plural(len(trained), 'candidate')}, {fmt.plural(int(trained['seeds'].sum()), 'run')}{note}"


def _best_trained(trained: pd.DataFrame, ranking: pd.DataFrame, size: str, metric: WrittenMetric) -> Fact:
    best = trained.iloc[metric.best(trained["metric"])]
    share = metric.scale == 100
    write = (lambda value: fmt.fixed(100 * value, 1)) if share else fmt.number
    spread = "" if np.isnan(best["sd"]) else f" ± {write(best['sd'])}"
    reached = f"{write(best['metric'])}{spread}{f'{fmt.SPACE}%' if share else ''}"
    over = f"mean ± sd over {best['seeds']} seeds" if spread else "one seed"
    params = ranking["params"].get(best["name"])
    weight = f", {fmt.count(params)} {size}" if params is not None else ""
    kind = "survivor" if best["group"] == SURVIVORS else "random pick"
    return Fact(f"Best {kind}", best["name"], f"{reached} {metric.words} ({over}){weight}", best["group"])


def _front_facts(result: SearchResult) -> list[Fact]:
    if len(result.objectives) < 2 or not result.front:
        return []
    measured = "scored again" if result.earlier else "measured"
    objectives = fmt.join_words(list(map(progress.with_direction, result.objectives)))
    note = f"of {len(result.table):,} {measured}, by {objectives}"
    return [Fact("Pareto front", fmt.plural(len(result.front), "architecture"), note)]


def _ranked_first(result: SearchResult, ranking: pd.DataFrame, size: str) -> list[Fact]:
    ranked = ranking.dropna(subset=["rank_score"])
    if ranking.empty and result.rejected:
        return [Fact("Best candidate", "none", "every proposal was refused; the reasons are under Dropped")]
    if ranked.empty:
        return [Fact("Best candidate", "none", "no candidate could be ranked; the reasons are under Dropped")]
    first = ranked.iloc[0]
    names = (
        ["rank_score"] if progress.ranked_by_score(result) else [name for name in result.objectives if name != "params"]
    )
    parts = [f"{name.replace('_', ' ')} {fmt.formatter_for(name)(first[name])}" for name in names]
    parts.append(f"{fmt.count(first['params'])} {size}")
    fact = Fact("Ranked first", str(ranked.index[0]), f"{', '.join(parts)}; not trained")
    if len(result.kept.frame) or not result.kept.dropped:
        return [fact]
    return [Fact("Kept", "none", "no candidate passed the filter; the reasons are under Dropped"), fact]
