"""Random token ids: inputs for language models whose proxies need no data."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from zerocost.data.paths import parse_positive_int
from zerocost.data.room import check_sample

_COUNT = 10_000
_BYTES = 256
_USAGE = "tokens:LENGTH:VOCAB, such as tokens:64:5000"


class Tokens(Dataset[Any]):
    """`_COUNT` sequences of ids from 0 to `vocabulary` − 1, each equally likely. Item `i` depends on `i` alone.

    The vocabulary is `_BYTES` by default; `zerocost rank hf:…` sets it to the smallest of its models'. For the task
    "next_token" the ids are their own targets.

    >>> Tokens(4, vocabulary=10)[0]
    tensor([8, 6, 5, 2])
    """

    def __init__(self, length: int, vocabulary: int | None = None, task: str | None = None) -> None:
        self.length, self.vocabulary, self.task = length, vocabulary, task

    def __len__(self) -> int:
        return _COUNT

    def __getitem__(self, index: int) -> Any:
        if not 0 <= index < _COUNT:
            raise IndexError(f"index {index} is outside 0..{_COUNT - 1}")
        drawn = np.random.default_rng(index).integers(self.vocabulary or _BYTES, size=self.length)
        ids = torch.from_numpy(drawn)
        return ids if self.task is None else (ids, ids)


def load_tokens(argument: str = "") -> Tokens:
    """Random tokens.

    Args:
        argument: length and vocabulary, such as `64:5000`; 32 tokens by default.

    Raises:
        InputError: they are not whole numbers of at least 1, or the length is too large.
    """
    length, _, vocabulary = argument.partition(":")
    count = parse_positive_int(length or "32", _USAGE)
    check_sample(count, f"write {_USAGE}")
    return Tokens(count, parse_positive_int(vocabulary, _USAGE) if vocabulary else None)
