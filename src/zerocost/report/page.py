"""The page: a search result or an evaluation in, one self-contained HTML file out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from zerocost.base.errors import InputError
from zerocost.evaluation.evaluation import Evaluation
from zerocost.report import evaluation, frames, headline, search_sections, sections
from zerocost.report import format as fmt
from zerocost.report.explanation import why
from zerocost.report.template import fill
from zerocost.statistics.association import ENOUGH

if TYPE_CHECKING:
    from zerocost.search.pipeline import SearchResult


def write(result: SearchResult | Evaluation, path: str | Path) -> Path:
    """Write the report of a search or an evaluation as one HTML file that needs no network, and return its path.

    `result` is what `search` or `evaluate` returns; a ranking without trained runs gives a shorter page. The same
    result gives the same bytes. Missing parent folders are made. Raises `InputError` when `path` is a folder.

    >>> import tempfile, pandas as pd
    >>> from zerocost import SearchResult, ScoreTable, combine
    >>> scores = pd.DataFrame({"snip": [1, 2], "params": [10, 20], "rank_score": [0, 1]}, index=["a", "b"])
    >>> table = ScoreTable(scores, combine.as_combination("snip"), {}, {})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     page = write(SearchResult("mlp", table, table), Path(folder) / "report.html")
    ...     page.name, "Ranked first" in page.read_text(encoding="utf-8")
    ('report.html', True)
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path} is a folder; give the file to write, for example {path / 'report.html'}")
    path.parent.mkdir(parents=True, exist_ok=True)
    text = evaluation.render(result) if isinstance(result, Evaluation) else render(result)
    path.write_bytes(text.encode("utf-8", errors="replace"))
    return path


def render(result: SearchResult) -> str:
    """The page as text."""
    runs, ranking = frames.runs(result), frames.ranking(result)
    trained = frames.trained(runs)
    outcome, agreement = sections.outcome(trained, runs), sections.agreement(result)
    relations, curves = sections.relations(result, ranking, trained), sections.curves(result)
    front, ladder = search_sections.front(result), search_sections.ladder(result)
    history = search_sections.history(result)
    explained = why(result)
    how = [*front, *([history.plot] if history else []), *(step.plot for step in ladder)]
    moved = explained.plot if explained else None
    plots = [plot for plot in (*how, outcome, moved, *relations, agreement, *curves) if plot]
    return fill(
        "page.html.j2",
        plots,
        title=f"{result.space}: {fmt.plural(headline.count(result), 'candidate')} scored",
        sentence=headline.sentence(result, ranking, runs),
        facts=headline.facts(result, ranking, runs, trained),
        verdict=headline.verdict(trained),
        stages=sections.stages(result),
        objectives=fmt.listing(result.objectives),
        front=front,
        history=history,
        ladder=ladder,
        stopped=int((runs["state"] == frames.STOPPED).sum()),
        outcome=outcome,
        ranking=sections.ranking(result, ranking, trained),
        why=explained,
        relations=relations,
        enough=ENOUGH,
        agreement=agreement,
        curves=curves,
        lost=sections.lost(result, ranking),
        settings=[(key, fmt.setting(value)) for key, value in result.settings.items()],
    )
