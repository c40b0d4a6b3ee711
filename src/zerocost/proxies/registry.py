"""The decorator that makes a function a zero-cost proxy, and the table of what is registered."""

from __future__ import annotations

import ast
import inspect
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from zerocost.engine import settings as settings_
from zerocost.engine.settings import DEFAULT, Settings, written
from zerocost.engine.signals import requested
from zerocost.errors import InputError, unknown
from zerocost.files import load

if TYPE_CHECKING:
    from zerocost.combine import Combination

Formula = TypeVar("Formula", bound=Callable[..., Any])


@dataclass(frozen=True)
class Proxy:
    """A registered proxy: its formula and what is declared about it.

    Attributes:
        name: what its scores are called.
        formula: the function of the signals.
        paper: the source of the formula.
        higher_is_better: whether scores carry the formula's value as it is, or negated.
        signals: the names of the signals the formula is given.
        summary: the first line of its docstring.
        settings: how the passes that deliver its signals are run.
        options: values for the formula's own keyword arguments, where they differ from the default.
        repeats: from how many seeds it is measured; its score is the mean.
    """

    name: str
    formula: Callable[..., Any]
    paper: str
    higher_is_better: bool
    signals: tuple[str, ...]
    summary: str
    settings: Settings = DEFAULT
    options: Mapping[str, Any] = field(default_factory=dict)
    repeats: int = 1

    def using(self, **options: Any) -> Proxy:
        """This proxy with other settings of its passes, options of its formula, or `repeats`.

        Its name says what is changed, and names it: `score(model, batch, "zico(parts=4)")`. Raises
        `InputError` for an option that it does not have.

        >>> from zerocost.proxies import get
        >>> get("snip").using(initialisation="kaiming", repeats=3).name
        'snip(initialisation=kaiming, repeats=3)'
        """
        own = formula_options(self.formula)
        unknown_ = [name for name in options if name not in {*own, *settings_.NAMES, "repeats"}]
        if unknown_:
            raise unknown(f"option of proxy {self.name}:", unknown_[0], [*own, *settings_.NAMES, "repeats"])
        repeats = options.get("repeats", self.repeats)
        if not isinstance(repeats, int) or isinstance(repeats, bool) or repeats < 1:
            raise InputError(f"repeats must be a whole number from 1, got {repeats!r}")
        for name in own.keys() & options.keys():
            number = isinstance(options[name], int | float) and math.isfinite(options[name])
            if not number and (own[name] is None or type(own[name]) in (int, float)):
                raise InputError(f"{name} of proxy {self.name} must be a number, got {options[name]!r}")
        given = {name: value for name, value in options.items() if name in settings_.NAMES}
        formula = {name: value for name, value in options.items() if name in own}
        base, bracket, told = self.name.partition("(")
        changed = {**(call_options(f"f({told}") if bracket else {}), **options}
        return replace(
            self,
            name=f"{base}({written(changed)})" if changed else base,
            settings=replace(self.settings, **given),
            options={**self.options, **formula},
            repeats=repeats,
        )


REGISTRY: dict[str, Proxy] = {}


def proxy(*, paper: str, higher_is_better: bool = True, **settings: Any) -> Callable[[Formula], Formula]:
    r"""Register a function as a proxy. Its parameter names are the signals it asks for; it returns one number.

    `paper` is the source of the formula. Keyword arguments of the function (after `*`) are options of the formula, and
    `settings` are those of `zerocost.engine.settings.Settings` that its signals need to be measured with. With
    `higher_is_better=False` scores carry the formula's value negated, so that for every score higher is better. The
    function itself is returned unchanged, so it can be called and tested alone. Raises `InputError` when a parameter
    names no signal; a name registered twice replaces the first.

    >>> from zerocost.proxies import registry
    >>> @proxy(paper="this example")
    ... def weight_sum(weights):
    ...     r"Sum of all weights, :math:`\sum_k w_k`."
    ...     return sum(w.sum() for w in weights)
    >>> registry.get("weight_sum").signals
    ('weights',)
    >>> del registry.REGISTRY["weight_sum"]
    """

    def register(formula: Formula) -> Formula:
        summary = (inspect.getdoc(formula) or "").partition("\n")[0]
        name = formula.__name__
        known = REGISTRY.get(name)
        if known and built_in(known.formula) and not built_in(formula):
            raise InputError(f"{name!r} is the name of a built-in proxy; give yours another")
        if not name.isidentifier():
            raise InputError(f"a proxy is registered by its name, but got {name}: define it with def")
        signals = requested(formula, "proxy")
        REGISTRY[name] = Proxy(name, formula, paper, higher_is_better, signals, summary, Settings(**settings))
        return formula

    return register


def built_in(formula: Callable[..., Any]) -> bool:
    """Whether a formula is one of this library's."""
    return formula.__module__.startswith("zerocost.proxies.")


def get(name: str) -> Proxy:
    """The registered proxy of that name; `InputError` with the nearest match when there is none."""
    if name not in REGISTRY:
        raise unknown("proxy", name, REGISTRY)
    return REGISTRY[name]


def names() -> list[str]:
    """Names of all registered proxies, built-in ones first.

    >>> "snip" in names()
    True
    """
    return list(REGISTRY)


def resolve(wanted: Combination | Iterable[str | Proxy] | str | Proxy) -> list[Proxy]:
    """The proxies of the given names in their order, each once; a single string may hold several, comma-separated.

    A name may carry options, as in "zico(parts=4)", or a file, as in "my_proxy.py:mine"; "paper:zen" is `zen` with
    the settings of its paper. The name of an aggregate, such as "az_nas", stands for its parts, and so do a
    `zerocost.combine.Combination` and the .json file of one.

    >>> [p.name for p in resolve("snip,zico(parts=4),grasp")]
    ['snip', 'zico(parts=4)', 'grasp']
    """
    chosen: dict[str, Proxy] = {}
    for item in items(wanted):
        for found in meant(item):
            chosen.setdefault(found.name, found)
    if not chosen:
        raise InputError(f"no proxy was named; choose from {', '.join(names())}")
    return list(chosen.values())


def items(wanted: Combination | Iterable[str | Proxy] | str | Proxy) -> list[Any]:
    """What was named, one by one: by a text, a sequence, a combination or the file of one."""
    from zerocost.combine.combination import Combination, load

    if isinstance(wanted, Path) or (isinstance(wanted, str) and wanted.strip().endswith(".json")):
        wanted = load(str(wanted).strip())
    if isinstance(wanted, Combination):
        return wanted.proxies
    if isinstance(wanted, str):
        return split(wanted)
    return list(wanted) if isinstance(wanted, Iterable) else [wanted]


def spelled(wanted: Combination | Iterable[str | Proxy] | str | Proxy) -> dict[str, str | Proxy]:
    """How other processes are told of each proxy: by the text that was given for it, or its name, where it has one.

    >>> spelled("snip,paper:zen,az_nas")["paper:zen"], sorted(spelled("az_nas"))[:2]
    ('paper:zen', ['az_expressivity', 'az_progressivity'])
    """
    found: dict[str, str | Proxy] = {}
    for item in items(wanted):
        for p in meant(item):
            found[p.name] = item if not isinstance(item, str) or ":" in item else p.name
    return found


def meant(item: Any) -> list[Proxy]:
    """What one item of a list of proxies stands for: a name, a proxy, or the function of a registered one."""
    if isinstance(item, Proxy):
        return [item]
    if isinstance(item, str):
        return called(item.strip())
    found = [p for p in REGISTRY.values() if p.formula is item]
    if not found:
        raise InputError(f"proxies are given by name, or as functions decorated with @zerocost.proxy, got {item!r:.60}")
    return found


AGGREGATES = {
    "default": ("jacob_cov", "log_synflow", "meco", "az_trainability", "flops"),
    "az_nas": ("az_expressivity", "az_progressivity", "az_trainability", "flops"),
    "vkdnw_agg": ("vkdnw_single", "jacob_cov", "az_expressivity", "az_trainability", "flops"),
}
"""Proxies of a pool, not of a network: log-rank sums of others, which is how a ranking combines what it is given."""


def split(text: str) -> list[str]:
    """Parts between commas, but for those inside brackets.

    >>> split("snip, zen(repeats=4,inputs='noise')")
    ['snip', "zen(repeats=4,inputs='noise')"]
    """
    parts, depth = [""], 0
    for letter in text:
        depth += (letter == "(") - (letter == ")")
        if letter == "," and not depth:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts if part.strip()]


def called(text: str) -> list[Proxy]:
    """What a name stands for: a proxy, one with options in brackets, one in a file (my_proxy.py:mine), one with the
    settings of its paper (paper:zen), or the parts of an aggregate."""
    name, bracket, told = text.partition("(")
    options = call_options(f"{name.rpartition(':')[2]}({told}") if bracket else {}
    return [found.using(**options) if options else found for found in plain(name)]


def plain(name: str) -> list[Proxy]:
    """What a name without options stands for."""
    file, colon, base = name.rpartition(":")
    if file == "paper":
        from zerocost.presets import paper

        return paper(base)
    if colon:
        load(name)
        if base not in REGISTRY or REGISTRY[base].formula.__code__.co_filename != str(Path(file).resolve()):
            raise InputError(f"{base!r} in {file} is not a proxy: decorate the function with @zerocost.proxy(paper=…)")
    return [get(part) for part in AGGREGATES.get(base, (base,))]


def call_options(text: str) -> dict[str, Any]:
    """Options out of "name(option=value, …)"; values are numbers, None or words.

    >>> call_options("zen(inputs=noise, samples=16)")
    {'inputs': 'noise', 'samples': 16}
    """
    try:
        call = ast.parse(text, mode="eval").body
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or call.args:
            raise ValueError
        if len({k.arg for k in call.keywords}) < len(call.keywords):
            raise ValueError
        return {
            str(k.arg): k.value.id if k.arg and isinstance(k.value, ast.Name) else ast.literal_eval(k.value)
            for k in call.keywords
        }
    except (ValueError, SyntaxError):
        raise InputError(f"expected NAME(OPTION=VALUE, …), as in zico(parts=4), got {text!r}") from None


def formula_options(formula: Callable[..., Any]) -> dict[str, Any]:
    """A formula's own options with their defaults: its keyword-only arguments."""
    parameters = inspect.signature(formula).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
