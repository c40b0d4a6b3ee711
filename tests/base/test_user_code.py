from __future__ import annotations

import pickle
import py_compile
import sys
from pathlib import Path

import pytest

from zerocost.base.errors import InputError
from zerocost.base.user_code import FileFunction, load_object


def test_a_file_may_import_its_neighbours(tmp_path: Path) -> None:
    (tmp_path / "neighbour_of_mine.py").write_text("value = 3")
    (tmp_path / "mine.py").write_text("from neighbour_of_mine import value\ndef give():\n    return value\n")
    before = list(sys.path)
    assert load_object(f"{tmp_path}/mine.py:give")() == 3
    assert sys.path == before


def test_a_file_that_changed_within_a_second_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    for value in (3, 4):
        (tmp_path / "mine.py").write_text(f"value = {value}")
        assert load_object(f"{tmp_path}/mine.py:value") == value
    assert [path.name for path in tmp_path.iterdir()] == ["mine.py"]


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("mine.py", r"expected FILE.py:NAME, such as my_model.py:build, but got 'mine.py'"),
        ("mine.py:", "expected FILE.py:NAME"),
        ("missing.py:build", "no such file: missing.py"),
        ("broken.py:build", "importing broken.py raised ZeroDivisionError: division by zero"),
        ("exits.py:build", "importing exits.py raised SystemExit: 3"),
        ("mine.py:bild", r"unknown name in mine.py: 'bild'; did you mean 'build'"),
        ("text.txt:build", "text.txt is not a Python file"),
    ],
)
def test_what_cannot_be_loaded_is_bad_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text("def build():\n    pass\n")
    Path("broken.py").write_text("1 / 0")
    Path("exits.py").write_text("import sys\nsys.exit(3)")
    Path("text.txt").write_text("build")
    with pytest.raises(InputError, match=message):
        load_object(target)


def test_a_function_of_a_file_is_read_again_in_another_process(tmp_path):
    (tmp_path / "mine.py").write_text("def double(x):\n    return 2 * x\n\nNUMBER = 3\n")
    function = FileFunction(f"{tmp_path / 'mine.py'}:double")
    assert function(4) == pickle.loads(pickle.dumps(function))(4) == 8
    assert function.__name__ == "double" and function == FileFunction(function.target)
    with pytest.raises(InputError, match="NUMBER is a int, expected a function"):
        FileFunction(f"{tmp_path / 'mine.py'}:NUMBER")


def test_a_compiled_file_is_loaded(tmp_path):
    source = tmp_path / "mine.py"
    source.write_text("number = 5\n")
    compiled = py_compile.compile(str(source), cfile=str(tmp_path / "mine.pyc"))
    assert load_object(f"{compiled}:number") == 5
