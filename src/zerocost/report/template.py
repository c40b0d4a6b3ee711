"""Fills the template of a page with its values, its plots and the script that draws them."""

from __future__ import annotations

from collections.abc import Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.io.json import to_json_plotly
from plotly.offline import get_plotlyjs

from zerocost.base.figures import TEMPLATES
from zerocost.report.sections import Plot


def render_template(template: str, plots: Sequence[Plot], **values: object) -> str:
    """The page as text: the named template with the values, and what its plots need."""
    environment = Environment(
        loader=PackageLoader("zerocost", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(
        **values,
        figures=_json({plot.id: plot.figure.to_plotly_json() for plot in plots}),
        templates=_json({mode: look.to_plotly_json() for mode, look in TEMPLATES.items()}),
        plotly=Markup(get_plotlyjs()) if plots else "",
    )


def _json(value: dict[str, object]) -> Markup:
    """JSON for a script element; plotly's encoder writes `<` as an escape, so it cannot end the element."""
    return Markup(to_json_plotly(value))
