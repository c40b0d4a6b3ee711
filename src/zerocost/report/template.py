"""Fills the template of a page with its values, its plots and the script that draws them."""

from __future__ import annotations

import re
import zlib
from base64 import b64encode
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from plotly.io.json import to_json_plotly

from zerocost.base.figures import TEMPLATES
from zerocost.report.sections import Plot

_BREAKS = re.compile(r"(?<=[,;|+\[])(?=\S)|(?<=\w\()")
"""Where a long name may go on in the next line."""


def render_template(template: str, plots: Sequence[Plot], **values: object) -> str:
    """The page as text: the named template with the values, and what its plots need."""
    environment = Environment(
        loader=PackageLoader("zerocost", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["breakable"] = _breakable
    return environment.get_template(template).render(
        **values,
        figures=_json({plot.id: plot.figure.to_plotly_json() for plot in plots}),
        templates=_json({mode: look.to_plotly_json() for mode, look in TEMPLATES.items()}),
        plotly=_packed_plotly() if plots else "",
    )


@cache
def _packed_plotly() -> str:
    """plotly.js, the bundle of cartesian plots, deflated and in base64: a third of a page's size without."""
    source = files("zerocost.report").joinpath("plotly", "plotly-cartesian.min.js").read_bytes()
    return b64encode(zlib.compress(source, 9)).decode()


def _breakable(text: str) -> Markup:
    """A long name that may be broken behind its separators, so that no word is."""
    return Markup("<wbr>").join(map(escape, _BREAKS.split(text)))


def _json(value: dict[str, object]) -> Markup:
    """JSON for a script element; plotly's encoder writes `<` as an escape, so it cannot end the element."""
    return Markup(to_json_plotly(value))
