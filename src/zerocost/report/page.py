"""The page: a search result in, one self-contained HTML file out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.io.json import to_json_plotly
from plotly.offline import get_plotlyjs

from zerocost.errors import InputError
from zerocost.report import format as fmt
from zerocost.report import frames, headline, sections
from zerocost.report.figures import TEMPLATES
from zerocost.report.statistics import ENOUGH

if TYPE_CHECKING:
    from zerocost.pipeline import SearchResult


def write(result: SearchResult, path: str | Path) -> Path:
    """Write the report of a search as one HTML file that needs no network, and return its path.

    `result` is what a search returns; a ranking without trained runs gives a shorter page. The same result
    gives the same bytes. Missing parent folders are made. Raises `InputError` when `path` is a folder.

    >>> import tempfile, pandas as pd
    >>> from types import SimpleNamespace as Plain
    >>> scores = pd.DataFrame({"snip": [1, 2], "params": [10, 20], "rank_score": [0, 1]}, index=["a", "b"])
    >>> table = Plain(proxies=["snip"], frame=scores, failures=pd.DataFrame(), dropped={})
    >>> result = Plain(space="mlp", table=table, kept=table, survivors=[], random=[], stages=[], settings={})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     page = write(result, Path(folder) / "report.html")
    ...     page.name, "Ranked first" in page.read_text(encoding="utf-8")
    ('report.html', True)
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path} is a folder; give the file to write, for example {path / 'report.html'}")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(render(result).encode("utf-8", errors="replace"))
    return path


def render(result: SearchResult) -> str:
    """The page as text."""
    runs, ranking = frames.runs(result), frames.ranking(result)
    trained = frames.trained(runs)
    outcome, agreement = sections.outcome(trained, runs), sections.agreement(result)
    relations, curves = sections.relations(result, ranking, trained), sections.curves(result)
    plots = [plot for plot in (outcome, *relations, agreement, *curves) if plot]
    environment = Environment(
        loader=PackageLoader("zerocost", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html.j2").render(
        title=f"{result.space}: {fmt.plural(len(ranking), 'candidate')} scored",
        sentence=headline.sentence(result, ranking, runs),
        facts=headline.facts(result, ranking, runs, trained),
        verdict=headline.verdict(trained),
        stages=sections.stages(result),
        outcome=outcome,
        ranking=sections.ranking(result, ranking, trained),
        relations=relations,
        enough=ENOUGH,
        agreement=agreement,
        curves=curves,
        lost=sections.lost(result, ranking),
        settings=[(key, fmt.setting(value)) for key, value in result.settings.items()],
        figures=_json({plot.id: plot.figure.to_plotly_json() for plot in plots}),
        templates=_json({mode: template.to_plotly_json() for mode, template in TEMPLATES.items()}),
        plotly=Markup(get_plotlyjs()) if plots else "",
    )


def _json(value: dict[str, object]) -> Markup:
    """JSON for a script element; plotly's encoder writes `<` as an escape, so it cannot end the element."""
    return Markup(to_json_plotly(value))
