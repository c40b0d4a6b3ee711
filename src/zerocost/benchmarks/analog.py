"""AnalogNAS-Bench: all NAS-Bench-201 cells trained again on CIFAR-10, in the package `analog-nasbench`."""

from __future__ import annotations

import importlib.metadata
import io
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from zerocost.base.errors import InputError
from zerocost.benchmarks.base import MEAN, Query
from zerocost.benchmarks.table import Row
from zerocost.spaces.base import SearchSpace
from zerocost.spaces.nasbench201 import FORM

_PACKAGE, _FILE, _MODULE = "analog-nasbench", "analognasbench/data.anb", "analognasbench.data"
_OPERATIONS = ("skip_connect", "none", "nor_conv_3x3", "nor_conv_1x1", "avg_pool_3x3")
"""By number in a key."""
_ORDER = (0, 1, 3, 2, 4, 5)
"""The place in a key of each edge of the text; the edges of a key are 1←0, 2←0, 3←0, 2←1, 3←1, 3←2."""


def installed_file() -> Path:
    """The file in the installed package; `PackageNotFoundError` when it is not installed."""
    return Path(str(importlib.metadata.distribution(_PACKAGE).locate_file(_FILE)))


def read_anb(path: Path, space: SearchSpace, default: Query) -> Iterator[Row]:
    """The rows of the package's `data.anb`: `baseline_accuracy` and the accuracies on quantised and analog hardware.

    Accuracies are percentages on CIFAR-10's test images after 200 epochs, each from one training. The file is a pickle.
    It is read with stand-ins for its two classes; any other name in it is refused before it is looked up.

    Raises:
        InputError: the pickle names anything else, or the file has another form.
    """
    try:
        cells = _StandInUnpickler(path).load()
        for key, cell in cells.items():
            text = FORM.format(*[_OPERATIONS[key[place]] for place in _ORDER])
            values = {
                Query(default.dataset, metric, default.epochs, MEAN): _number(value)
                for metric, value in cell.facts.items()
                if metric != "architecture"
            }
            yield Row(text, values)
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{path} is not the data of {_PACKAGE}: {type(error).__name__}: {error}") from error


class _PickledObject:
    """Stands in for both classes of the package; `.facts` are the attributes of the pickled object."""

    __slots__ = ("facts",)

    def __init__(self) -> None:
        self.facts: dict[str, Any] = {}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.facts = state


_ADMITTED = {(_MODULE, "Architecture"), (_MODULE, "DriftMeasurement")}


class _StandInUnpickler(pickle.Unpickler):
    def __init__(self, path: Path) -> None:
        super().__init__(io.BytesIO(path.read_bytes()))
        self.path = path

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ADMITTED:
            raise InputError(
                f"{self.path} is refused: its pickle names {module}.{name}, which {_PACKAGE} does not need and which "
                "could run code; install the package anew"
            )
        return _PickledObject


def _number(value: float | _PickledObject) -> float:
    """An accuracy; of one measured repeatedly, the mean."""
    return float(value.facts["value"] if isinstance(value, _PickledObject) else value)
