"""Options out of dataclasses: a parameter of a command whose type is a group becomes one option for each field."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from contextlib import nullcontext
from copy import copy
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import typer
from typer.models import OptionInfo

from zerocost.cli.output import stdout_for_json
from zerocost.search.group import LEAST, field_texts


@dataclass(frozen=True)
class SettingsOf:
    """Marks a parameter of a command that takes the fields of a group as a mapping.

    Attributes:
        group: a dataclass; each field becomes an option with its type, default and text.
        shell: a dataclass with those fields that are written otherwise at the shell.
        leave_out: fields that are no options.
    """

    group: type
    shell: type
    leave_out: tuple[str, ...] = ()


def command(function: Callable[..., None]) -> Callable[..., None]:
    """A subcommand: its groups become options."""
    signature, gather = expand(function)

    @functools.wraps(function)
    def run(**values: Any) -> None:
        with stdout_for_json() if values.get("as_json") else nullcontext():
            function(**gather(values))

    run.__signature__ = signature  # type: ignore[attr-defined]
    run.__annotations__ = {name: one.annotation for name, one in signature.parameters.items()}
    return run


def expand(
    function: Callable[..., object],
) -> tuple[inspect.Signature, Callable[[dict[str, Any]], dict[str, Any]]]:
    """The signature of a command with an option for each field of its groups, and what makes its arguments of them.

    >>> @dataclass
    ... class Size:
    ...     width: int = 2
    ...     depth: int = 3
    >>> def command(name: str, size: Size): ...
    >>> signature, gather = expand(command)
    >>> list(signature.parameters), gather({"name": "a", "width": 1, "depth": 3})
    (['name', 'width', 'depth'], {'name': 'a', 'size': Size(width=1, depth=3)})
    """
    hints = get_type_hints(function, include_extras=True)
    parameters: list[inspect.Parameter] = []
    groups: dict[str, tuple[Callable[..., object], list[str]]] = {}
    for name, given in inspect.signature(function).parameters.items():
        marker = next((mark for mark in getattr(hints[name], "__metadata__", ()) if isinstance(mark, SettingsOf)), None)
        if marker is None and not is_dataclass(hints[name]):
            parameters.append(given.replace(annotation=hints[name], kind=inspect.Parameter.KEYWORD_ONLY))
            continue
        kind = marker.group if marker else hints[name]
        options = _options_of(kind, marker.shell if marker else kind, marker.leave_out if marker else ())
        parameters += options
        groups[name] = dict if marker else kind, [option.name for option in options]

    def gather(values: dict[str, Any]) -> dict[str, Any]:
        made = {name: make(**{one: values[one] for one in names}) for name, (make, names) in groups.items()}
        inside = {one for _, names in groups.values() for one in names}
        return {name: value for name, value in values.items() if name not in inside} | made

    return inspect.Signature(parameters), gather


def _options_of(group: type, shell: type, leave_out: tuple[str, ...]) -> list[inspect.Parameter]:
    """A parameter for each field of a group, its own first; those that `shell` has too are taken from there."""
    texts, shown = field_texts(group), {one.name: one for one in fields(shell)}
    hints = get_type_hints(group, include_extras=True) | get_type_hints(shell, include_extras=True)
    return [
        _option_of(shown.get(one.name, one), hints[one.name], texts.get(one.name, ""), _title_of(group, one.name))
        for one in sorted(fields(group), key=lambda one: one.name not in group.__annotations__)
        if one.name not in leave_out
    ]


def _option_of(one: Field[Any], hint: Any, text: str, title: str) -> inspect.Parameter:
    """A field as an option: with the `typer.Option` in its annotation, or with its text as help."""
    infos = [copy(mark) for mark in getattr(hint, "__metadata__", ()) if isinstance(mark, OptionInfo)]
    kind = hint.__origin__ if infos else _shell_type(hint)
    names = [f"--{one.name.replace('_', '-')}"] if kind is bool else []
    info = infos[0] if infos else typer.Option(*names, min=one.metadata.get(LEAST), help=text[:1].upper() + text[1:])
    info.rich_help_panel = info.rich_help_panel or title
    default = inspect.Parameter.empty if one.default is MISSING else one.default
    return inspect.Parameter(
        one.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, info]
    )


def _shell_type(hint: Any) -> Any:
    """The type of an option: text for what can be written as text too.

    >>> from pathlib import Path
    >>> _shell_type(str | Path | None), _shell_type(int | None)
    (str | None, int | None)
    """
    kinds = get_args(hint) if get_origin(hint) is not None else ()
    if str not in kinds:
        return hint
    return str | None if type(None) in kinds else str


def _title_of(group: type, name: str) -> str:
    """The title of the options beside a field: the first line of the docstring of the class that has it."""
    owner = next(base for base in group.__mro__ if name in getattr(base, "__annotations__", {}))
    return (owner.__doc__ or "Options").strip().partition("\n")[0].rstrip(".")


def vars_of(group: object) -> dict[str, Any]:
    """The fields of a group by name."""
    return {one.name: getattr(group, one.name) for one in fields(group)}  # type: ignore[arg-type]
