"""Rankings in several processes are those of one."""

from __future__ import annotations

import os
import signal
import time
from functools import partial
from pathlib import Path

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


class Hungry(nn.Sequential):
    """Asks for memory in one of the ways in which there may be too little of it."""

    def __init__(self, way: str, folder: Path) -> None:
        super().__init__(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 3))
        self.way, self.folder = way, folder

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.way == "torch" or (self.way == "large batch" and len(x) > 4):
            torch.empty(2**50)
        if self.way == "python":
            bytearray(2**60)
        if self.way == "killed at a large batch" and len(x) > 4:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.way.startswith("beside another"):
            mine = self.folder / f"{os.getpid()}"
            mine.touch()
            time.sleep(0.5)
            if len(list(self.folder.iterdir())) > 1:
                mine.unlink()
                os.kill(os.getpid(), signal.SIGKILL)
            mine.unlink()
        return super().forward(x)


def test_a_candidate_without_enough_memory_costs_itself_alone_if_at_all(tmp_path):
    """As the kernel does it, which kills what is too large, and as allocators do it, which refuse."""
    ways = "torch", "large batch", "python", "killed at a large batch", "beside another", "beside another too"
    table = zc.rank({way: partial(Hungry, way, tmp_path) for way in ways}, DATA, "snip", workers=2)
    assert set(table.frame["snip"].dropna().index) == {"large batch", "beside another", "beside another too"}
    reasons = table.failures.set_index("candidate")["reason"]
    assert reasons["torch"] == reasons["python"] == "out of memory on a single sample of the batch"
    assert reasons["killed at a large batch"].unique().tolist() == [
        "its worker process died twice, the second time with no network beside it: SIGKILL, as when memory runs out"
    ]


def test_what_cannot_be_sent_is_said():
    with pytest.raises(InputError, match="cannot be sent to other processes"):
        zc.rank({"a": lambda held=(n for n in ()): network(2)}, DATA, "snip", workers=2)
    with pytest.raises(InputError, match="workers must be a whole number from 1"):
        zc.rank({"a": lambda: network(2)}, DATA, "snip", workers=0)
