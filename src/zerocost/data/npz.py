"""Inputs and targets in a numpy .npz file."""

from __future__ import annotations

import math
import zipfile
import zlib
from pathlib import Path

import numpy as np

from zerocost.base.errors import InputError
from zerocost.data.column_notes import log_notes
from zerocost.data.paths import parse_path
from zerocost.data.room import check_room
from zerocost.data.tensors import TensorData, as_inputs, as_targets, standardise

_KEYS = {"images": ("labels", "masks"), "inputs": ("targets",), "x": ("y",), "x_train": ("y_train",)}
"""By the name of the inputs, those that their targets may have."""


def load_npz(argument: str) -> TensorData:
    """The arrays named `images` and `labels` or `masks`, else `inputs` and `targets`, `x` and `y`, or `x_train` and
    `y_train`. Targets may be absent; a line on stderr then names the other arrays.

    uint8 images are scaled to [0, 1] and standardised, other arrays keep their values. Pickled objects are refused.

    Args:
        argument: path of the file.

    Raises:
        InputError: the file is missing, is not an .npz file, lacks these arrays, or promises more than it has.
    """
    path = parse_path(argument, "npz:PATH")
    try:
        with path.open("rb") as stream:
            file = np.load(stream, allow_pickle=False)
            if not isinstance(file, np.lib.npyio.NpzFile):
                raise InputError(f"{path} holds a single array, not the named arrays of an .npz file; use numpy.savez")
            key = next((key for key in _KEYS if key in file), None)
            if key is None:
                wanted = ", ".join(f"{x} and {' or '.join(y)}" for x, y in _KEYS.items())
                raise InputError(f"{path} has the arrays {', '.join(file) or 'none'}; expected one pair of {wanted}")
            target = next((name for name in _KEYS[key] if name in file), None)
            with zipfile.ZipFile(path) as archive:
                for name in (key, target):
                    if name is not None:
                        _check_array(archive, name, path)
            images, labels = file[key], None if target is None else file[target]
            others = [name for name in file if name != key]
    except InputError:
        raise
    except (OSError, EOFError, ValueError, NotImplementedError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{path} is not a readable .npz file of plain arrays: {error}") from error
    if labels is None and others:
        wanted = " or ".join(_KEYS[key])
        log_notes(str(path), [f"left out: {', '.join(others)} (targets of {key} are named {wanted})"])
    inputs = as_inputs(images)
    targets = None if labels is None else as_targets(labels, len(inputs))
    return standardise(inputs, targets) if images.dtype == np.uint8 else TensorData(inputs, targets)


def _check_array(archive: zipfile.ZipFile, name: str, path: Path) -> None:
    """`InputError` for an array whose header promises other bytes than follow it, or more than there is room for."""
    entry = archive.getinfo(f"{name}.npy")
    with archive.open(entry) as stream:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(stream)
        promised, there = math.prod(shape) * dtype.itemsize, entry.file_size - stream.tell()
    check_room(promised, f"array {name} in {path}, of shape {'×'.join(map(str, shape))},")
    if promised > there and not dtype.hasobject:
        raise InputError(f"array {name} in {path} is cut off: its header promises {promised:,} bytes, it has {there:,}")
