"""Images and labels in a numpy .npz file."""

from __future__ import annotations

import zipfile
import zlib

import numpy as np

from zerocost.base.errors import InputError
from zerocost.data.paths import parse_path
from zerocost.data.tensors import TensorData, as_inputs, as_targets, standardise

_KEYS = {"images": "labels", "x": "y", "x_train": "y_train"}


def load_npz(argument: str) -> TensorData:
    """The arrays named `images` and `labels`, else `x` and `y`, else `x_train` and `y_train`; labels may be absent.

    uint8 images are scaled to [0, 1] and standardised, other arrays keep their values. Pickled objects are refused.

    Args:
        argument: path of the file.

    Raises:
        InputError: the file is missing, is not an .npz file, or lacks these arrays.
    """
    path = parse_path(argument, "npz:PATH")
    try:
        with path.open("rb") as stream:
            file = np.load(stream, allow_pickle=False)
            if not isinstance(file, np.lib.npyio.NpzFile):
                raise InputError(f"{path} holds a single array, not the named arrays of an .npz file; use numpy.savez")
            key = next((key for key in _KEYS if key in file), None)
            if key is None:
                wanted = ", ".join(f"{x} and {y}" for x, y in _KEYS.items())
                raise InputError(f"{path} has the arrays {', '.join(file) or 'none'}; expected one pair of {wanted}")
            images, labels = file[key], file.get(_KEYS[key])
    except InputError:
        raise
    except (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{path} is not a readable .npz file of plain arrays: {error}") from error
    inputs = as_inputs(images)
    targets = None if labels is None else as_targets(labels, len(inputs))
    return standardise(inputs, targets) if images.dtype == np.uint8 else TensorData(inputs, targets)
