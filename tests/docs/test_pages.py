"""The README and the guide say what is so: their Python runs, it prints what they show, their commands work.

A `python` block runs in the namespace that the blocks above it left; one that begins with `# name.py` is also the file
of that name. A `text` block under it is what it prints, with `...` for what differs. Commands in `sh` blocks run
where those files are, with searches cut to a small size. They, and blocks whose output is not shown, are given fewer
digits. Blocks whose tool is not installed are passed over, and the page's test skips after the others.
"""

from __future__ import annotations

import contextlib
import doctest
import io
import re
import shlex
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

import pytest
from sklearn.datasets import load_digits
from sklearn.utils import Bunch
from typer.testing import CliRunner

from zerocost.base.errors import MissingExtraError
from zerocost.cli.main import app
from zerocost.engine.proxy import REGISTRY, Proxy
from zerocost.proxies.aggregates import AGGREGATES

ROOT = Path(__file__).parents[2]
FOLDERS = ("docs", "docs/integrations", "docs/measured")
PAGES = [ROOT / "README.md", *(page for folder in FOLDERS for page in sorted((ROOT / folder).glob("*.md")))]
TOOLS = ("autokeras", "keras", "keras_tuner", "timm", "transformers")
SMALL = ["--candidates", "4", "--keep", "1", "--training-seeds", "1"]
DIGITS = load_digits()
FEW_DIGITS = patch(
    "sklearn.datasets.load_digits", lambda: Bunch(images=DIGITS.images[:300], target=DIGITS.target[:300])
)
MATCH = doctest.OutputChecker().check_output
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


class Block(NamedTuple):
    """A fenced block: its language, its text, and the line it starts on."""

    language: str
    text: str
    line: int


def blocks(page: str) -> list[Block]:
    """The fenced blocks of a Markdown page."""
    found = re.finditer(r"^```(\S*)\n(.*?)^```$", page, re.M | re.S)
    return [Block(m[1], m[2], page.count("\n", 0, m.start()) + 2) for m in found]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_blocks_run(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, registries: None) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    monkeypatch.setattr(import_module("zerocost.search.latency"), "PRECISION", 1.0)
    namespace: dict[str, object] = {"__name__": path.stem}
    missing = []
    for block, below in pairwise([*blocks(path.read_text(encoding="utf-8")), Block("", "", 0)]):
        try:
            run(block, below, path, namespace)
        except ImportError as error:
            if not isinstance(error, MissingExtraError) and error.name not in TOOLS:
                raise
            missing.append(f"{path.name}:{block.line}: {error}")
    if missing:
        pytest.skip("; ".join(missing))


def run(block: Block, below: Block, path: Path, namespace: dict[str, object]) -> None:
    """Run a block, if it is one to run, and compare what it prints with the text below it."""
    if block.language == "python":
        shows = below.language == "text"
        with contextlib.nullcontext() if shows else FEW_DIGITS:
            printed = run_python(block, path, namespace)
        if shows:
            shown = f"{path.name}:{below.line}: shown\n{below.text}\nprinted\n{printed}"
            assert MATCH(below.text, printed, FLAGS), shown
    elif block.language == "sh":
        run_commands(block, path)


def run_python(block: Block, path: Path, namespace: dict[str, object]) -> str:
    """What the block prints; errors point at the line of the page."""
    named = re.match(r"# (\w+\.py)\n", block.text)
    if named:
        Path(named[1]).write_text(block.text, encoding="utf-8")
    code = compile("\n" * (block.line - 1) + block.text, str(path), "exec")
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(code, namespace)
    return printed.getvalue()


def run_commands(block: Block, path: Path) -> None:
    """Run the lines that call zerocost; each must succeed, unless `MissingExtraError` says what is not installed."""
    for line in block.text.splitlines():
        if line.startswith("zerocost "):
            arguments = shlex.split(line, comments=True)[1:]
            if arguments[0] == "search":
                arguments += SMALL + ["--trainings", "2"] * ("--trainings" in arguments)
                arguments += ["--epochs", "1"] * ("--epochs" not in arguments)
            with FEW_DIGITS:
                result = CliRunner().invoke(app, arguments, catch_exceptions=False)
            if result.exit_code and "pip install 'zerocost[" in result.stderr:
                raise MissingExtraError(result.stderr.strip())
            assert result.exit_code == 0, f"{path.name}:{block.line}: {line}\n{result.output}"


def test_links_lead_somewhere() -> None:
    broken = [
        f"{page.name}: {target}"
        for page in [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8"))
        if not (page.parent / target).exists()
    ]
    assert not broken


def test_no_page_has_the_name_of_one_that_sphinx_writes_itself() -> None:
    assert not {"search", "genindex", "py-modindex"} & {path.stem for path in (ROOT / "docs").glob("*.md")}


def test_the_readme_lists_proxies_and_aggregates_that_there_are() -> None:
    table = re.findall(r"^\| [^`|]+ \| (`.+`) \|$", (ROOT / "README.md").read_text(encoding="utf-8"), re.M)
    listed = [name for row in table for name in re.findall(r"`(\w+)`", row)]
    assert len(set(listed)) == len(listed) > 40 and set(AGGREGATES) < set(listed)
    assert set(listed) <= {*(p.name for p in built_in()), *AGGREGATES}


def test_the_page_of_proxies_has_a_table_for_each_group() -> None:
    page = (ROOT / "docs" / "proxies.md").read_text(encoding="utf-8")
    groups = re.findall(r"from-code:: proxies (.+)", page)
    assert len(groups) == len(set(groups)) and set(groups) == {p.group for p in built_in()}


@pytest.mark.parametrize("name", ["README.md", "CHANGELOG.md", "docs/index.md", "docs/proxies.md"])
def test_pages_do_not_count_the_proxies_that_more_are_added_to(name: str) -> None:
    counts = re.findall(r"(more than )?\b(\d+) (?:zero-cost )?proxies", (ROOT / name).read_text(encoding="utf-8"), re.I)
    assert all(about and int(count) < len(built_in()) for about, count in counts)


def built_in() -> list[Proxy]:
    return [p for p in REGISTRY.values() if p.formula.__module__.startswith("zerocost.")]


def test_the_readme_begins_with_the_two_commands() -> None:
    first = blocks((ROOT / "README.md").read_text(encoding="utf-8"))[0]
    assert [line.partition(" #")[0].strip() for line in first.text.splitlines()] == ["make demo", "make test"]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^(\w+):", makefile, re.M))
    assert {"demo", "test", "check", "bench", "docs", "clean"} <= targets


def test_the_shell_page_has_every_command() -> None:
    page = (ROOT / "docs" / "shell.md").read_text(encoding="utf-8")
    commands = [command.name or command.callback.__name__ for command in app.registered_commands if command.callback]
    lists = [
        name for name in commands if f"zerocost {name}" in page.partition("## Lists")[2].partition("## zerocost")[0]
    ]
    described = [name for name in commands if name not in lists]
    assert "proxies" in lists
    groups = {group.name for group in app.registered_groups}
    assert [name for name in re.findall(r"^## zerocost (\w+)$", page, re.M) if name not in groups] == described
    assert sorted(re.findall(r"from-code:: options (\w+)$", page, re.M)) == sorted(commands)
