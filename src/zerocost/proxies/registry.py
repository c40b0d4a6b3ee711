"""Proxies by name: from "snip,zico(parts=4),paper:zen,my_proxy.py:mine" to the proxies that it names."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from zerocost.base.errors import InputError
from zerocost.base.user_code import load_object
from zerocost.engine.options import parse_options
from zerocost.engine.proxy import REGISTRY, Proxy, get, names
from zerocost.proxies.aggregates import AGGREGATES
from zerocost.proxies.papers import paper

ProxyNames = Iterable[str | Proxy] | str | Proxy
"""Proxies as a caller names them."""


def resolve(wanted: ProxyNames) -> list[Proxy]:
    """The proxies of the given names in their order, each once; a single string may hold several, comma-separated.

    A name may carry options, as in "zico(parts=4)", or a file, as in "my_proxy.py:mine"; "paper:zen" is `zen` with
    the settings of its paper. The name of an aggregate, such as "az_nas", stands for its parts.

    >>> [p.name for p in resolve("snip,zico(parts=4),grasp")]
    ['snip', 'zico(parts=4)', 'grasp']
    """
    chosen: dict[str, Proxy] = {}
    for item in as_items(wanted):
        for found in _proxies_of_item(item):
            chosen.setdefault(found.name, found)
    if not chosen:
        raise InputError(f"no proxy was named; choose from {', '.join(names())}")
    return list(chosen.values())


def as_items(wanted: ProxyNames) -> list[Any]:
    """What was named, one by one: the parts of a text, or the elements of a sequence."""
    if isinstance(wanted, str):
        return _split_at_commas(wanted)
    return list(wanted) if isinstance(wanted, Iterable) else [wanted]


def portable_proxies(wanted: ProxyNames) -> dict[str, str | Proxy]:
    """What to send to another process for each proxy: the text that was given for it, or its name, where it has one.

    >>> portable_proxies("snip,paper:zen,az_nas")["paper:zen"], sorted(portable_proxies("az_nas"))[:2]
    ('paper:zen', ['az_expressivity', 'az_progressivity'])
    """
    found: dict[str, str | Proxy] = {}
    for item in as_items(wanted):
        for p in _proxies_of_item(item):
            found[p.name] = item if not isinstance(item, str) or ":" in item else p.name
    return found


def _proxies_of_item(item: Any) -> list[Proxy]:
    """What one item of a list of proxies stands for: a name, a proxy, or the function of a registered one."""
    if isinstance(item, Proxy):
        return [item]
    if isinstance(item, str):
        return _proxies_of_text(item.strip())
    found = [p for p in REGISTRY.values() if p.formula is item]
    if not found:
        raise InputError(f"proxies are given by name, or as functions decorated with @zerocost.proxy, got {item!r:.60}")
    return found


def _split_at_commas(text: str) -> list[str]:
    """Parts between commas, but for those inside brackets.

    >>> _split_at_commas("snip, zen(repeats=4,inputs='noise')")
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


def _proxies_of_text(text: str) -> list[Proxy]:
    """What a name stands for: a proxy, one with options in brackets, one in a file (my_proxy.py:mine), one with the
    settings of its paper (paper:zen), or the parts of an aggregate."""
    name, bracket, rest = text.partition("(")
    options = parse_options(f"{name.rpartition(':')[2]}({rest}") if bracket else {}
    return [found.using(**options) if options else found for found in _proxies_of_name(name)]


def _proxies_of_name(name: str) -> list[Proxy]:
    """What a name without options stands for."""
    if name.endswith(".json"):
        raise InputError(
            f"{name} is the file of a combination, which stands alone; give that text and no other, or name proxies "
            "one by one"
        )
    file, colon, base = name.rpartition(":")
    if file == "paper":
        return paper(base)
    if colon:
        load_object(name)
        if base not in REGISTRY or REGISTRY[base].formula.__code__.co_filename != str(Path(file).resolve()):
            raise InputError(f"{base!r} in {file} is not a proxy: decorate the function with @zerocost.proxy(paper=…)")
    return [get(part) for part in AGGREGATES.get(base, (base,))]
