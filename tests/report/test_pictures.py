from __future__ import annotations

import sys

import pytest

from benchmarks.tiny import evaluation
from zerocost.base.errors import InputError, MissingExtraError
from zerocost.report import pictures


@pytest.fixture(scope="module")
def made():
    return evaluation(n=15, proxies=("good", "bad"))


def test_every_figure_is_written_in_every_format(made, tmp_path):
    pytest.importorskip("matplotlib", reason="the extra pictures is not installed")
    files = pictures.save(made, tmp_path / "new" / "folder", ("pdf", "svg", "png"))
    names = {f"{name}.{form}" for name in ("scores", "correlation", "agreement", "regret") for form in pictures.FORMATS}
    assert {path.name for path in files} == names
    starts = {".pdf": b"%PDF", ".svg": b"<?xml", ".png": b"\x89PNG"}
    assert all(path.read_bytes().startswith(starts[path.suffix]) for path in files)
    assert "all together" in (tmp_path / "new" / "folder" / "correlation.svg").read_text()


def test_the_same_evaluation_gives_the_same_bytes(made, tmp_path):
    pytest.importorskip("matplotlib", reason="the extra pictures is not installed")
    first, second = (pictures.save(made, tmp_path / name, ("svg",)) for name in "ab")
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_an_unknown_format_is_bad_input(made, tmp_path):
    pytest.importorskip("matplotlib", reason="the extra pictures is not installed")
    with pytest.raises(InputError, match="did you mean 'pdf'"):
        pictures.save(made, tmp_path, ("pdff",))


def test_without_matplotlib_the_extra_is_named(made, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=r"zerocost\[pictures\]"):
        pictures.save(made, tmp_path)
