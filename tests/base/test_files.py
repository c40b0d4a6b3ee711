from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest

from zerocost.base.errors import DiskFullError, InputError
from zerocost.base.files import replace_file


def no_space():
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def fails_on_the_way_out():
    """As matplotlib does."""
    try:
        no_space()
    finally:
        raise AttributeError("'Stream' object has no attribute 'pos'")


def says_it_in_its_own_words():
    """As torch does."""
    raise RuntimeError("unexpected pos 960 vs 854")


@pytest.mark.parametrize(
    ("fails", "free", "error", "message"),
    [
        (no_space, 10**9, DiskFullError, "cannot write .*kept.txt: No space left on device"),
        (fails_on_the_way_out, 10**9, DiskFullError, "cannot write .*kept.txt: No space left on device"),
        (says_it_in_its_own_words, 0, DiskFullError, "cannot write .*kept.txt: No space left on device"),
        (says_it_in_its_own_words, 10**9, RuntimeError, "unexpected pos"),
        (lambda: Path("/no/such").stat(), 10**9, InputError, "cannot write .*kept.txt: No such file"),
    ],
)
def test_a_file_that_cannot_be_written_stays_as_it_was(tmp_path, monkeypatch, fails, free, error, message):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9 - free, free))
    kept = tmp_path / "kept.txt"
    kept.write_text("before")

    def write(part):
        part.write_text("half")
        fails()

    with pytest.raises(error, match=message):
        replace_file(kept, write)
    assert [file.read_text() for file in tmp_path.iterdir()] == ["before"]
