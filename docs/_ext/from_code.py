"""What the documentation takes from the code at build time: tables, and the shell's options."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import typer
from docutils import nodes
from proxy_pages import BUILT_IN, labelled
from published import published
from rst import plain, table
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from zerocost import data
from zerocost.benchmarks.kinds import BENCHMARKS
from zerocost.cli.main import app as shell
from zerocost.combine import as_combination
from zerocost.engine.options import format_options
from zerocost.engine.passes.base import PASSES
from zerocost.engine.plan import plan
from zerocost.engine.proxy import Proxy
from zerocost.engine.settings import NAMES, Settings
from zerocost.engine.signals import SIGNALS
from zerocost.proxies.aggregates import AGGREGATES
from zerocost.proxies.papers import PAPERS


def proxies(*words: str) -> str:
    """Table of the built-in proxies of one group, whose name is these words."""
    members = [p for p in BUILT_IN if p.group == " ".join(words)]
    rows = [(f":doc:`proxies/{p.name}`", p.summary, count_passes(p), p.paper) for p in members]
    return table(("proxy", "formula", "passes", "paper"), rows, "24 38 12 26")


BACKWARDS = {"sample": "N", "output of each sample, or for each element": "min(NK, P)"}
"""How many backward passes there are where there is one for each sample, each output of each, or each element."""


def count_passes(p: Proxy) -> str:
    """Forward and backward passes of a proxy scored alone, and whether it needs labels."""
    steps = plan([p])
    backwards = next(
        (BACKWARDS[step.backward_each] for step in steps.passes if step.backward_each), str(steps.backwards)
    )
    counted = f"{steps.forwards}\u00a0+\u00a0{backwards}" if steps.forwards else "none"
    return f"{counted}, labels" if labelled(p) else counted


def aggregates() -> str:
    """Table of the aggregates."""
    rows = [
        (f"``{name}``", ", ".join(f":doc:`proxies/{part}`" for part in parts), as_combination(name).method)
        for name, parts in AGGREGATES.items()
    ]
    return table(("aggregate", "its parts", "combined by"), rows)


def papers() -> str:
    """Table of the proxies whose papers score otherwise than by default."""
    rows = [(f"``paper:{name}``", f"``{base}({format_options(options)})``") for name, (base, options) in PAPERS.items()]
    return table(("name", "what it stands for"), rows)


def settings() -> str:
    """Table of the settings of a pass, with what the docstring says of each."""
    said = re.findall(r"^    (\w+): (.+(?:\n        .+)*)", inspect.getdoc(Settings) or "", re.M)
    meanings = {name: " ".join(text.split()) for name, text in said}
    rows = [(f"``{f.name}``", f"``{f.default}``", meanings[f.name]) for f in fields(Settings) if f.name in NAMES]
    return table(("setting", "default", "meaning"), rows)


def signals() -> str:
    """Table of the measured signals."""
    measured = [s for s in SIGNALS.values() if s.function is None]
    rows = [(f"``{s.name}``", s.source if s.source in PASSES else "none", plain(s.meaning)) for s in measured]
    return table(("signal", "pass", "what it is"), rows)


def passes() -> str:
    """Table of the passes."""
    rows = [
        (p.name, plain(p.description), str(p.forwards), BACKWARDS.get(p.backward_each, str(p.backwards)))
        for p in PASSES.values()
    ]
    return table(("pass", "what it does", "forward", "backward"), rows)


def sources() -> str:
    """Table of the data sources."""
    return table(("spec", "what it is"), [(f"``{s.usage}``", s.summary) for s in data.SOURCES.values()])


def benchmarks() -> str:
    """Table of the benchmarks: what their truth is by default, and what it is read from."""
    rows = [
        (
            f"``{name}``",
            f"``{kind.default.metric}``, {kind.default.dataset}, {kind.default.epochs}\u00a0epochs",
            kind.wanted,
        )
        for name, kind in sorted(BENCHMARKS.items())
    ]
    return table(("benchmark", "default", "read from"), rows, "18 27 55")


def options(*names: str) -> str:
    """Usage, arguments and options of one subcommand of the shell; of a group, its name and that of the subcommand."""
    command = typer.main.get_command(shell)
    own = typer.Context(command, info_name="zerocost")
    for name in names:
        command = command.get_command(own, name)  # type: ignore[attr-defined]
        own = typer.Context(command, info_name=name, parent=own)
    usage = command.get_usage(own).removeprefix("Usage: ").replace("{", "").replace("}", "")
    records = [record for p in command.params if (record := p.get_help_record(own))]
    entries = [f"``{spec}``\n   {_literal(meaning)}\n" for spec, meaning in records]
    return "\n".join([".. code-block:: text", "", f"   {usage}", "", *entries])


def _literal(meaning: str) -> str:
    """The help of an option, in which what is typed is code: Sphinx would make other quotes and dashes of it."""
    quoted = r"`([^`]+)`|(?<!\w)'([^']+)'(?!\w)|(?<![\w-])(--[a-z][a-z-]*[a-z])"
    return re.sub(quoted, lambda found: f"``{next(filter(None, found.groups()))}``", meaning)


TABLES: dict[str, Callable[..., str]] = {
    "proxies": proxies,
    "aggregates": aggregates,
    "papers": papers,
    "published": published,
    "settings": settings,
    "signals": signals,
    "passes": passes,
    "sources": sources,
    "benchmarks": benchmarks,
    "options": options,
}


class FromCode(SphinxDirective):
    """`.. from-code:: signals`, or with more words: `.. from-code:: proxies synaptic flow`."""

    required_arguments = 1
    optional_arguments = 99

    def run(self) -> list[nodes.Node]:
        what, *names = self.arguments
        return self.parse_text_to_nodes(TABLES[what](*names))


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive."""
    app.add_directive("from-code", FromCode)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
