from __future__ import annotations

import inspect
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.testing import CliRunner

from zerocost.cli.expand import SettingsOf, command, expand
from zerocost.cli.search import AtShell, search
from zerocost.search.group import SettingsGroup, at_least
from zerocost.search.pipeline import Pipeline

MADE: list[Any] = []


@dataclass(frozen=True, kw_only=True)
class Cake(SettingsGroup):
    """How a cake is baked.

    Attributes:
        layer_count: layers of
            the cake.
        iced: put icing on it.
        recipe: a file, or its text.
        oven: what bakes it.
    """

    layer_count: int = at_least(1, default=3)
    iced: bool = False
    recipe: str | Path | None = None
    oven: object = None


@dataclass(frozen=True, kw_only=True)
class CakeAtShell:
    oven: Annotated[str, typer.Option("--oven-name", help="Name of the oven.")] = "old"


def bake(name: str, cake: Annotated[dict[str, Any], SettingsOf(Cake, CakeAtShell)]) -> None:
    MADE.append((name, cake))


def bake_plain(cake: Annotated[dict[str, Any], SettingsOf(Cake, CakeAtShell, leave_out=("iced",))]) -> None: ...


def heat(oven: CakeAtShell) -> None:
    MADE.append(oven)


def run(function: Any, *arguments: str) -> Any:
    MADE.clear()
    app = typer.Typer()
    app.command()(command(function))
    return CliRunner().invoke(app, list(arguments))


def test_a_group_becomes_options_with_its_defaults_bounds_and_texts() -> None:
    assert run(bake, "a", "--layer-count", "2", "--iced", "--oven-name", "new").exit_code == 0
    assert MADE == [("a", {"layer_count": 2, "iced": True, "recipe": None, "oven": "new"})]
    assert run(bake, "a", "--layer-count", "0").exit_code == 2
    shown = run(bake, "--help").output
    for text in ("Layers of the cake.", "Put icing on it.", "Name of the oven.", "How a cake is baked", "--iced"):
        assert text in shown
    assert "--no-iced" not in shown


def test_a_group_that_is_a_dataclass_is_made_of_its_options() -> None:
    assert run(heat, "--oven-name", "new").exit_code == 0
    assert [CakeAtShell(oven="new")] == MADE


def test_every_setting_of_a_pipeline_is_an_option_of_search() -> None:
    options, at_shell = inspect.signature(search).parameters, {one.name for one in fields(AtShell)}
    settings = [one for one in fields(Pipeline) if one.name not in ("space", "limits")]
    assert {one.name for one in settings} < set(options)
    for one in settings:
        assert one.name in at_shell or options[one.name].default == one.default


def test_what_is_left_out_is_no_option() -> None:
    signature, gather = expand(bake_plain)
    assert list(signature.parameters) == ["layer_count", "recipe", "oven"]
    values = {"layer_count": 1, "recipe": None, "oven": "x"}
    assert gather(values) == {"cake": values}
