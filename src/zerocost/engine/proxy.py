"""What a proxy is, and the decorator that makes a function one."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from zerocost.base.errors import InputError, unknown
from zerocost.base.fidelity import FULL, Fidelity
from zerocost.base.whole import is_whole
from zerocost.engine import catalogue  # noqa: F401  so that every signal a proxy may ask for is known
from zerocost.engine import settings as settings_
from zerocost.engine.options import as_spelled, as_whole, format_options, parse_options
from zerocost.engine.settings import DEFAULT, Settings
from zerocost.engine.signals import requested_signals

Formula = TypeVar("Formula", bound=Callable[..., Any])


_MOST_REPEATS = 10_000


def check_repeats(repeats: Any) -> None:
    """`InputError` for what is no number of repeats, or an absurd one."""
    if not is_whole(repeats) or repeats > _MOST_REPEATS:
        raise InputError(f"repeats must be a whole number from 1 to {_MOST_REPEATS:,}, got {repeats!r}")


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
        group: what it looks at, by which built-in proxies are listed together.
        shrinks_badly: the sizes from which down its scores lose the order of those at full size; full where none did.
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
    group: str = ""
    shrinks_badly: Fidelity = FULL

    @property
    def is_budget(self) -> bool:
        """Whether less of it is better where it is ranked by; its score is not negated."""
        return self.group == "budgets"

    def using(self, **options: Any) -> Proxy:
        """This proxy with other settings of its passes, options of its formula, or `repeats`.

        Its name says what is changed, in the order of the alphabet, as in `score(model, batch, "zico(parts=4)")`.
        Raises `InputError` for an option that it does not have.

        >>> from zerocost.proxies import get
        >>> get("snip").using(initialisation="kaiming", repeats=3).name
        'snip(initialisation=kaiming, repeats=3)'
        """
        own = formula_options(self.formula)
        options = {name: as_whole(value) for name, value in options.items()}
        not_known = [name for name in options if name not in {*own, *settings_.NAMES, "repeats"}]
        if not_known:
            raise unknown(f"option of proxy {self.name}:", not_known[0], [*own, *settings_.NAMES, "repeats"])
        repeats = options.get("repeats", self.repeats)
        check_repeats(repeats)
        for name in own.keys() & options.keys():
            _check_option(self, name, options[name])
        of_passes = {name: value for name, value in options.items() if name in settings_.NAMES}
        of_formula = {name: value for name, value in options.items() if name in own}
        base, bracket, rest = self.name.partition("(")
        changed = {**(parse_options(f"f({rest}") if bracket else {}), **options}
        return replace(
            self,
            name=as_spelled(f"{base}({format_options(changed)})") if changed else base,
            settings=replace(self.settings, **of_passes),
            options={**self.options, **of_formula},
            repeats=repeats,
        )


def _check_option(proxy: Proxy, name: str, value: Any) -> None:
    """`InputError` for what is no number where an option is one, or no whole number where the formula says `int`."""
    parameter = inspect.signature(proxy.formula).parameters[name]
    whole = parameter.annotation in (int, "int")
    if parameter.default is not None and type(parameter.default) not in (int, float):
        return
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not number or (whole and not isinstance(value, int)):
        kind, usual = "a whole number" if whole else "a number", parameter.default
        instead = "" if usual is None else f"; {name}={usual} is the default"
        raise InputError(f"{name} of proxy {proxy.name} must be {kind}, got {value!r}{instead}")


REGISTRY: dict[str, Proxy] = {}


def proxy(
    *bare: object,
    paper: str = "",
    higher_is_better: bool = True,
    group: str = "",
    shrinks_badly: Fidelity = FULL,
    **settings: Any,
) -> Callable[[Formula], Formula]:
    r"""Register a function as a proxy. Its parameter names are the signals it asks for; it returns one number.

    Keyword arguments of the function (after `*`) are options of the formula. The function itself is returned unchanged,
    so it can be called and tested alone. A name registered twice replaces the first.

    Args:
        paper: the source of the formula.
        higher_is_better: False where small values are the good ones; scores then carry the formula's value negated, so
            that for every score higher is better.
        group: what the proxy looks at, by which built-in proxies are listed together in the documentation.
        shrinks_badly: how small networks, images or batches become before its scores lose their order, as in
            `Fidelity(depth=0.5, batch=8)`. `evaluate` and `search` note it where they score at such a size.
        settings: those of `zerocost.engine.settings.Settings` that its signals need to be measured with.

    Raises:
        InputError: there is no paper, a parameter names no signal, or the name is that of a built-in proxy.

    >>> @proxy(paper="this example")
    ... def weight_sum(weights):
    ...     r"Sum of all weights, :math:`\sum_k w_k`."
    ...     return sum(w.sum() for w in weights)
    >>> get("weight_sum").signals
    ('weights',)
    >>> del REGISTRY["weight_sum"]
    """

    if bare or not paper:
        raise InputError(f'proxy needs the source of the formula; write @proxy(paper="…"), got {bare or paper!r:.60}')

    def register(formula: Formula) -> Formula:
        summary = (inspect.getdoc(formula) or "").partition("\n")[0]
        name = formula.__name__
        earlier = REGISTRY.get(name)
        if earlier and _is_built_in(earlier.formula) and not _is_built_in(formula):
            raise InputError(f"{name!r} is the name of a built-in proxy; give yours another")
        if not name.isidentifier():
            raise InputError(f"a proxy is registered by its name, but got {name}: define it with def")
        signals = requested_signals(formula, "proxy")
        REGISTRY[name] = Proxy(
            *(name, formula, paper, higher_is_better, signals, summary, Settings(**settings)),
            group=group,
            shrinks_badly=shrinks_badly,
        )
        return formula

    return register


def _is_built_in(formula: Callable[..., Any]) -> bool:
    """Whether a formula is one of this library's."""
    return formula.__module__.startswith("zerocost.proxies.")


def get(name: str) -> Proxy:
    """The registered proxy of that name; `InputError` with the nearest match when there is none."""
    if name not in REGISTRY:
        raise unknown("proxy", name, REGISTRY, "`zerocost proxies`")
    return REGISTRY[name]


def names() -> list[str]:
    """Names of all registered proxies, in alphabetical order.

    >>> "snip" in names()
    True
    """
    return sorted(REGISTRY)


def formula_options(formula: Callable[..., Any]) -> dict[str, Any]:
    """A formula's own options with their defaults: its keyword-only arguments."""
    parameters = inspect.signature(formula).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
