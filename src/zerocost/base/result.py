"""What every result can do: be shown, made a table, plotted, saved and loaded."""

from __future__ import annotations

import html
import json
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd

from zerocost.base.errors import InputError, MissingExtraError
from zerocost.base.files import replace_file, write_text
from zerocost.base.format import MISSING, formatter_for, shorten

if TYPE_CHECKING:
    import plotly.graph_objects as go

_KIND, _FORMAT = "zerocost result", 1
_MOST_ROWS = 20
"""Rows of a table that are shown."""


class Result(ABC):
    """A result: `to_frame` and `plot` give it to pandas and plotly, `save` and `load` keep it in a file.

    Two results are equal when all that `to_dict` gives is equal.
    """

    @abstractmethod
    def to_frame(self) -> pd.DataFrame:
        """The result as a table."""

    @abstractmethod
    def plot(self) -> go.Figure:
        """The result as a picture."""

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """The result as plain values; `from_dict` makes it again."""

    @classmethod
    @abstractmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """The result that `to_dict` described."""

    @abstractmethod
    def _headline(self) -> str:
        """The result in one line."""

    def _shown(self) -> pd.DataFrame:
        """The part of the table that is shown."""
        return self.to_frame()

    def save(self, path: str | Path) -> None:
        """Write the result to a file, which `load` reads: JSON or, with the extra parquet, Parquet, by the suffix.

        A Parquet file holds `to_frame()`, for pandas and others, and the rest in its metadata. Networks, functions and
        tensors are not saved.

        Raises:
            InputError: another suffix, or a file that cannot be written.
            MissingExtraError: Parquet without pyarrow.
        """
        path = Path(path)
        parquet = _is_parquet(path)
        text = json.dumps({_KIND: type(self).__name__, "format": _FORMAT, "values": _to_json(self.to_dict())})
        if not parquet:
            write_text(path, text + "\n")
            return
        frame = self.to_frame()
        frame.attrs = {_KIND: text}
        write_parquet(path, frame)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """The result in a file that `save` wrote.

        Raises:
            InputError: a file that cannot be read, or that holds something else.
            MissingExtraError: Parquet without pyarrow.
        """
        path = Path(path)
        try:
            text = _read_parquet_text(path) if _is_parquet(path) else path.read_text(encoding="utf-8")
            found = json.loads(text, object_hook=_from_json)
            kind, version = found[_KIND], found["format"]
        except OSError as error:
            raise InputError(f"cannot read {path}: {error.strerror or error}") from None
        except (ValueError, KeyError, TypeError, RecursionError):
            raise InputError(f"{path} holds no result; expected a file that {cls.__name__}.save wrote") from None
        if kind != cls.__name__:
            raise InputError(f"{path} holds a {kind}, not a {cls.__name__}; read it with zc.{kind}.load")
        if version != _FORMAT:
            raise InputError(f"{path} has format {version!r}, but this version of zerocost reads format {_FORMAT}")
        try:
            return cls.from_dict(found["values"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(f"{path} is damaged: {type(error).__name__}: {error}") from None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Result) or type(other) is not type(self):
            return NotImplemented
        return bool(_to_json(self.to_dict()) == _to_json(other.to_dict()))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        shown = self._shown()
        if shown.empty:
            return self._headline()
        table = shown.rename(index=_shorten).to_string(
            max_rows=_MOST_ROWS, formatters=_formatters(shown), na_rep=MISSING, max_colwidth=60, index_names=False
        )
        return f"{self._headline()}\n{table}"

    def _repr_html_(self) -> str:
        shown = self._shown()
        headline = f'<p style="overflow-wrap:anywhere">{html.escape(self._headline())}</p>'
        table = (
            ""
            if shown.empty
            else shown.rename(index=_shorten).to_html(
                max_rows=_MOST_ROWS, formatters=_formatters(shown), na_rep=MISSING, border=0, index_names=False
            )
        )
        return f'{headline}<div style="max-width:100%;overflow-x:auto">{table}</div>'


def frame_to_dict(frame: pd.DataFrame) -> dict[str, Any]:
    """A table as plain values, with the types of its columns."""
    return frame.to_dict("tight") | {"dtypes": [str(dtype) for dtype in frame.dtypes]}


def frame_from_dict(values: dict[str, Any]) -> pd.DataFrame:
    """The table that `frame_to_dict` described.

    >>> table = pd.DataFrame({"snip": [0.5, math.nan]}, index=pd.Index(["a", "b"], name="candidate"))
    >>> frame_from_dict(frame_to_dict(table)).equals(table)
    True
    """
    index = values["index"]
    if len(values["index_names"]) > 1:
        index = [tuple(key) for key in index]
    frame = pd.DataFrame.from_dict({**values, "index": index}, orient="tight")
    return frame.astype(dict(zip(values["columns"], values["dtypes"], strict=True)))


def _shorten(name: object) -> object:
    """A row's name, short enough to show."""
    return shorten(name, 60) if isinstance(name, str) else name


def _formatters(frame: pd.DataFrame) -> dict[Any, Any]:
    """How the numbers of each column are written."""
    return {name: formatter_for(str(name)) for name in frame.select_dtypes("float")}


def _is_parquet(path: Path) -> bool:
    """Whether a result's file is Parquet; `InputError` where its suffix is neither that nor JSON's."""
    if path.suffix not in (".json", ".parquet"):
        raise InputError(f"a result is kept in a .json or .parquet file, but got {path}")
    if path.suffix == ".parquet":
        check_parquet()
    return path.suffix == ".parquet"


def write_parquet(path: Path, frame: pd.DataFrame) -> None:
    """Write a table to a file, which is replaced as a whole."""
    replace_file(path, lambda part: frame.to_parquet(part, engine="pyarrow"))


def check_parquet() -> None:
    """`MissingExtraError` where Parquet can be neither written nor read."""
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("Parquet needs the extra parquet: pip install 'zerocost[parquet]'") from error


def _read_parquet_text(path: Path) -> str:
    """What `save` wrote into the metadata of a Parquet file."""
    import pyarrow.parquet as pq

    attributes = json.loads((pq.read_schema(path).metadata or {}).get(b"PANDAS_ATTRS", b"{}"))
    return str(attributes[_KIND])


def _to_json(value: Any) -> Any:
    """A value as JSON holds it: numbers that are not finite as {"float": "nan"}, what JSON does not know as text."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else {"float": str(float(value))}
        case Mapping():
            return {str(key): _to_json(one) for key, one in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_to_json(one) for one in value]
        case np.generic():
            return _to_json(value.item())
        case _:
            return str(value)


def _from_json(value: dict[str, Any]) -> Any:
    """A number that `_to_json` wrote as {"float": …}, or the value itself."""
    return float(value["float"]) if value.keys() == {"float"} else value
