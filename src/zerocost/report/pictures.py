"""Figures of an evaluation for a paper, as PDF, SVG or PNG files; needs the extra `pictures` (matplotlib)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zerocost.base.errors import MissingExtraError, unknown
from zerocost.base.files import check_folder, make_folder, replace_file
from zerocost.base.format import fixed
from zerocost.evaluation.evaluation import Evaluation
from zerocost.evaluation.tables import BASELINES, TOGETHER
from zerocost.report.figures import is_wide

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = ("pdf", "svg", "png")
_WIDTH = 6.8
"""The width of a paper's text, in inches."""
BLUE, ORANGE, GREY = "#2a6fbb", "#cf5f0a", "#8a8f98"
_PALETTE = ("#2a6fbb", "#cf5f0a", "#1d8a66", "#8d3fae", "#a98600", "#c23b58", "#1490a3", "#6b5d48")
_STYLE: Any = {
    "font.size": 8,
    "font.family": "sans-serif",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.titlesize": 8,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "legend.frameon": False,
    "pdf.fonttype": 42,
    "svg.fonttype": "none",
    "svg.hashsalt": "zerocost",
}


def save(evaluation: Evaluation, folder: str | Path, formats: Sequence[str] = FORMATS) -> list[Path]:
    """Write every figure of an evaluation in each format.

    The figures are `scores`: each score against the truth; `correlation`: Kendall's τ and the partial correlation given
    parameters, with 95 % intervals; `agreement`: the Spearman correlation of each pair of scores; and `regret`: how far
    the best of the networks trained stays below the best of all. The same evaluation gives the same bytes.

    Args:
        evaluation: what `evaluate` returns.
        folder: where to write; it is made if it does not exist.
        formats: "pdf", "svg", "png".

    Returns:
        The files written.

    Raises:
        MissingExtraError: matplotlib is not installed.
        InputError: an unknown format.
    """
    try:
        import matplotlib as mpl
    except ImportError as error:
        raise MissingExtraError("pictures need matplotlib: pip install 'zerocost[pictures]'") from error
    for form in formats:
        if form not in FORMATS:
            raise unknown("format", form, FORMATS)
    folder = Path(folder)
    check_folder(folder)
    make_folder(folder)
    written = []
    with mpl.rc_context(_STYLE):
        for name, draw in _FIGURES.items():
            figure = draw(evaluation)
            for form in formats:
                path = folder / f"{name}.{form}"
                dated = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}.get(form)
                replace_file(path, partial(figure.savefig, format=form, dpi=300, metadata=dated))
                written.append(path)
    return written


def _new_figure(width: float, height: float) -> Figure:
    """An empty figure, outside of pyplot's global state."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _kind_colour(name: str) -> str:
    """The colour of a score by its kind: a proxy, their combination or a baseline."""
    return ORANGE if name == TOGETHER else GREY if name in BASELINES else BLUE


def _names_by_kendall(evaluation: Evaluation) -> list[str]:
    """The scores, highest Kendall τ first."""
    kendall = evaluation.table["kendall"]
    return list(kendall.sort_values(ascending=False, kind="stable", na_position="last").index)


def _draw_scores(evaluation: Evaluation) -> Figure:
    """Score, mean over seeds, against truth: one panel a score, one point an architecture."""
    from matplotlib.ticker import EngFormatter

    names, means = _names_by_kendall(evaluation), evaluation.scores.groupby(level="architecture").mean()
    columns = min(4, len(names))
    rows = -(-len(names) // columns)
    figure = _new_figure(_WIDTH, 1.55 * rows)
    panels = figure.subplots(rows, columns, sharey=True, squeeze=False).ravel()
    for panel, name in zip(panels, names, strict=False):
        shown = means[name].dropna()
        panel.plot(shown, evaluation.truth[shown.index], ".", color=_kind_colour(name), markersize=3, alpha=0.7, mew=0)
        panel.set_title(f"{name}  τ = {fixed(float(evaluation.table['kendall'][name]))}")
        if is_wide(shown):
            panel.set_xscale("log")
        else:
            panel.locator_params(axis="x", nbins=4)
            if len(shown) and shown.abs().max() >= 1000:
                panel.xaxis.set_major_formatter(EngFormatter(sep=""))
    for panel in panels[len(names) :]:
        panel.set_visible(False)
    figure.supylabel(evaluation.query.metric.replace("_", " ") + evaluation.direction, fontsize=8)
    return figure


def _draw_correlations(evaluation: Evaluation) -> Figure:
    """Kendall's τ and the partial Spearman correlation given parameters, with 95 % intervals."""
    names = _names_by_kendall(evaluation)
    figure = _new_figure(_WIDTH, 0.6 + 0.19 * len(names))
    places = np.arange(len(names))[::-1]
    for panel, statistic, title in zip(
        figure.subplots(1, 2, sharey=True),
        ("kendall", "partial_params"),
        ("Kendall τ", "Spearman ρ given parameters"),
        strict=True,
    ):
        value, low, high = (evaluation.table[f"{statistic}{part}"][names] for part in ("", "_low", "_high"))
        panel.barh(places, value.fillna(0), height=0.65, color=[_kind_colour(name) for name in names])
        panel.hlines(places, low, high, color="black", linewidth=0.8)
        panel.axvline(0, color="black", linewidth=0.6)
        panel.set_yticks(places, names)
        panel.tick_params(axis="y", length=0)
        panel.set_xlabel(title)
    return figure


def _draw_score_correlations(evaluation: Evaluation) -> Figure:
    """Spearman correlation of each pair of scores, mean over seeds."""
    values = evaluation.agreement
    side = 1.3 + 0.27 * len(values)
    figure = _new_figure(side, side)
    panel = figure.subplots()
    panel.imshow(values, cmap="RdBu", vmin=-1, vmax=1)
    for (row, column), value in np.ndenumerate(values.to_numpy()):
        if np.isfinite(value):
            dark = abs(value) > 0.65
            text = f"{value:.2f}".replace("0.", ".").replace("-", "−")
            panel.text(column, row, text, ha="center", va="center", fontsize=6, color="white" if dark else "black")
    panel.set_xticks(range(len(values)), values.columns, rotation=45, ha="right", rotation_mode="anchor")
    panel.set_yticks(range(len(values)), values.index)
    panel.tick_params(length=0)
    panel.spines[:].set_visible(False)
    return figure


def _draw_regret(evaluation: Evaluation) -> Figure:
    """Regret against the number of networks trained; dotted: networks picked at random."""
    count = len(evaluation.truth)
    steps = np.unique(np.geomspace(1, count, 60).round().astype(int)).tolist()
    curves = evaluation.regrets(steps)
    figure = _new_figure(_WIDTH, 2.4)
    panel = figure.subplots()
    for place, name in enumerate(evaluation.table.index):
        style = "--" if name in BASELINES else "-"
        panel.plot(
            curves.index, curves[name], style, color=_PALETTE[place % len(_PALETTE)], linewidth=1, label=str(name)
        )
    panel.plot(curves.index, curves["random"], ":", color="black", linewidth=1, label="random")
    panel.set_xscale("log")
    panel.set_xlim(1, count)
    panel.xaxis.set_major_formatter("{x:g}")
    panel.set_ylim(0, 1.2 * curves["random"].iloc[0])
    panel.set_xlabel("networks trained, best scores first")
    panel.set_ylabel(f"regret ({evaluation.query.metric.replace('_', ' ')})")
    figure.legend(loc="outside right upper", fontsize=7)
    return figure


_FIGURES: dict[str, Callable[[Evaluation], Figure]] = {
    "scores": _draw_scores,
    "correlation": _draw_correlations,
    "agreement": _draw_score_correlations,
    "regret": _draw_regret,
}
