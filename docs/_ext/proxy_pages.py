"""A page for each proxy: its docstring, what is declared about it, what was published about it, and its code."""

from __future__ import annotations

import ast
import csv
import inspect
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType
from typing import Any

from published import NUMBERS, disagreements, published
from rst import facts, plain
from sphinx.application import Sphinx

from zerocost.base.fidelity import FULL
from zerocost.engine.options import format_options
from zerocost.engine.plan import plan
from zerocost.engine.proxy import REGISTRY, Proxy, formula_options
from zerocost.engine.signals import SIGNALS, measured_signals
from zerocost.proxies.aggregates import AGGREGATES
from zerocost.proxies.papers import PAPERS

BUILT_IN = [p for p in REGISTRY.values() if p.formula.__module__.startswith("zerocost.")]
BY_SAMPLE = {
    "samples": "a sample at a time",
    "tangents": "and one backward for each sample",
    "information": "and one backward for each output of each sample, or for each of at most 128 elements",
}
"""What the numbers of forward and backward passes do not say."""
OTHER = {
    "mode": ("train", "eval"),
    "inputs": ("batch", "noise"),
    "initialisation": ("given", "kaiming"),
    "normalisation": ("identity", "kept"),
    "samples": (None, 2),
    "pixels": (None, 2),
    "parts": (2, 3),
    "perturbation": (0.01, 0.1),
}
"""Two values for each setting."""
with (Path(__file__).parents[1] / "failures.csv").open(encoding="utf-8", newline="") as file:
    FAILURES = [(row["signal"], row["failure"]) for row in csv.DictReader(file)]


def proxy_page(p: Proxy) -> str:
    """The page of one proxy."""
    return "\n".join(
        [
            p.name,
            "=" * len(p.name),
            "",
            f".. autofunction:: zerocost.proxies.{p.name}",
            "",
            facts(declared(p)),
            "",
            *correlations(p.name),
            ".. code-block:: python",
            "",
            textwrap.indent("\n\n\n".join(map(code, with_helpers(p.formula))), "   "),
            "",
        ]
    )


def declared(p: Proxy) -> Iterator[tuple[str, str]]:
    """What is known of a proxy without reading its docstring."""
    yield "paper", p.paper
    if p.is_budget:
        yield "sign", "lower is better; it has the weight −1 in a ranking"
    else:
        yield "sign", "higher is better" if p.higher_is_better else "lower is better; the score is the value negated"
    yield "signals", "; ".join(f"``{name}``, {plain(SIGNALS[name].meaning)}" for name in p.signals)
    yield "passes", cost(p)
    yield "labels", "needed" if labelled(p) else "not needed"
    if options := formula_options(p.formula):
        yield "options", f"``{format_options(options)}``"
    if relevant := relevant_settings(p):
        changed = f"``{format_options(p.settings.changed)}``; " if p.settings.changed else ""
        yield "settings", f"{changed}those that matter are {', '.join(relevant)}"
    if p.shrinks_badly != FULL:
        yield "shrinks\u00a0badly", f"to ``{p.shrinks_badly}``: see :doc:`/spaces`"
    if p.name in PAPERS:
        base, options = PAPERS[p.name]
        yield "in\u00a0the\u00a0paper", f"``paper:{p.name}``, which is ``{base}({format_options(options)})``"
    if among := [name for name, parts in AGGREGATES.items() if p.name in parts]:
        yield "part\u00a0of", ", ".join(f"``{name}``" for name in among)
    if reasons := failures(p):
        yield "fails\u00a0with", "; ".join(reasons)


def cost(p: Proxy) -> str:
    """The passes, and how often the network runs forward and backward in them."""
    steps = plan([p])
    if not steps.passes:
        return "none"
    names = [step.name for step in steps.passes]
    more = [BY_SAMPLE[name] for name in names if name in BY_SAMPLE]
    backward = [f"{steps.backwards} backward"] if steps.backwards or not more else []
    return f"{', '.join(names)}: {', '.join([f'{steps.forwards} forward', *backward, *more])}, when scored alone"


def labelled(p: Proxy) -> bool:
    """Whether a proxy fails on a batch without labels."""
    return "labels" in measured_signals(p.signals) or any(step.labels for step in plan([p]).passes)


def relevant_settings(p: Proxy) -> list[str]:
    """The settings that make a difference to a proxy."""

    def measured_under(name: str, value: Any) -> list[Any]:
        return [group.settings for group in plan([p.using(**{name: value})]).groups]

    return [name for name, (one, other) in OTHER.items() if measured_under(name, one) != measured_under(name, other)]


def failures(p: Proxy) -> list[str]:
    """Why a signal of a proxy may not be had."""
    needed = measured_signals(p.signals)
    reasons = [plain(failure) for signal, failure in FAILURES if signal in needed]
    return list(dict.fromkeys(["needs labels"] * labelled(p) + reasons))


def correlations(name: str) -> list[str]:
    """The section of what papers printed; nothing where there is nothing."""
    text = published(name)
    if not text:
        return []
    apart = disagreements(n for n in NUMBERS if n.proxy == name)
    note = f"**Papers disagree** on {'; '.join(apart)}. " if apart else ""
    return [
        ".. rubric:: Published rank correlations",
        "",
        f"Of scores with what networks reach after training. {note}:ref:`What such numbers depend on <published>`.",
        "",
        text,
        "",
        ".. rubric:: Code",
        "",
    ]


def with_helpers(formula: Callable[..., Any]) -> list[Callable[..., Any]]:
    """A formula, and the functions it uses out of the proxies' files, theirs included, in the order they are met."""
    found = [formula]
    for function in found:  # grows while it is walked
        used = (function.__globals__.get(name) for name in names_in(function.__code__))
        found += [
            f for f in used if inspect.isfunction(f) and f.__module__.startswith("zerocost.proxies.") and f not in found
        ]
    return found


def names_in(body: CodeType) -> Iterator[str]:
    """The global names that a function's code uses, comprehensions included."""
    yield from body.co_names
    for inner in body.co_consts:
        if isinstance(inner, CodeType):
            yield from names_in(inner)


def code(function: Callable[..., Any]) -> str:
    """The source of a function without its docstring."""
    source = textwrap.dedent(inspect.getsource(function))
    definition = ast.parse(source).body[0]
    assert isinstance(definition, ast.FunctionDef)
    first, lines = definition.body[0], source.splitlines()
    if ast.get_docstring(definition) is None:
        return source.rstrip()
    return "\n".join(lines[: first.lineno - 1] + lines[first.end_lineno :])


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
    """Register the pages."""
    app.connect("builder-inited", write_proxy_pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
