"""Every signal there is: importing this file imports those of all passes, watchers and readings, which declare them."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from zerocost.engine import passes, watch
from zerocost.engine.signals import sort_signals


def _import_declarations() -> None:
    """Import each file that declares signals: a new one in `watch` or `passes` is found by itself."""
    import_module("zerocost.engine.readings")
    for package in (watch, passes):
        for module in iter_modules(package.__path__, f"{package.__name__}."):
            import_module(module.name)


_import_declarations()
sort_signals()
