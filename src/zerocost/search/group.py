"""Groups of settings: dataclasses that check their fields, and whose docstrings say what each field is."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields
from textwrap import TextWrapper
from typing import Any, ParamSpec, TypeVar, cast

from zerocost.base.errors import unknown
from zerocost.base.whole import check_whole

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
LEAST = "least"


def at_least(bound: int, *, default: int | None) -> Any:
    """A field for whole numbers of at least `bound`; None is allowed where it is the default."""
    return field(default=default, metadata={LEAST: bound})


@dataclass(frozen=True, kw_only=True)
class SettingsGroup:
    """A group of settings. It checks the fields made by `at_least`; subclasses check their others after `super()`.

    >>> @dataclass(frozen=True, kw_only=True)
    ... class Stopping(SettingsGroup):
    ...     trials: int = at_least(1, default=10)
    >>> Stopping(trials=0)
    Traceback (most recent call last):
    zerocost.base.errors.InputError: trials must be at least 1, but got 0
    """

    def __post_init__(self) -> None:
        for one in fields(self):
            value = getattr(self, one.name)
            if LEAST not in one.metadata or (value is None and one.default is None):
                continue
            check_whole(one.name, value, one.metadata[LEAST])


def field_texts(kind: type) -> dict[str, str]:
    """What the docstrings of a dataclass and of its bases say of each field, in `Attributes:`, each on one line."""
    texts: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        _, _, section = inspect.cleandoc(base.__doc__ or "").partition("\nAttributes:\n")
        found = re.findall(r"^    (\w+): (.+(?:\n        .+)*)", section, re.M)
        texts |= {name: " ".join(text.split()) for name, text in found}
    return texts


def inherit_texts(kind: type[T]) -> type[T]:
    """Let the docstring of a class, which ends with `Attributes:`, go on with the fields of its bases."""
    if kind.__doc__:
        inherited = {name: text for base in reversed(kind.__bases__) for name, text in field_texts(base).items()}
        wrapped = TextWrapper(120, initial_indent=" " * 4, subsequent_indent=" " * 8, break_on_hyphens=False)
        lines = [wrapped.fill(f"{name}: {text}") for name, text in inherited.items()]
        kind.__doc__ = "\n".join([inspect.cleandoc(kind.__doc__), *lines, ""])
    return kind


def check_known(kind: type, settings: Iterable[str], see: str) -> None:
    """`InputError` for the name of a setting that is no field of a dataclass; `see` lists those that are."""
    known = {one.name for one in fields(kind)}
    for name in settings:
        if name not in known:
            raise unknown("setting", name, known, see)


def takes(arguments: Callable[P, object]) -> Callable[[Callable[..., R]], Callable[P, R]]:
    """Gives a function the parameters of another callable: for type checkers, editors and `help`.

    >>> @takes(lambda x, *, y=1: None)
    ... def show(**settings):
    ...     return settings
    >>> inspect.signature(show)
    <Signature (x, *, y=1)>
    """

    def typed(function: Callable[..., R]) -> Callable[P, R]:
        returned = inspect.signature(function).return_annotation
        signature = inspect.signature(arguments).replace(return_annotation=returned)
        function.__signature__ = signature  # type: ignore[attr-defined]
        return cast("Callable[P, R]", function)

    return typed
