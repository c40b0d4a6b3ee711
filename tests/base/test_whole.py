from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

import zerocost as zc
from zerocost.base.errors import InputError
from zerocost.base.workers import Workers
from zerocost.search.settings import Place

DATA = torch.rand(8, 4), torch.arange(8) % 2
NETS = {"a": lambda: nn.Linear(4, 2)}


@pytest.mark.parametrize(
    ("use", "name"),
    [
        (lambda: Workers(True), "workers"),
        (lambda: Place(workers=True), "workers"),
        (lambda: zc.rank(NETS, DATA, "snip", batch=8, workers=True), "workers"),
        (lambda: zc.rank(NETS, DATA, "snip", batch=8, repeats=True), "repeats"),
        (lambda: zc.select(zc.rank(NETS, DATA, "snip", batch=8), top=True), "top"),
        (lambda: zc.evaluate("digits", "snip", n=3, k=True), "k"),
        (lambda: zc.profile(NETS["a"], DATA, "snip", rounds=True), "rounds"),
        (lambda: zc.Fidelity(batch=True), "fidelity batch"),
        (lambda: zc.Pipeline("cnn", keep=True), "keep"),
    ],
)
def test_true_is_no_whole_number(use: Callable[[], object], name: str) -> None:
    with pytest.raises(InputError, match=f"{name} must be a (positive )?whole number.* True"):
        use()
