"""Rankings in several processes are those of one."""

from __future__ import annotations

import os
import signal

import pandas as pd
import pytest
import torch
from torch import nn

import zerocost as zc
from zerocost.base.errors import InputError

DATA = (torch.rand(8, 6, generator=torch.Generator().manual_seed(0)), torch.arange(8) % 3)


def network(width: int) -> nn.Module:
    return nn.Sequential(nn.Linear(6, width), nn.ReLU(), nn.Linear(width, 3))


def killed() -> nn.Module:
    os.kill(os.getpid(), signal.SIGKILL)
    return network(2)


def test_the_ranking_is_the_same_and_a_candidate_that_ends_its_process_costs_that_alone():
    candidates = {f"w{n}": lambda n=n: network(n) for n in (4, 8, 16)}
    candidates |= {"finished": network(5), "misfit": lambda: nn.Linear(5, 3)}
    alone = zc.rank(candidates, DATA, "snip,synflow", repeats=2)
    seen: list[tuple[int, int]] = []
    table = zc.rank(
        candidates | {"killed": killed}, DATA, "snip,synflow", repeats=2, workers=2, progress=lambda *n: seen.append(n)
    )
    assert seen == [(done, 6) for done in range(1, 7)]
    columns = ["snip", "synflow", "params"]
    pd.testing.assert_frame_equal(table.frame.loc[alone.frame.index, columns], alone.frame[columns])
    assert "died twice" in table.cards["killed"].failures["snip"]
    assert table.cards["misfit"].failures == alone.cards["misfit"].failures
    assert table.cards["w4"].provenance == alone.cards["w4"].provenance


def test_what_cannot_be_sent_is_said():
    with pytest.raises(InputError, match="cannot be sent to other processes"):
        zc.rank({"a": lambda held=(n for n in ()): network(2)}, DATA, "snip", workers=2)
    with pytest.raises(InputError, match="workers must be a whole number from 1"):
        zc.rank({"a": lambda: network(2)}, DATA, "snip", workers=0)
