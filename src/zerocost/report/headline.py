"""The top of the page: one sentence on what was done, and the answer with its uncertainty."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from zerocost.base import format as fmt
from zerocost.report.candidates import candidate_names, is_search, ranked_by_score, score_combination
from zerocost.report.fidelity_steps import fidelity_label, table_fidelities
from zerocost.report.frames import RANDOM, SURVIVORS, UNTRAINED, trained_table
from zerocost.report.gain import best_at_random, seeds_note, spent_budget, trainings_in_order
from zerocost.report.metric import ACCURACY, WrittenMetric
from zerocost.statistics.association import mean_difference

if TYPE_CHECKING:
    from zerocost.search.pipeline import SearchResult

_LITTLE_LUCK = 0.05
"""Widths of an accuracy's interval up to which nothing is said of it."""


def search_sentence(result: SearchResult, ranking: pd.DataFrame, runs: pd.DataFrame) -> str:
    """One sentence on what a search did, with numbers."""
    proposed = f", proposed by strategy {result.settings['strategy']}," if is_search(result) else ""
    count = fmt.plural(candidate_count(result), "candidate")
    text = f"{count} of the space {result.space}{proposed} {_how_ranked(result)}"
    numbers = {"more were refused": len(result.rejected), "could not be ranked": int(ranking["rank"].isna().sum())}
    asides = [f"{number:,} {what}" for what, number in numbers.items() if number]
    text += f" ({', '.join(asides)})" if asides else ""
    for table, scale in zip([*result.earlier[1:], result.table], table_fidelities(result)[1:], strict=False):
        text += f", {len(table):,} of them scored again at {fidelity_label(scale)}"
    if result.kept.dropped and not spent_budget(result):
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
    return len(candidate_names(result))


def _how_ranked(result: SearchResult) -> str:
    """What candidates were measured by, in words."""
    scores = fmt.plural(len(score_combination(result).proxies), "proxy", "proxies")
    if ranked_by_score(result):
        return f"scored with {scores}"
    objectives = [f"score ({scores})" if name == "score" else name for name in result.objectives]
    return f"measured by {fmt.join_words(objectives)}"


def interruption_note(result: SearchResult) -> str:
    """A sentence on where a search was interrupted; empty where it was not."""
    if not result.stages:
        return ""
    stages, settings = [stage.name for stage in result.stages], result.settings
    if "filter" not in stages:
        return "The search was interrupted before anything was trained."
    timed = settings.get("training_seconds") is not None
    learns = timed or settings.get("trainings") is not None
    if not settings.get("epochs") or "train" not in stages or (learns and result.random):
        return ""
    if timed:
        return "Training was interrupted."
    left = sum(reason.startswith(UNTRAINED) for reason in result.kept.dropped.values())
    candidates = min(len(result.kept) + left, settings["trainings"]) if learns else len(result.kept)
    wanted = candidates * int(settings.get("training_seeds", 1))
    if len(result.survivors) < wanted:
        return f"Training was interrupted: {len(result.survivors):,} of {wanted:,} runs of survivors were finished."
    return "" if result.random else "Training was interrupted before the random picks."


def budget_verdict(result: SearchResult) -> str:
    """With which training the best random pick was reached; empty without both."""
    metric, random = WrittenMetric.of(result.task), best_at_random(result)
    best = trainings_in_order(result)["best"].dropna()
    if best.empty or random.empty:
        return ""
    sign, goal = 1 if metric.higher_is_better else -1, random.iloc[-1]
    reached = best.index[sign * best >= sign * goal]
    total, seeds = best.index[-1], seeds_note(result)
    picks = f"the best of {fmt.plural(len(random), 'random pick')}, {metric.text(goal)}{seeds}"
    if len(reached):
        return f"Training {reached[0]} of {total} was the first as good as {picks}."
    return f"None of {fmt.plural(total, 'training')} was as good as {picks}."


def luck_note(result: SearchResult) -> str:
    """The Wilson interval of the best accuracy, where few validation samples leave it wide; else empty."""
    value, count = result.best_metric, result.settings.get("validation_samples")
    counted = result.task.name == "classification" and isinstance(result.task.metric, str)
    if value is None or not count or not counted or result.metric_name != "accuracy":
        return ""
    from scipy.stats import binomtest

    low, high = binomtest(round(value * count), count).proportion_ci(0.95, "wilson")
    if high - low <= _LITTLE_LUCK:
        return ""
    text, samples = WrittenMetric.of(result.task).text, fmt.plural(count, "validation sample")
    interval = f"{text(low)} to {text(high)} (95{fmt.SPACE}%)"
    return f"On {samples}, an accuracy of {text(value)} is known to {interval}; the best of several tends to be lucky."


def survivors_verdict(runs: pd.DataFrame, metric: WrittenMetric = ACCURACY) -> str:
    """What the comparison of survivors with random picks shows; empty without both groups.

    `runs` is that of `frames.run_table`. A random pick is a single run, so it is above every survivor where no run of
    one from the same seed is as good.
    """
    trained = trained_table(runs)
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
    ours, picks = (runs[runs["group"] == group].dropna(subset=["metric"]) for group in (SURVIVORS, RANDOM))
    good = sign * picks["metric"] > picks["seed"].map((sign * ours["metric"]).groupby(ours["seed"]).max())
    above = picks[~picks["name"].isin(survivors["name"]) & good]
    if len(above):
        best, side = above.iloc[metric.best(above["metric"])], "above" if metric.higher_is_better else "below"
        same = " from the same seed" if ours["seed"].nunique() > 1 else ""
        text += f" A random pick, {best['name']}, reached {metric.text(best['metric'])}, {side} every survivor{same}."
    return text
