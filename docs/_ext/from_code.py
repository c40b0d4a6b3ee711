"""What the documentation takes from the code at build time: a page for each proxy, tables, the shell's options."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import typer
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from zerocost import data
from zerocost.cli.main import app as shell
from zerocost.engine.plan import PASSES, plan
from zerocost.engine.signals import SIGNALS
from zerocost.proxies.registry import REGISTRY, Proxy

BUILT_IN = [p for p in REGISTRY.values() if p.formula.__module__.startswith("zerocost.")]


def proxy_page(p: Proxy) -> str:
    """The page of one proxy: its docstring, what is declared about it, and the whole of its code."""
    steps = plan([p])
    runs = ", ".join(step.name for step in steps.passes)
    counted = f"{runs}: {steps.forwards} forward, {steps.backwards} backward when scored alone"
    facts = {
        "paper": p.paper,
        "sign": "higher is better" if p.higher_is_better else "lower is better; the score is the value negated",
        "signals": "; ".join(f"``{name}``, {plain(SIGNALS[name].meaning)}" for name in p.signals),
        "passes": counted if runs else "none",
    }
    return "\n".join(
        [
            p.name,
            "=" * len(p.name),
            "",
            f".. autofunction:: zerocost.proxies.{p.name}",
            "",
            ".. list-table::",
            "   :stub-columns: 1",
            "",
            *(f"   * - {name}\n     - {value}" for name, value in facts.items()),
            "",
            ".. code-block:: python",
            "",
            textwrap.indent(code(p.formula), "   "),
            "",
        ]
    )


def code(function: Callable[..., Any]) -> str:
    """The source of a function without its docstring."""
    source = textwrap.dedent(inspect.getsource(function))
    definition = ast.parse(source).body[0]
    assert isinstance(definition, ast.FunctionDef)
    docstring, lines = definition.body[0], source.splitlines()
    return "\n".join(lines[: docstring.lineno - 1] + lines[docstring.end_lineno :])


def plain(text: str) -> str:
    """Text from the code, where a bar is a bar: |θ|."""
    return text.replace("|", r"\|")


def table(headings: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table as reStructuredText."""
    lines = [".. list-table::", "   :header-rows: 1", ""]
    for row in (headings, *rows):
        for i, cell in enumerate(row):
            lines.append(f"   {'* -' if i == 0 else '  -'} {cell}".rstrip())
    return "\n".join(lines)


def proxies() -> str:
    """Table of the built-in proxies."""
    rows = [(f":doc:`proxies/{p.name}`", p.summary, r"\+" if p.higher_is_better else "−", p.paper) for p in BUILT_IN]
    return table(("proxy", "formula", "sign", "paper"), rows)


def signals() -> str:
    """Table of the measured signals."""
    measured = [s for s in SIGNALS.values() if s.function is None]
    rows = [(f"``{s.name}``", s.source if s.source in PASSES else "none", plain(s.meaning)) for s in measured]
    return table(("signal", "pass", "what it is"), rows)


def passes() -> str:
    """Table of the passes."""
    rows = [(p.name, plain(p.runs), str(p.forwards), str(p.backwards)) for p in PASSES.values()]
    return table(("pass", "what it runs", "forward", "backward"), rows)


def sources() -> str:
    """Table of the data sources."""
    return table(("spec", "what it is"), [(f"``{s.usage}``", s.summary) for s in data.SOURCES.values()])


def options(name: str) -> str:
    """Usage, arguments and options of one subcommand of the shell."""
    group = typer.main.get_command(shell)
    context = typer.Context(group, info_name="zerocost")
    command = group.get_command(context, name)  # type: ignore[attr-defined]
    own = typer.Context(command, info_name=name, parent=context)
    usage = command.get_usage(own).removeprefix("Usage: ").replace("{", "").replace("}", "")
    records = [record for p in command.params if (record := p.get_help_record(own))]
    entries = [f"``{spec}``\n   {meaning.replace('`', '``')}\n" for spec, meaning in records]
    return "\n".join([".. code-block:: text", "", f"   {usage}", "", *entries])


TABLES = {"proxies": proxies, "signals": signals, "passes": passes, "sources": sources}


class FromCode(SphinxDirective):
    """`.. from-code:: proxies` (signals, passes, sources), or `.. from-code:: options search`."""

    required_arguments = 1
    optional_arguments = 1

    def run(self) -> list[nodes.Node]:
        what, *argument = self.arguments
        text = options(*argument) if what == "options" else TABLES[what]()
        return self.parse_text_to_nodes(text)


def write_proxy_pages(app: Sphinx) -> None:
    """Write `proxies/NAME.rst` for each built-in proxy; a page that has not changed is left alone."""
    folder = Path(app.srcdir) / "proxies"
    folder.mkdir(exist_ok=True)
    pages = {folder / f"{p.name}.rst": proxy_page(p) for p in BUILT_IN}
    for stale in set(folder.glob("*.rst")) - set(pages):
        stale.unlink()
    for path, text in pages.items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive and the pages."""
    app.add_directive("from-code", FromCode)
    app.connect("builder-inited", write_proxy_pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
