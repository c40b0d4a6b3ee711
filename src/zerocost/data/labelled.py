"""Images with several labels each, from a CSV file that names them."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from zerocost.base.errors import InputError
from zerocost.data.alike import find_places
from zerocost.data.folder import Pictures, path_and_size
from zerocost.data.table import read_frame

_USAGE = "labels:FILE.csv:SIZE"


class _LabelledPictures(Pictures):
    """Pictures with a float32 vector, 1 for each label that applies and else 0; `classes` has the labels' names."""

    task = "multilabel"

    def __init__(self, paths: list[Path], targets: Tensor, labels: list[str], size: int) -> None:
        super().__init__(paths, size)
        self.targets, self.classes = targets, labels

    def target(self, index: int) -> Tensor:
        return self.targets[index]

    def align(self, other: _LabelledPictures) -> None:
        places = find_places(self.classes, other.classes, "label")
        other.targets, other.classes = other.targets[:, places], self.classes


def load_labelled(argument: str) -> _LabelledPictures:
    """Images named in the first column of a CSV file, relative to its folder, with a column of 0 and 1 for each label.

    Args:
        argument: FILE.csv or FILE.csv:SIZE, the size in pixels a side, 32 by default.

    Raises:
        InputError: no such file, a column of other values, or an image that is missing.
    """
    file, size = path_and_size(argument, _USAGE)
    frame = read_frame(file)
    names, labels = frame.iloc[:, 0].astype(str), frame.iloc[:, 1:]
    if labels.empty:
        raise InputError(f"{file} has one column; expected the image's file and a column of 0 and 1 for each label")
    for name, column in labels.items():
        if not column.isin([0, 1]).all():
            raise InputError(f"column {name!r} of {file} holds {column[~column.isin([0, 1])].iloc[0]}; expected 0 or 1")
    paths = [file.parent / name for name in names]
    missing = next((path for path in paths if not path.is_file()), None)
    if missing is not None:
        raise InputError(f"no such file: {missing} (from {file})")
    targets = torch.from_numpy(labels.to_numpy(dtype="float32"))
    return _LabelledPictures(paths, targets, [str(name) for name in labels], size)
