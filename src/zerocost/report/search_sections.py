"""The sections of the page on how a search went: its front, its history, its fidelities."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

from zerocost.report import format as fmt
from zerocost.report import progress as goals
from zerocost.report import search_figures as figures
from zerocost.report.sections import Plot, correlation
from zerocost.search.objectives import minimised

if TYPE_CHECKING:
    from zerocost.search.pipeline import SearchResult


@dataclass(frozen=True)
class History:
    """How the best so far grew, and what is to be known of it."""

    plot: Plot
    note: str


@dataclass(frozen=True)
class Ladder:
    """One step from a fidelity to the next: the places before and after, and by score how far both agree."""

    plot: Plot
    again: str
    follows: list[tuple[str, str]]


def front(result: SearchResult) -> list[Plot]:
    """One scatter for each two objectives; none where there is one."""
    judged = goals.values(result, result.table).dropna()
    if len(result.objectives) < 2 or judged.empty:
        return []
    text = f"{len(result.front):,} of {len(judged):,} are on the front"
    plots = []
    for place, pair in enumerate(combinations(result.objectives, 2)):
        across, up = sorted(pair, key=lambda name: not minimised(name))
        figure = figures.front(
            judged[[across, up]], result.front, result.kept.frame.index, joined=len(result.objectives) == 2
        )
        plots.append(Plot(f"front-{place}", figure, f"{up} against {across}", text))
    return plots


def history(result: SearchResult) -> History | None:
    """The best so far against the number judged; None where fewer than two have a value."""
    if len(result.order) < 2:
        return None
    proposed = goals.proposed(result)
    best = goals.best_so_far(proposed)
    if len(best) < 2:
        return None
    last, count = best.index[best.diff().ne(0)][-1], len(proposed)
    text = f"nothing better after {last:,} of {count:,}" if last < count else "better to the very end"
    figure = figures.history(proposed, best)
    one = len(result.objectives) == 1
    title = f"Best {result.objectives[0]} so far" if one else "Front so far"
    return History(Plot("history-plot", figure, title, text), told(result))


def told(result: SearchResult) -> str:
    """What the numbers of `history` are."""
    parts = ["Architectures in the order they were proposed; those refused by a limit are not counted."]
    if result.earlier:
        parts.append(f"Values are those at {goals.sized(goals.fidelities(result)[0])}.")
    if "score" in result.objectives:
        fixed = result.combination.reference if result.combination else None
        others = "all that were judged, also with those that came later"
        compared = others if fixed is None else f"{len(fixed):,} reference networks, whatever else was judged"
        parts.append(f"A score compares an architecture with {compared}.")
    if 1 < len(result.objectives) <= goals.MEASURABLE:
        parts.append(
            "The hypervolume is what the front dominates, each objective scaled to the range of all that was judged, "
            "down to a tenth of it below the worst."
        )
    return " ".join(parts)


def ladder(result: SearchResult) -> list[Ladder]:
    """What each step from one fidelity to the next changed; empty where there is one fidelity."""
    steps = []
    for place, rung in enumerate(goals.ladder(result)):
        before, after = goals.sized(rung.before), goals.sized(rung.after)
        figure = figures.reordered(rung.ranks, before, after, result.kept.frame.index)
        plot = Plot(f"ladder-{place}", figure, f"{before} → {after}", correlation(next(iter(rung.follows.values()))))
        again = f"{len(rung.ranks):,} of {fmt.plural(rung.total, 'candidate')} scored again"
        steps.append(Ladder(plot, again, [(name, correlation(found)) for name, found in rung.follows.items()]))
    return steps
