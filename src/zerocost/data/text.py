"""Text and token files, in pieces of equal length, for models that predict the next token."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from zerocost.base.errors import InputError
from zerocost.data.paths import parse_path, parse_positive_int
from zerocost.data.tensors import TensorData

_USAGE = "text:FILE:LENGTH, such as text:book.txt:64"
_LENGTH = "64"
_BYTES = 256


class _TokenPieces(TensorData):
    """Pieces of a sequence of tokens, one after the other; a sample's target is its input, which the loss shifts.

    A split holds out the last pieces.

    Args:
        ids: the tokens in order.
        length: of a piece; what is left at the end is dropped.
        vocabulary: the number of different tokens; one more than the highest if None.

    Raises:
        InputError: fewer tokens than a piece has.

    >>> pieces = _TokenPieces(torch.arange(7), length=3)
    >>> len(pieces), pieces[1][0], pieces.vocabulary
    (2, tensor([3, 4, 5]), 7)
    """

    gap = 0

    def __init__(self, ids: Tensor, length: int, vocabulary: int | None = None) -> None:
        if len(ids) < length:
            raise InputError(f"{len(ids)} tokens are too few for pieces of {length}; write {_USAGE}")
        pieces = ids[: len(ids) // length * length].reshape(-1, length)
        super().__init__(pieces, pieces, "next_token")
        self.vocabulary = int(ids.max()) + 1 if vocabulary is None else vocabulary


def load_text(argument: str) -> _TokenPieces:
    """The bytes of a text file, or the token ids of a .npy file, in pieces.

    Args:
        argument: path and, if not 64, the length of a piece.

    Raises:
        InputError: no such file, or one that holds no tokens.
    """
    path, colon, length = argument.rpartition(":")
    if not colon or not length.isdecimal():
        path, length = argument, _LENGTH
    file, size = parse_path(path, _USAGE), parse_positive_int(length, _USAGE)
    try:
        if file.suffix != ".npy":
            return _TokenPieces(
                torch.from_numpy(np.frombuffer(file.read_bytes(), np.uint8).astype(np.int64)), size, _BYTES
            )
        ids = np.load(file, allow_pickle=False)
    except (OSError, EOFError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{file} cannot be read: {error}") from error
    if ids.ndim != 1 or ids.dtype.kind not in "iu" or not len(ids):
        raise InputError(f"{file} holds {ids.dtype} of shape {ids.shape}; expected token ids in one row")
    if ids.min() < 0:
        raise InputError(f"{file} holds {ids.min()} at place {ids.argmin()}; token ids count from 0")
    return _TokenPieces(torch.from_numpy(ids.astype(np.int64)), size)
