"""The page of an evaluation: how well each proxy ranks, and whether it ranks better than the size of the network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from zerocost.base import format as fmt
from zerocost.evaluation.evaluation import Evaluation
from zerocost.evaluation.figures import score_colours, statistic_bars
from zerocost.evaluation.tables import BASELINES, TOGETHER
from zerocost.report import evaluation_figures as figures
from zerocost.report.facts import Fact
from zerocost.report.figures import correlation_heatmap
from zerocost.report.sections import LossGroup, Plot, group_losses
from zerocost.report.template import render_template
from zerocost.statistics.bootstrap import LESS_IS_BETTER

_TITLES = {
    "spearman": "Spearman ρ",
    "kendall": "Kendall τ",
    "kendall_all": "τ, with twins",
    "kendall_top": "τ, top 10\N{NO-BREAK SPACE}%",
    "kendall_bins": "τ in FLOPs bins",
    "partial_params": "ρ given params",
    "partial_flops": "ρ given FLOPs",
    "ndcg": "nDCG",
    "ndcg_vkdnw": "nDCG of VKDNW",
    "precision": "precision@{}",
    "best_rank": "best rank@{}",
    "regret": "regret@{}",
}
_OF_THE_BEST = ("ndcg", "precision", "best_rank", "regret")
_BARS = ("kendall", "kendall_top", "kendall_bins", "partial_params")


@dataclass(frozen=True)
class _StatisticCell:
    """One statistic: its value, its interval, its spread over seeds, and whether it is the best in its column."""

    value: str
    interval: str
    spread: str
    best: bool


@dataclass(frozen=True)
class _StatisticTable:
    """Some statistics of all scores, a row a score."""

    title: str
    headings: list[str]
    rows: list[tuple[str, list[_StatisticCell]]]


def _statistic_title(statistic: str) -> str:
    """The heading of a statistic.

    >>> _statistic_title("precision@10")
    'precision@10'
    """
    base, _, k = statistic.partition("@")
    return _TITLES[base].format(k)


def render_evaluation(evaluation: Evaluation) -> str:
    """The page as text."""
    table, metric = evaluation.table, evaluation.query.metric
    order = list(table["kendall"].sort_values(ascending=False, kind="stable", na_position="last").index)
    colours = dict(zip(order, score_colours(order), strict=True))
    bars = [Plot(f"bars-{s}", statistic_bars(table.loc[order], s), _statistic_title(s)) for s in _BARS]
    means = evaluation.scores.groupby(level="architecture").mean()
    scatters = [
        Plot(
            f"scatter-{place}",
            figures.score_scatter(means[name], evaluation.truth, name, metric + evaluation.direction, colours[name]),
            name,
            f"τ = {value_with_interval(table, name, 'kendall')}",
        )
        for place, name in enumerate(order)
        if means[name].notna().any()
    ]
    wide = 120 + 38 * len(order)
    kendall = evaluation.paired[evaluation.paired["statistic"] == "kendall"]
    heatmap, differences = correlation_heatmap(evaluation.agreement), figures.difference_heatmap(kendall, order)
    correlations = Plot("correlations", heatmap, "Spearman correlation of scores", min_width=wide)
    paired = Plot("paired", differences, "Difference in Kendall τ, row minus column", min_width=wide)
    steps = np.unique(np.geomspace(1, len(evaluation.truth), 40).round().astype(int)).tolist()
    curves = Plot("regret", figures.regret_curves(evaluation.regrets(steps), metric), "Regret")
    return render_template(
        "evaluation.html.j2",
        [*bars, *scatters, correlations, paired, curves],
        title=f"{evaluation.benchmark}: {fmt.plural(len(evaluation.proxies), 'proxy', 'proxies')} evaluated",
        sentence=_evaluation_sentence(evaluation),
        facts=_evaluation_facts(evaluation),
        verdict=baseline_verdict(evaluation),
        tables=_statistic_tables(evaluation, order),
        seeds=len(evaluation.seeds),
        bars=bars,
        scatters=scatters,
        correlations=correlations,
        paired=paired,
        regret=curves,
        line_styles={"solid": "solid", "dash": "dashed", "dot": "dotted"},
        lost=_failed_scores(evaluation),
        settings=[(key, fmt.setting_text(value)) for key, value in evaluation.settings.items()],
    )


def value_with_interval(table: pd.DataFrame, name: str, statistic: str) -> str:
    """A statistic with its 95 % interval, as text."""
    value, low, high = (float(table[f"{statistic}{part}"][name]) for part in ("", "_low", "_high"))
    return f"{fmt.fixed(value)} ({fmt.fixed(low)} to {fmt.fixed(high)})"


def _statistic_tables(evaluation: Evaluation, order: Sequence[str]) -> list[_StatisticTable]:
    """The statistics in two tables, as one would be wider than most screens; with the failed where there are any."""
    best = [s for s in evaluation.telling if s.startswith(_OF_THE_BEST)]
    tables = []
    for title, statistics in (
        ("Correlation with the truth", [s for s in evaluation.telling if s not in best]),
        ("The best by score", best),
    ):
        rows = [(name, _statistic_cells(evaluation, statistics, name)) for name in order]
        tables.append(_StatisticTable(title, [_statistic_title(s) for s in statistics], rows))
    failed = evaluation.table["failed"].astype(int)
    if failed.any():
        tables[-1].headings.append("failed")
        for name, cells in tables[-1].rows:
            cells.append(_StatisticCell(str(failed[name]), "", "", False))
    return tables


def _statistic_cells(evaluation: Evaluation, statistics: Sequence[str], name: str) -> list[_StatisticCell]:
    """These statistics of one score."""
    found = []
    for s in statistics:
        column = evaluation.table[s]
        best = column.min() if s.startswith(LESS_IS_BETTER) else column.max()
        value, low, high, sd = (float(evaluation.table[f"{s}{part}"][name]) for part in ("", "_low", "_high", "_sd"))
        bounds = "" if np.isnan(low) else f"{fmt.fixed(low)} to {fmt.fixed(high)}"
        spread = f"± {fmt.fixed(sd)}" if sd >= 0.005 else ""
        found.append(_StatisticCell(fmt.fixed(value), bounds, spread, value == best))
    return found


def _evaluation_sentence(evaluation: Evaluation) -> str:
    """One sentence on what was done, with numbers."""
    note = f" Note: {evaluation.budget_note}." if evaluation.budget_note else ""
    return (
        f"{evaluation.settings['architectures']} architectures, drawn at random and scored with "
        f"{fmt.plural(len(evaluation.seeds), 'seed')}; the truth is {evaluation.query}"
        f"{evaluation.direction}.{note}"
    )


def best_score_and_baseline(evaluation: Evaluation) -> tuple[str, str]:
    """The best of the proxies and their combination, and the best baseline, by Kendall τ."""
    kendall = evaluation.table["kendall"].fillna(-np.inf)
    given = [name for name in kendall.index if name in {*evaluation.proxies, TOGETHER} - {*BASELINES}]
    baseline = str(kendall[list(BASELINES)].idxmax())
    return str(kendall[given].idxmax()) if given else baseline, baseline


def _evaluation_facts(evaluation: Evaluation) -> list[Fact]:
    """The best score, the best baseline, their difference, each where it is defined, and how many scores failed."""
    best, baseline = best_score_and_baseline(evaluation)
    table = evaluation.table
    named = {"Best score": (best, "survivors")} | ({"Best baseline": (baseline, "")} if best != baseline else {})
    found = [
        Fact(label, name, f"Kendall τ {value_with_interval(table, name, 'kendall')}", group)
        for label, (name, group) in named.items()
        if not np.isnan(table["kendall"][name])
    ]
    if len(found) == 2:
        gap = evaluation.compare(best, baseline)
        note = f"95 % interval {fmt.fixed(gap.low)} to {fmt.fixed(gap.high)}"
        found.append(Fact("Difference in τ", fmt.fixed(gap.value), note))
    failed, total = len(evaluation.failures), evaluation.scores.drop(columns=TOGETHER, errors="ignore").size
    networks = evaluation.failures["architecture"].nunique()
    found.append(Fact("Failed scores", f"{failed:,}", f"of {total:,}, on {fmt.plural(networks, 'architecture')}"))
    return found


def baseline_verdict(evaluation: Evaluation) -> str:
    """Whether the best score ranks better than the best baseline, in words; empty where it is the baseline."""
    best, baseline = best_score_and_baseline(evaluation)
    kendall = evaluation.table["kendall"]
    unordered = [name for name in dict.fromkeys((best, baseline)) if np.isnan(kendall[name])]
    if unordered:
        return f"Kendall τ of {fmt.join_words(unordered)} is undefined: its values, or the truth's, are all equal."
    if best == baseline:
        return ""
    gap = evaluation.compare(best, baseline)
    if gap.low > 0:
        return f"{best} ranks these architectures better than {baseline}: the interval of the difference excludes 0."
    if gap.high < 0:
        return f"No score ranks these architectures better than {baseline} does."
    return f"The interval of the difference includes 0: this does not show that {best} ranks better than {baseline}."


def _failed_scores(evaluation: Evaluation) -> list[LossGroup]:
    """The failed scores, by reason."""
    if evaluation.failures.empty:
        return []
    rows = evaluation.failures.rename(columns={"architecture": "candidate", "proxy": "part"})
    return [group_losses("Could not be scored", "proxy", rows, {*evaluation.proxies, *BASELINES})]
