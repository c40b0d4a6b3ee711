"""The sections of the page on how a search went: its history, its fidelities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from zerocost.base import format as fmt
from zerocost.report import search_figures as figures
from zerocost.report.candidates import values_as_proposed
from zerocost.report.fidelity_steps import fidelity_label, fidelity_steps, table_fidelities
from zerocost.report.progress import MOST_HYPERVOLUME_OBJECTIVES, best_so_far
from zerocost.report.sections import Plot, correlation_text

if TYPE_CHECKING:
    from zerocost.search.pipeline import SearchResult


@dataclass(frozen=True)
class _HistorySection:
    """The plot of the best so far, and a note on its numbers."""

    plot: Plot
    note: str


@dataclass(frozen=True)
class _FidelitySection:
    """One step from a fidelity to the next.

    Attributes:
        plot: the places of candidates before and after.
        again: how many were scored again.
        follows: the rank correlation of both fidelities, by score.
    """

    plot: Plot
    again: str
    follows: list[tuple[str, str]]


def history_section(result: SearchResult) -> _HistorySection | None:
    """The best so far against the number measured; None where fewer than two have a value."""
    if len(result.order) < 2:
        return None
    proposed = values_as_proposed(result)
    best = best_so_far(proposed)
    if len(best) < 2:
        return None
    last, count = best.index[best.diff().ne(0)][-1], len(proposed)
    text = f"no improvement after {last:,} of {count:,}" if last < count else "improved until the end"
    figure = figures.history_figure(proposed, best)
    one = len(result.objectives) == 1
    title = f"Best {result.objectives[0]} so far" if one else "Front so far"
    return _HistorySection(Plot("history-plot", figure, title, text), history_note(result))


def history_note(result: SearchResult) -> str:
    """What the numbers of the history are."""
    parts = ["Architectures in the order they were proposed, without those that were refused."]
    if result.earlier:
        parts.append(f"Values are those measured at {fidelity_label(table_fidelities(result)[0])}.")
    if "score" in result.objectives:
        fixed = result.combination.reference if result.combination else None
        others = "all that were measured, including those that came later"
        compared = others if fixed is None else f"{len(fixed):,} reference networks"
        parts.append(f"A score compares an architecture with {compared}.")
    if 1 < len(result.objectives) <= MOST_HYPERVOLUME_OBJECTIVES:
        parts.append(
            "The hypervolume is the volume that the front dominates. Each objective is scaled to the range of all "
            "measured values; the reference point lies a tenth of that range below the worst."
        )
    return " ".join(parts)


def fidelity_sections(result: SearchResult) -> list[_FidelitySection]:
    """What each step from one fidelity to the next changed; empty where there is one fidelity."""
    steps = []
    for place, step in enumerate(fidelity_steps(result)):
        before, after = fidelity_label(step.before), fidelity_label(step.after)
        figure = figures.reordering_figure(step.ranks, before, after, result.kept.frame.index)
        plot = Plot(
            f"ladder-{place}", figure, f"{before} → {after}", correlation_text(next(iter(step.follows.values())))
        )
        again = f"{len(step.ranks):,} of {fmt.plural(step.total, 'candidate')} scored again"
        steps.append(
            _FidelitySection(plot, again, [(name, correlation_text(found)) for name, found in step.follows.items()])
        )
    return steps
