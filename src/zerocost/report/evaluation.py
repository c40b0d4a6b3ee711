"""The page of an evaluation: what each proxy is worth, and whether it is worth more than the size of the network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from zerocost.evaluation.evaluation import Evaluation
from zerocost.evaluation.tables import BASELINES, TOGETHER
from zerocost.report import evaluation_figures as figures
from zerocost.report import format as fmt
from zerocost.report.figures import agreement
from zerocost.report.headline import Fact
from zerocost.report.sections import Loss, Plot, grouped
from zerocost.report.template import fill
from zerocost.statistics.bootstrap import LESS_IS_BETTER

TITLES = {
    "spearman": "Spearman ρ",
    "kendall": "Kendall τ",
    "kendall_top": "τ, top 10 %",
    "kendall_bins": "τ in FLOPs bins",
    "partial_params": "ρ given params",
    "partial_flops": "ρ given FLOPs",
    "ndcg": "nDCG",
    "precision": "precision@{}",
    "best_rank": "best rank@{}",
    "regret": "regret@{}",
}
BARS = ("kendall", "kendall_top", "kendall_bins", "partial_params")


@dataclass(frozen=True)
class Cell:
    """One statistic: its value, its interval, its spread over seeds, and whether it is the best of its column."""

    value: str
    interval: str
    spread: str
    best: bool


def title(statistic: str) -> str:
    """The heading of a statistic.

    >>> title("precision@10")
    'precision@10'
    """
    base, _, k = statistic.partition("@")
    return TITLES[base].format(k)


def render(evaluation: Evaluation) -> str:
    """The page as text."""
    table, metric = evaluation.table, evaluation.query.metric
    order = list(table["kendall"].sort_values(ascending=False, kind="stable", na_position="last").index)
    colours = {name: colour(evaluation, name) for name in order}
    bars = [Plot(f"bars-{s}", figures.bars(table.loc[order], s, [colours[n] for n in order]), title(s)) for s in BARS]
    means = evaluation.scores.groupby(level="architecture").mean()
    scatters = [
        Plot(
            f"scatter-{place}",
            figures.scatter(means[name], evaluation.truth, name, metric, colours[name]),
            name,
            f"τ = {interval(table, name, 'kendall')}",
        )
        for place, name in enumerate(order)
    ]
    wide = 120 + 38 * len(order)
    kendall = evaluation.paired[evaluation.paired["statistic"] == "kendall"]
    matrix = Plot("agreement", agreement(evaluation.agreement), "Spearman correlation of scores", min_width=wide)
    paired = Plot(
        "paired", figures.differences(kendall, order), "Difference in Kendall τ, row less column", min_width=wide
    )
    steps = np.unique(np.geomspace(1, len(evaluation.truth), 40).round().astype(int)).tolist()
    curves = Plot("regret", figures.regrets(evaluation.regrets(steps), metric), "Regret", min_width=560)
    return fill(
        "evaluation.html.j2",
        [*bars, *scatters, matrix, paired, curves],
        title=f"{evaluation.benchmark}: {fmt.plural(len(evaluation.proxies), 'proxy', 'proxies')} judged",
        sentence=sentence(evaluation),
        facts=facts(evaluation),
        verdict=verdict(evaluation),
        headings=[title(s) for s in evaluation.statistics],
        rows=[(name, cells(evaluation, name), f"{table.loc[name, 'failed']:.0f}") for name in order],
        seeds=len(evaluation.seeds),
        bars=bars,
        scatters=scatters,
        agreement=matrix,
        paired=paired,
        regret=curves,
        lost=lost(evaluation),
        settings=[(key, fmt.setting(value)) for key, value in evaluation.settings.items()],
    )


def colour(evaluation: Evaluation, name: str) -> str:
    """One colour for what was asked, one for the log-rank sum, one for baselines."""
    if name == TOGETHER:
        return figures.TOGETHER
    return figures.BASELINE if name in BASELINES else figures.PROXY


def interval(table: pd.DataFrame, name: str, statistic: str) -> str:
    """A value with its interval, in words."""
    value, low, high = (float(table[f"{statistic}{part}"][name]) for part in ("", "_low", "_high"))
    return f"{fmt.fixed(value)} ({fmt.fixed(low)} to {fmt.fixed(high)})"


def cells(evaluation: Evaluation, name: str) -> list[Cell]:
    """The statistics of one score."""
    found = []
    for s in evaluation.statistics:
        column = evaluation.table[s]
        best = column.min() if s.startswith(LESS_IS_BETTER) else column.max()
        value, low, high, sd = (float(evaluation.table[f"{s}{part}"][name]) for part in ("", "_low", "_high", "_sd"))
        bounds = "" if np.isnan(low) else f"{fmt.fixed(low)} to {fmt.fixed(high)}"
        spread = f"± {fmt.fixed(sd)}" if sd >= 0.005 else ""
        found.append(Cell(fmt.fixed(value), bounds, spread, value == best))
    return found


def sentence(evaluation: Evaluation) -> str:
    """What was done, with numbers."""
    return (
        f"{evaluation.settings['architectures']} architectures, drawn at random and scored from "
        f"{fmt.plural(len(evaluation.seeds), 'seed')}; the truth is {evaluation.query}."
    )


def leaders(evaluation: Evaluation) -> tuple[str, str]:
    """The best of what was asked and the best baseline, by Kendall τ."""
    kendall = evaluation.table["kendall"].fillna(-np.inf)
    asked = [name for name in kendall.index if name in {*evaluation.proxies, TOGETHER} - {*BASELINES}]
    plain = kendall[list(BASELINES)].idxmax()
    return str(kendall[asked].idxmax()) if asked else str(plain), str(plain)


def facts(evaluation: Evaluation) -> list[Fact]:
    """The best score, the best baseline, what lies between them, and what failed."""
    best, plain = leaders(evaluation)
    table = evaluation.table
    found = [Fact("Best score", best, f"Kendall τ {interval(table, best, 'kendall')}", "survivors")]
    if best != plain:
        gap = evaluation.compare(best, plain)
        note = f"95 % interval {fmt.fixed(gap.low)} to {fmt.fixed(gap.high)}"
        found.append(Fact("Best baseline", plain, f"Kendall τ {interval(table, plain, 'kendall')}"))
        found.append(Fact("Difference in τ", fmt.fixed(gap.value), note))
    failed, total = len(evaluation.failures), evaluation.scores.drop(columns=TOGETHER, errors="ignore").size
    networks = evaluation.failures["architecture"].nunique()
    found.append(Fact("Failed scores", f"{failed:,}", f"of {total:,}, on {fmt.plural(networks, 'architecture')}"))
    return found


def verdict(evaluation: Evaluation) -> str:
    """Whether the best score is shown to rank better than the best baseline."""
    best, plain = leaders(evaluation)
    if best == plain:
        return ""
    gap = evaluation.compare(best, plain)
    if gap.low > 0:
        return f"{best} ranks these architectures better than {plain}: the interval of the difference excludes 0."
    if gap.high < 0:
        return f"No score ranks these architectures better than {plain} does."
    return f"The interval of the difference includes 0: this does not show that {best} ranks better than {plain}."


def lost(evaluation: Evaluation) -> list[Loss]:
    """The failed scores, by reason."""
    if evaluation.failures.empty:
        return []
    rows = evaluation.failures.rename(columns={"architecture": "candidate", "proxy": "part"})
    return [grouped("Could not be scored", "proxy", rows, {*evaluation.proxies, *BASELINES})]
