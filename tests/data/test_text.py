"""Text and token files."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from zerocost.base.errors import InputError
from zerocost.data import load, split


def test_bytes_are_tokens_and_their_own_targets(tmp_path):
    (tmp_path / "a.txt").write_text("abcdefghij" * 4)
    data = load(f"text:{tmp_path / 'a.txt'}:8")
    ids, target = data[1]
    assert bytes(ids.tolist()) == b"ijabcdef" and torch.equal(ids, target)
    assert (len(data), data.task, data.vocabulary) == (5, "next_token", 256)
    train, held_out = split(data, 0.2)
    assert len(train) == 4 and bytes(held_out[0][0].tolist()) == b"cdefghij"


def test_token_ids_of_a_file(tmp_path):
    np.save(tmp_path / "ids.npy", np.arange(100, dtype=np.uint16))
    data = load(f"text:{tmp_path / 'ids.npy'}")
    assert data[0][0].shape == (64,) and data.vocabulary == 100


def test_what_holds_no_tokens_is_refused(tmp_path):
    np.save(tmp_path / "numbers.npy", np.ones(9))
    (tmp_path / "short.txt").write_text("ab")
    np.save(tmp_path / "negative.npy", [3, 1, -7])
    for spec, reason in [
        ("numbers.npy:4", "expected token ids in one row"),
        ("negative.npy:1", "holds -7 at place 2; token ids count from 0"),
        ("short.txt:4", "2 tokens are too few"),
    ]:
        with pytest.raises(InputError, match=reason):
            load(f"text:{tmp_path / spec}")
