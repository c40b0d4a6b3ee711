"""What the documentation takes from the code: proxy pages, tables and options are whole and well formed."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest
import typer

from zerocost.cli.main import app
from zerocost.data import SOURCES
from zerocost.engine.plan import PASSES
from zerocost.engine.signals import SIGNALS
from zerocost.proxies.registry import get

pytest.importorskip("sphinx", reason="the documentation's dependencies are not installed")


@pytest.fixture(scope="module")
def from_code() -> ModuleType:
    path = Path(__file__).parents[2] / "docs" / "_ext" / "from_code.py"
    spec = importlib.util.spec_from_file_location("from_code", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_proxy_page_has_paper_signals_passes_and_code(from_code: ModuleType) -> None:
    page = from_code.proxy_page(get("grasp"))
    assert page.startswith("grasp\n=====\n")
    assert get("grasp").paper in page
    assert "``hessian_gradients``" in page
    assert "data, loss, curvature: 1 forward, 2 backward" in page
    assert "return -total(w * hg for w, hg in zip(weights, hessian_gradients, strict=True))" in page
    assert '"""' not in page


def test_bars_in_a_meaning_are_not_markup(from_code: ModuleType) -> None:
    assert r"\|θ\|" in from_code.proxy_page(get("synflow"))
    assert r"\|θ\|" in from_code.passes()


def test_tables_have_a_row_for_everything_there_is(from_code: ModuleType) -> None:
    for table, names in (
        (from_code.signals(), SIGNALS),
        (from_code.passes(), PASSES),
        (from_code.sources(), [source.usage for source in SOURCES.values()]),
        (from_code.proxies(), [f"proxies/{p.name}" for p in from_code.BUILT_IN]),
    ):
        rows = re.findall(r"^   \* - (.+)$", table, re.M)[1:]
        assert len(rows) == len(names)
        assert all(name in row for name, row in zip(names, rows, strict=True))


@pytest.mark.parametrize("name", ["score", "rank", "search", "proxies", "explain"])
def test_options_are_those_of_the_command(from_code: ModuleType, name: str) -> None:
    command = typer.main.get_command(app).commands[name]  # type: ignore[attr-defined]
    options = {option for p in command.params for option in p.opts if option.startswith("--")}
    text = from_code.options(name)
    assert f"zerocost {name} [OPTIONS]" in text
    assert options == set(re.findall(r"^``(--[\w-]+)", text, re.M))


def test_pages_of_proxies_that_are_gone_are_removed(from_code: ModuleType, tmp_path: Path) -> None:
    stale = tmp_path / "proxies" / "gone.rst"
    stale.parent.mkdir()
    stale.touch()
    from_code.write_proxy_pages(type("App", (), {"srcdir": tmp_path}))
    assert not stale.exists()
    assert {page.stem for page in stale.parent.iterdir()} == {p.name for p in from_code.BUILT_IN}
