"""The wheel holds what it must and nothing else, and works on its own, away from the repository."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "zerocost"
MODEL = """
import sys
import zerocost
from torch import nn

print(zerocost.__file__, file=sys.stderr)


def build():
    return nn.Sequential(nn.Flatten(), nn.Linear(192, 8), nn.ReLU(), nn.Linear(8, 10))
"""


def run(command: Sequence[object], folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder outside the repository; it must succeed."""
    ran = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1"} | variables,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == 0, f"{ran.stdout}\n{ran.stderr}"
    return ran


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for module in ("build", "hatchling"):
        pytest.importorskip(module, reason="the development dependencies are not installed")
    folder = tmp_path_factory.mktemp("wheel")
    run([sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT], folder)
    [built] = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("site")
    quiet = ("--quiet", "--disable-pip-version-check", "--no-deps", "--no-index")
    run([sys.executable, "-m", "pip", "install", *quiet, "--target", target, wheel], target)
    return target


def test_the_wheel_holds_the_package_and_its_licence(wheel: Path) -> None:
    files = set(zipfile.ZipFile(wheel).namelist())
    ours = {path for path in PACKAGE.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    assert {path.relative_to(PACKAGE.parent).as_posix() for path in ours} <= files
    assert "zerocost/py.typed" in files
    assert {"zerocost/report/page.html.j2", "zerocost/report/page.css", "zerocost/report/page.js"} <= files
    assert {"zerocost/report/plotly/plotly-cartesian.min.js", "zerocost/report/plotly/LICENSE"} <= files
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in files)


def test_the_wheel_holds_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"zerocost"}
    assert not [name for name in names if "__pycache__" in name or name.startswith("zerocost/tests")]


def test_the_metadata_names_licence_readme_and_command(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        [metadata] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        text = archive.read(metadata).decode()
        commands = archive.read(metadata.replace("METADATA", "entry_points.txt")).decode()
    assert "License-Expression: Apache-2.0 AND MIT" in text
    assert "Requires-Python: >=3.11" in text
    assert "# zerocost" in text
    assert "zerocost = zerocost.cli:main" in commands


def test_the_installed_wheel_lists_proxies(installed: Path, tmp_path: Path) -> None:
    ran = run([sys.executable, "-m", "zerocost", "proxies", "--json"], tmp_path, PYTHONPATH=str(installed))
    assert "log_synflow" in {proxy["name"] for proxy in json.loads(ran.stdout)}


def test_the_installed_command_scores_a_file_of_the_user(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "my_model.py").write_text(MODEL)
    command = [installed / "bin" / "zerocost", "score", "my_model.py:build", "--data", "digits:8", "--json"]
    ran = run([*command, "--proxies", "snip,params"], tmp_path, PYTHONPATH=str(installed))
    assert Path(ran.stderr.strip()).is_relative_to(installed)
    assert json.loads(ran.stdout)["scores"]["params"] == 1634


def test_the_source_archive_can_be_tested(tmp_path: Path) -> None:
    for module in ("build", "hatchling"):
        pytest.importorskip(module, reason="the development dependencies are not installed")
    run([sys.executable, "-m", "build", "--sdist", "--no-isolation", "--outdir", tmp_path, ROOT], tmp_path)
    [archive] = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        files = {name.partition("/")[2] for name in opened.getnames()}
    scripts = [*ROOT.glob("tests/**/*.py"), *ROOT.glob("examples/*.py")]
    here = [path.relative_to(ROOT).as_posix() for path in scripts]
    wanted = ("src/zerocost/py.typed", "docs/conf.py", "Makefile", "constraints.txt", "README.md", "CHANGELOG.md")
    assert {*here, *wanted} <= files
    assert not [name for name in files if name.startswith((".venv", "docs/_build", "docs/proxies/"))]


def test_slow_libraries_are_not_imported_before_they_are_needed() -> None:
    slow = "scipy.stats sklearn plotly optuna pytorch_lightning sqlalchemy keras transformers ray"
    code = f"import sys, zerocost; print([name for name in '{slow}'.split() if name in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "[]\n"
    code = code.replace("sys, zerocost", "sys, zerocost.cli.main").replace(slow, "scipy sklearn optuna")
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "[]\n"
