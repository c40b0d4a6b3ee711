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
_USAGE = "tokens:LENGTH:VOCAB:TARGET, such as tokens:64:5000 or tokens:64:5000:2"
_NEXT = "next"


class Tokens(Dataset[Any]):
    """`_COUNT` sequences of ids from 0 to `vocabulary` − 1, each equally likely. Item `i` depends on `i` alone.

    The vocabulary is `_BYTES` by default; `zerocost rank hf:…` sets it to the smallest of its models'. For the task
    "next_token" the ids are their own targets; with `classes`, a random class is.

    >>> Tokens(4, vocabulary=10)[0]
    tensor([8, 6, 5, 2])
    """

    def __init__(
        self, length: int, vocabulary: int | None = None, task: str | None = None, classes: int | None = None
    ) -> None:
        self.length, self.vocabulary, self.task, self.classes = length, vocabulary, task, classes

    def __len__(self) -> int:
        return _COUNT

    def __getitem__(self, index: int) -> Any:
        if not 0 <= index < _COUNT:
            raise IndexError(f"index {index} is outside 0..{_COUNT - 1}")
        rng = np.random.default_rng(index)
        ids = torch.from_numpy(rng.integers(self.vocabulary or _BYTES, size=self.length))
        if self.classes is not None:
            return ids, int(rng.integers(self.classes))
        return ids if self.task is None else (ids, ids)


def load_tokens(argument: str = "") -> Tokens:
    """Random tokens.

    Args:
        argument: length, vocabulary and target, such as `64:5000`; 32 tokens by default. The target is a number of
            classes, one of which is drawn for each sequence, or `next`, for the task of predicting the next token;
            without it there are none.

    Raises:
        InputError: they are not whole numbers of at least 1, or the length is too large.

    >>> load_tokens("4:10:2")[0]
    (tensor([8, 6, 5, 2]), 0)
    """
    length, _, rest = argument.partition(":")
    vocabulary, _, target = rest.partition(":")
    count = parse_positive_int(length or "32", _USAGE)
    check_sample(count, f"write {_USAGE}")
    return Tokens(
        count,
        parse_positive_int(vocabulary, _USAGE) if vocabulary else None,
        "next_token" if target == _NEXT else None,
        parse_positive_int(target, _USAGE) if target and target != _NEXT else None,
    )
