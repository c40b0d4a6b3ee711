from __future__ import annotations

from pathlib import Path

import pytest

from zerocost import spaces
from zerocost.search.sources import collect, collect_shipped


def places(files: dict[Path, str]) -> set[str]:
    return {path.as_posix() for path in files}


def test_the_files_beside_that_a_file_imports_come_with_it(tmp_path: Path) -> None:
    (tmp_path / "package" / "deep").mkdir(parents=True)
    files = {
        "mine.py": "import os.path\nimport package.deep.a\nfrom torchvision import ops\n",
        "package/__init__.py": "from . import b",
        "package/b.py": "def later():\n    import beside\n",
        "package/deep/__init__.py": "",
        "package/deep/a.py": "from ..b import later\nimport scipy.stats as s",
        "beside.py": "",
        "unused.py": "",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    found = collect(tmp_path / "mine.py")
    assert places(found.files) == files.keys() - {"unused.py"}
    assert {path.as_posix(): text for path, text in found.files.items()} == {
        name: text for name, text in files.items() if name != "unused.py"
    }
    assert found.needs == {"torch", "torchvision", "scipy"}


@pytest.mark.parametrize(
    "line",
    [
        "from zerocost.base.fidelity import Fidelity",
        "import zerocost.base.fidelity as f",
        "from zerocost.base import fidelity",
    ],
)
def test_imports_of_zerocosts_spaces_are_turned_to_a_copy(tmp_path: Path, line: str) -> None:
    (tmp_path / "mine.py").write_text(f'"""zerocost is in a text."""\n{line}\n')
    found = collect(tmp_path / "mine.py")
    assert found.files[Path("mine.py")].splitlines()[1] == line.replace("zerocost", "zerocost_source")
    assert "zerocost_source/base/fidelity.py" in places(found.files)
    assert "from zerocost_source.base.errors import" in found.files[Path("zerocost_source/base/fidelity.py")]
    assert found.needs == {"torch"}


@pytest.mark.parametrize("line", ["import zerocost as zc", "from zerocost import score", "import zerocost.spaces"])
def test_a_file_that_imports_more_of_zerocost_needs_it(tmp_path: Path, line: str) -> None:
    text = f"from zerocost.spaces import FULL\n{line}\n"
    (tmp_path / "mine.py").write_text(text)
    found = collect(tmp_path / "mine.py")
    assert found.files == {Path("mine.py"): text}
    assert found.needs == {"torch", "zerocost"}


@pytest.mark.parametrize("condition", ["typing.TYPE_CHECKING", '__name__ == "__main__"'])
def test_what_is_for_type_checkers_or_scripts_alone_is_not_needed(tmp_path: Path, condition: str) -> None:
    (tmp_path / "mine.py").write_text(f"import typing\nif {condition}:\n    import zerocost\nimport torch\n")
    assert collect(tmp_path / "mine.py").needs == {"torch"}


@pytest.mark.parametrize("name", spaces.names())
def test_a_shipped_space_takes_torch_and_numpy_alone(name: str) -> None:
    found = collect_shipped(spaces.SPACES[name].__module__)
    assert found.needs == {"torch", "numpy"}
    module = spaces.SPACES[name].__module__.replace("zerocost", "zerocost_source", 1)
    assert module.replace(".", "/") + ".py" in places(found.files)
    assert all(path.parts[0] == "zerocost_source" for path in found.files)
    others = {"cnn", "mlp", "tcn", "nasbench101", "macro"} - {name}
    assert not {f"zerocost_source/spaces/{other}.py" for other in others} & places(found.files)
