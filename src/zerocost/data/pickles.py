"""Reads the pickles of the CIFAR python files without running code that they name."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np

from zerocost.base.errors import InputError


class Uint8:
    """Stands for `numpy.dtype`, and accepts the code of uint8 only."""

    __slots__ = ()

    def __init__(self, code: str | bytes, *_copy: int) -> None:
        if code not in ("u1", b"u1"):
            raise InputError(f"expected an array of uint8 (u1), got {code!r}")

    def __setstate__(self, state: object) -> None:
        """Byte order and alignment, which single bytes do not have."""


class PickledArray:
    """Stands for `numpy.ndarray` and the function that remakes one; `.values` is the uint8 array."""

    __slots__ = ("values",)

    def __init__(self, *_empty: object) -> None:
        self.values: np.ndarray[Any, np.dtype[np.uint8]] = np.empty(0, np.uint8)

    def __setstate__(self, state: tuple[int, tuple[int, ...], Uint8, bool, bytes]) -> None:
        _, shape, _, columns_first, raw = state
        self.values = np.frombuffer(raw, np.uint8).reshape(shape, order="F" if columns_first else "C")


# Nothing here can be changed from inside a pickle: a class that has __setstate__ refuses new attributes,
# and so does a method of a built-in type.
ADMITTED: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy.core.multiarray", "_reconstruct"): PickledArray,
    ("numpy._core.multiarray", "_reconstruct"): PickledArray,
    ("numpy", "ndarray"): PickledArray,
    ("numpy", "dtype"): Uint8,
    ("_codecs", "encode"): str.encode,
}


def unpickle(raw: bytes, origin: str) -> Any:
    """The contents of a pickle of dicts, lists, strings, numbers and uint8 arrays; text of Python 2 comes as bytes.

    An array comes as a `PickledArray`: the numpy names in a pickle are answered by stand-ins that can build a
    uint8 array and nothing else. Any other name is refused before it is looked up.

    Args:
        raw: the pickle.
        origin: the file that messages name.

    Raises:
        InputError: another name, or a damaged pickle.

    >>> unpickle(pickle.dumps({"labels": [1, 2]}), "data_batch_1")
    {'labels': [1, 2]}
    """
    try:
        return _Reader(raw, origin).load()
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{origin} is not a readable pickle: {type(error).__name__}: {error}") from error


class _Reader(pickle.Unpickler):
    def __init__(self, raw: bytes, origin: str) -> None:
        super().__init__(io.BytesIO(raw), encoding="bytes")
        self.origin = origin

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ADMITTED:
            raise InputError(
                f"{self.origin} is refused: its pickle names {module}.{name}, which no CIFAR file needs "
                "and which could run code; get the file from its official source"
            )
        return ADMITTED[module, name]
