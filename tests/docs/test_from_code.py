"""What the documentation takes from the code: proxy pages, tables and options are whole and well formed."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch
import typer
from torch import nn

from zerocost import benchmarks
from zerocost.cli.main import app
from zerocost.data import SOURCES
from zerocost.engine.passes.base import PASSES
from zerocost.engine.proxy import get
from zerocost.engine.settings import NAMES, Settings
from zerocost.engine.signals import SIGNALS
from zerocost.proxies.aggregates import AGGREGATES
from zerocost.proxies.papers import PAPERS
from zerocost.scoring.score import score

pytest.importorskip("sphinx", reason="the documentation's dependencies are not installed")

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def extensions() -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "docs" / "_ext")
        yield ROOT / "docs" / "_ext"


@pytest.fixture(scope="module")
def from_code(extensions: Path) -> ModuleType:
    return importlib.import_module("from_code")


@pytest.fixture(scope="module")
def pages(extensions: Path) -> ModuleType:
    return importlib.import_module("proxy_pages")


@pytest.fixture(scope="module")
def published(extensions: Path) -> ModuleType:
    return importlib.import_module("published")


def test_a_proxy_page_has_paper_signals_passes_and_code(pages: ModuleType) -> None:
    page = pages.proxy_page(get("grasp"))
    assert page.startswith("grasp\n=====\n")
    assert get("grasp").paper in page
    assert "``hessian_gradients``" in page
    assert "data, loss, curvature: 1 forward, 2 backward, when scored alone" in page
    assert "return -total(w * hg for w, hg in in_pieces(weights, hessian_gradients))" in page
    assert '"""' not in page


def test_a_proxy_page_has_options_settings_and_those_of_the_paper(pages: ModuleType) -> None:
    assert "``beta=1.0``" in pages.proxy_page(get("zico_bc"))
    page = pages.proxy_page(get("vkdnw"))
    assert "``mode=eval, samples=16``; those that matter are mode, inputs, initialisation, samples, pixels" in page
    assert "``paper:vkdnw``, which is ``vkdnw(initialisation=kaiming, samples=64)``" in page
    assert "those that matter are initialisation, normalisation\n" in pages.proxy_page(get("synflow"))
    assert "``az_nas``" in pages.proxy_page(get("az_trainability"))


def test_every_setting_is_tried(pages: ModuleType) -> None:
    assert set(pages.OTHER) == NAMES
    for name, (one, other) in pages.OTHER.items():
        assert one != other
        assert Settings(**{name: one}) != Settings(**{name: other})


def test_passes_that_go_by_sample_are_said_to(pages: ModuleType, from_code: ModuleType) -> None:
    assert {step.backward_each for step in PASSES.values() if step.backward_each} == set(from_code.BACKWARDS)
    assert {step.name for step in PASSES.values() if step.backward_each} < set(pages.BY_SAMPLE)
    assert pages.cost(get("ntk_trace")) == "tangents: 1 forward, and one backward for each sample, when scored alone"
    assert pages.cost(get("naswot")) == "data: 1 forward, 0 backward, when scored alone"
    assert pages.cost(get("params")) == "none"


def test_labels_are_needed_where_scores_fail_without(pages: ModuleType) -> None:
    image, text = (
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(16, 3)),
        nn.Sequential(nn.TransformerEncoderLayer(4, 1, 8, batch_first=True), nn.Flatten(), nn.Linear(20, 3)),
    )
    names = [p.name for p in pages.BUILT_IN]
    for network, inputs in ((image, torch.rand(4, 3, 4, 4)), (text, torch.rand(4, 5, 4))):
        reasons = score(network, inputs, names).failures
        asked = {name for name, reason in reasons.items() if "needs labels" in reason}
        assert asked == {p.name for p in pages.BUILT_IN if pages.labelled(p)}


def test_failures_are_those_the_engine_gives(pages: ModuleType) -> None:
    engine = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "src/zerocost/engine").rglob("*.py"))
    for signal, failure in pages.FAILURES:
        assert signal in SIGNALS
        assert f'"{failure}' in engine, failure
    assert "no BatchNorm was seen" in pages.proxy_page(get("apd"))


def test_published_numbers_are_of_proxies_and_read_as_correlations(published: ModuleType, pages: ModuleType) -> None:
    known = {p.name for p in pages.BUILT_IN} | set(AGGREGATES)
    assert len(published.NUMBERS) == len({n[:4] + n[5:6] for n in published.NUMBERS}) > 300
    for n in published.NUMBERS:
        assert n.proxy in known
        assert n.statistic in published.STATISTICS
        assert -1 <= float(n.value) <= 1
        assert re.search(r"\(.*20\d\d\)", n.source), n.source
        assert not n.rerun_of or not n.source.startswith(n.rerun_of), n


def test_a_page_shows_what_was_published_and_where_papers_disagree(pages: ModuleType, published: ModuleType) -> None:
    page = pages.proxy_page(get("zen"))
    assert "     - 0.102\n     - 0.103\n     - VKDNW (CVPR 2025), Table 1 (rerun)" in page
    assert "**Papers disagree** on NAS-Bench-201, CIFAR-10 (τ from 0.10 to 0.30 and ρ from 0.10 to 0.38)" in page
    assert "Published" not in pages.proxy_page(get("depth"))
    assert published.published("az_nas", "vkdnw_agg").count("* - ``") == 2


def test_bars_in_a_meaning_are_not_markup(from_code: ModuleType, pages: ModuleType) -> None:
    assert r"\|θ\|" in pages.proxy_page(get("synflow"))
    assert r"\|θ\|" in from_code.passes()


def test_tables_have_a_row_for_everything_there_is(from_code: ModuleType) -> None:
    for table, names in (
        (from_code.signals(), SIGNALS),
        (from_code.passes(), PASSES),
        (from_code.sources(), [source.usage for source in SOURCES.values()]),
        (from_code.benchmarks(), benchmarks.names()),
        (from_code.aggregates(), AGGREGATES),
        (from_code.papers(), PAPERS),
        (from_code.settings(), [name for name in vars(Settings()) if name in NAMES]),
        (from_code.proxies("transformers"), ["proxies/dss", "proxies/head_confidence", "proxies/w_pca"]),
    ):
        rows = re.findall(r"^   \* - (.+)$", table, re.M)[1:]
        assert len(rows) == len(names)
        assert all(name in row for name, row in zip(names, rows, strict=True))


@pytest.mark.parametrize("name", ["score", "rank", "search", "evaluate", "proxies", "explain", "profile"])
def test_options_are_those_of_the_command(from_code: ModuleType, name: str) -> None:
    command = typer.main.get_command(app).commands[name]  # type: ignore[attr-defined]
    options = {option for p in command.params for option in p.opts if option.startswith("--")}
    text = from_code.options(name)
    assert f"zerocost {name} [OPTIONS]" in text
    assert options == set(re.findall(r"^``(--[\w-]+)", text, re.M))


def test_what_is_typed_is_code_in_the_help_of_options(from_code: ModuleType) -> None:
    for command in ("score", "rank", "train", "search", "evaluate", "tune", "calibrate", "explain", "profile"):
        _, *meanings = re.findall(r"^   (.+)", from_code.options(command), re.M)
        prose = re.sub(r"``.+?``", "", "\n".join(meanings))
        assert not re.findall(r"--\w+|`|(?<!\w)'|'(?!\w)", prose), command


def test_aggregates_say_how_they_are_combined(from_code: ModuleType) -> None:
    rows = re.findall(r"\* - ``(\w+)``\n.*\n     - (\w+)", from_code.aggregates())
    assert dict(rows) == {"default": "consensus", "tokens": "consensus", "az_nas": "log_rank", "vkdnw_agg": "log_rank"}


def test_cells_that_hold_a_number_are_told_from_words(extensions: Path) -> None:
    number = importlib.import_module("table_numbers").NUMBER
    for text in (".76 (.74 to .77)", "−0.47", "0.7 ± 0.02", "695 MB", "12 %", "4: 2e-16", "93.03 (92.76–93.26)"):
        assert number.fullmatch(text), text
    for text in ("", "–", "the default", "3 layers", "20 networks of 30", "α"):
        assert not number.fullmatch(text), text


def test_pages_of_proxies_that_are_gone_are_removed(pages: ModuleType, tmp_path: Path) -> None:
    stale = tmp_path / "proxies" / "gone.rst"
    stale.parent.mkdir()
    stale.touch()
    pages.write_proxy_pages(type("App", (), {"srcdir": tmp_path}))
    assert not stale.exists()
    assert {page.stem for page in stale.parent.iterdir()} == {p.name for p in pages.BUILT_IN}
