from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from zerocost.base.errors import InputError
from zerocost.train import Epoch, Run
from zerocost.train.folder import RunFolder, folder_name

EPOCH = Epoch(1, 1.0, 1.0, 0.5, 2.0)


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    folder = RunFolder(tmp_path / "a" / "seed-0", {"epochs": 2, "learning_rate": 0.1})
    folder.clear()
    folder.save_best({"weight": torch.ones(2)})
    folder.save_last(
        lambda path: torch.save({"zerocost": {"settings": folder.settings, "epochs": [vars(EPOCH)]}}, path)
    )
    return folder


@given(st.text(), st.text())
def test_folder_names_are_safe_and_unique(a: str, b: str) -> None:
    assert (folder_name(a) == folder_name(b)) == (a == b)
    assert set(folder_name(a)) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
    assert 0 < len(folder_name(a)) < 60
    assert folder_name(a)[0] not in ".-"


def test_a_finished_run_is_read_with_its_checkpoint(folder: RunFolder) -> None:
    assert folder.finished_run() is None
    run = Run.of("a", 0, [EPOCH], folder.best)
    folder.save_result(run)
    assert folder.finished_run() == run


def test_a_moved_folder_still_finds_its_checkpoint(folder: RunFolder, tmp_path: Path) -> None:
    folder.save_result(Run.of("a", 0, [EPOCH], folder.best))
    moved = RunFolder(folder.path.rename(tmp_path / "moved"), folder.settings)
    found = moved.finished_run()
    assert found is not None
    assert found.checkpoint == moved.best


def test_other_settings_find_nothing(folder: RunFolder) -> None:
    folder.save_result(Run.of("a", 0, [EPOCH], folder.best))
    other = RunFolder(folder.path, folder.settings | {"epochs": 3})
    assert other.finished_run() is None
    assert other.saved_epochs() == []


def test_an_unfinished_run_gives_its_curve(folder: RunFolder) -> None:
    assert folder.saved_epochs() == [EPOCH]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"{}", b"\x80\x02}q\x00."])
def test_broken_files_count_as_none(folder: RunFolder, content: bytes) -> None:
    folder.result.write_bytes(content)
    folder.last.write_bytes(content)
    assert folder.finished_run() is None
    assert folder.saved_epochs() == []


def test_without_the_best_weights_a_run_is_done_anew(folder: RunFolder) -> None:
    folder.save_result(Run.of("a", 0, [EPOCH], folder.best))
    folder.best.unlink()
    assert folder.finished_run() is None
    assert folder.saved_epochs() == []


def test_a_write_that_fails_leaves_the_file_before_it(folder: RunFolder) -> None:
    def fail(path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError("disk full")

    with pytest.raises(InputError, match="disk full"):
        folder.save_last(fail)
    assert folder.saved_epochs() == [EPOCH]


def test_clear_takes_the_old_run_away(folder: RunFolder) -> None:
    folder.save_result(Run.of("a", 0, [EPOCH], folder.best))
    folder.clear()
    assert list(folder.path.iterdir()) == []
