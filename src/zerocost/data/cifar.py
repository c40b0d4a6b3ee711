"""CIFAR-10 and CIFAR-100 in their official binary and python files, in a folder or still in the archive."""

from __future__ import annotations

import tarfile
import zlib
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np

from zerocost.base.errors import InputError
from zerocost.data.paths import parse_path
from zerocost.data.pickles import PickledArray, unpickle
from zerocost.data.tensors import TensorData, as_inputs, as_labels, describe_values, standardise

_PIXELS = 3 * 32 * 32
LARGEST = 2**28  # bytes; the largest official file has 50,000 records of 3,074 bytes

_Bytes = np.ndarray[Any, np.dtype[np.uint8]]


class _Layout(NamedTuple):
    """How one of the two data sets is stored; a binary file is named as the python file, with `.bin` after it."""

    title: str
    source: str
    classes: int
    label_bytes: int  # of a binary record; the last one is the label
    label_key: str  # of a python file
    files: dict[str, tuple[str, ...]]
    folders: tuple[str, ...]  # what the archives extract to


CIFAR10 = _Layout(
    title="CIFAR-10",
    source="cifar10",
    classes=10,
    label_bytes=1,
    label_key="labels",
    files={"train": tuple(f"data_batch_{i}" for i in range(1, 6)), "test": ("test_batch",)},
    folders=("cifar-10-batches-py", "cifar-10-batches-bin"),
)
CIFAR100 = _Layout(
    title="CIFAR-100",
    source="cifar100",
    classes=100,
    label_bytes=2,
    label_key="fine_labels",
    files={"train": ("train",), "test": ("test",)},
    folders=("cifar-100-python", "cifar-100-binary"),
)


def load_cifar(layout: _Layout, part: str, argument: str) -> TensorData:
    """The images (float32 3×32×32, standardised) and labels of a part, `"train"` or `"test"`.

    Python files are read by `unpickle`, which runs no code.

    Args:
        layout: of the data set.
        part: "train" or "test".
        argument: the extracted folder, the folder that holds it, or the .tar.gz, which is read in place.

    Raises:
        InputError: missing, damaged or refused files, and labels outside the classes.
    """
    suffix = "" if part == "train" else f"-{part}"
    path = parse_path(argument, f"{layout.source}{suffix}:PATH")
    files = _read_files(path, layout, layout.files[part])
    parts = [
        (_parse_binary if name.endswith(".bin") else _parse_python)(name, raw, layout) for name, raw in files.items()
    ]
    images, labels = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    targets = as_labels(labels, len(images))
    if int(targets.max()) >= layout.classes:
        outside = describe_values(targets[targets >= layout.classes])
        raise InputError(f"{path} has labels outside 0..{layout.classes - 1} of {layout.title}: {outside}")
    return standardise(as_inputs(images), targets)


def _read_files(path: Path, layout: _Layout, names: tuple[str, ...]) -> dict[str, bytes]:
    """The contents of the python files or, where they are not all there, of the binary files."""
    forms = (names, tuple(f"{name}.bin" for name in names))
    if path.is_dir():
        places = [path, *(path / folder for folder in layout.folders)]
        for place in places:
            for form in forms:
                if all((place / name).is_file() for name in form):
                    return {name: (place / name).read_bytes() for name in form}
        present = [place / name for place in places for form in forms for name in form if (place / name).is_file()]
        where = ", ".join(map(str, places))
        found = ", ".join(map(str, present))
    else:
        contents = _read_archive(path, layout.folders, {name for form in forms for name in form})
        for form in forms:
            if all(name in contents for name in form):
                return {name: contents[name] for name in form}
        where, found = str(path), ", ".join(contents)
    raise InputError(
        f"{layout.title} files are missing: looked for {', '.join(names)}, or for the same names ending in .bin, "
        f"in {where}; found {found or 'none of them'}"
    )


def _read_archive(path: Path, folders: tuple[str, ...], wanted: set[str]) -> dict[str, bytes]:
    """The wanted regular files of an archive, by name; nothing is written to disk and no link is followed."""
    contents = {}
    try:
        with tarfile.open(path, "r:*") as archive:
            for member in archive:
                name = PurePosixPath(member.name)
                if not member.isfile() or name.name not in wanted or name.parent.name not in ("", *folders):
                    continue
                if member.size > LARGEST:
                    raise InputError(f"{member.name} in {path} has {member.size} bytes, more than any CIFAR file")
                file = archive.extractfile(member)
                contents[name.name] = file.read() if file else b""
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        hint = f"; write npz:{path}" if path.suffix == ".npz" else f": {error}"
        raise InputError(f"{path} is neither a folder nor a readable .tar.gz archive{hint}") from error
    return contents


def _parse_binary(name: str, raw: bytes, layout: _Layout) -> tuple[_Bytes, _Bytes]:
    record = layout.label_bytes + _PIXELS
    if not raw or len(raw) % record:
        raise InputError(
            f"{name} has {len(raw)} bytes, which is not a whole number of {layout.title} records of {record} bytes; "
            "it is cut off or another file"
        )
    rows = np.frombuffer(raw, np.uint8).reshape(-1, record)
    return rows[:, layout.label_bytes :].reshape(-1, 3, 32, 32), rows[:, layout.label_bytes - 1]


def _parse_python(name: str, raw: bytes, layout: _Layout) -> tuple[_Bytes, np.ndarray[Any, Any]]:
    content = unpickle(raw, name)
    if not isinstance(content, dict):
        raise InputError(f"{name} holds a {type(content).__name__}, expected the dict of a {layout.title} file")
    entries = {key.decode(errors="replace") if isinstance(key, bytes) else key: value for key, value in content.items()}
    data, labels = entries.get("data"), entries.get(layout.label_key)
    if not isinstance(data, PickledArray) or not isinstance(labels, list):
        raise InputError(
            f"{name} must hold an array 'data' and a list {layout.label_key!r}, but its keys are "
            f"{', '.join(map(str, entries))}"
        )
    pixels = data.values
    if pixels.shape != (len(labels), _PIXELS) or not labels or not all(type(label) is int for label in labels):
        raise InputError(
            f"{name} must hold rows of {_PIXELS} bytes and a whole-number label for each, but 'data' has shape "
            f"{pixels.shape} and there are {len(labels)} labels"
        )
    return pixels.reshape(-1, 3, 32, 32), np.array(labels)
