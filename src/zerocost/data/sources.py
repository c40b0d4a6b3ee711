"""The table of data sources that a spec such as `cifar10:PATH` can name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from torch.utils.data import Dataset

from zerocost.base.errors import unknown
from zerocost.data.cifar import CIFAR10, CIFAR100, load_cifar
from zerocost.data.digits import load_digits
from zerocost.data.folder import load_folder
from zerocost.data.hard_digits import load_hard_digits
from zerocost.data.labelled import load_labelled
from zerocost.data.masks import load_masks
from zerocost.data.noise import load_noise
from zerocost.data.npz import load_npz
from zerocost.data.series import load_series
from zerocost.data.table import load_csv, load_parquet
from zerocost.data.text import load_text
from zerocost.data.tokens import load_tokens


class _Source(NamedTuple):
    """A data source.

    Attributes:
        load: reads the data, given what follows the first colon of a spec ("" if nothing).
        usage: how the spec is written.
        summary: what the data is.
    """

    load: Callable[[str], Dataset[Any]]
    usage: str
    summary: str


SOURCES: dict[str, _Source] = {
    "digits": _Source(load_digits, "digits[:SIZE]", "1,797 handwritten digits of scikit-learn, 3×32×32; needs no file"),
    "digits-hard": _Source(
        load_hard_digits, "digits-hard", "150 of the digits, shifted and noisy, 3×8×8; benchmark digits trained on them"
    ),
    "cifar10": _Source(
        partial(load_cifar, CIFAR10, "train"), "cifar10:PATH", "CIFAR-10 training images, folder or .tar.gz"
    ),
    "cifar10-test": _Source(
        partial(load_cifar, CIFAR10, "test"), "cifar10-test:PATH", "CIFAR-10 test images, folder or .tar.gz"
    ),
    "cifar100": _Source(
        partial(load_cifar, CIFAR100, "train"), "cifar100:PATH", "CIFAR-100 training images, folder or .tar.gz"
    ),
    "cifar100-test": _Source(
        partial(load_cifar, CIFAR100, "test"), "cifar100-test:PATH", "CIFAR-100 test images, folder or .tar.gz"
    ),
    "images": _Source(load_folder, "images:PATH[:SIZE]", "one folder of images a class, cropped square, 3×32×32"),
    "masks": _Source(load_masks, "masks:PATH[:SIZE]", "PATH/images and PATH/masks, a class for each pixel, 3×32×32"),
    "labels": _Source(
        load_labelled,
        "labels:FILE.csv[:SIZE]",
        "images named in a CSV, a column of 0 and 1 for each label, 3×32×32",
    ),
    "csv": _Source(load_csv, "csv:FILE:TARGET", "a table with the column to predict, a class or a number"),
    "parquet": _Source(load_parquet, "parquet:FILE:TARGET", "the same from a Parquet file; needs the extra parquet"),
    "series": _Source(
        load_series, "series:FILE:TARGET:LENGTH[:AHEAD]", "windows of rows of a CSV or Parquet file, and what follows"
    ),
    "text": _Source(load_text, "text:FILE[:LENGTH]", "bytes of a text, or token ids of a .npy file, 64 at a time"),
    "npz": _Source(
        load_npz,
        "npz:PATH",
        "arrays images and labels or masks (or inputs, targets; x, y; …) of a numpy .npz file",
    ),
    "noise": _Source(load_noise, "noise[:CxHxW[:CLASSES]]", "10,000 Gaussian inputs, 3x32x32, labelled if asked"),
    "tokens": _Source(
        load_tokens,
        "tokens[:LENGTH[:VOCAB[:TARGET]]]",
        "10,000 texts of 32 random token ids; the target is a number of classes, or `next`",
    ),
}


def open_source(spec: str) -> Dataset[Any]:
    """The dataset a spec names; `InputError` for an unknown source or one that cannot be read.

    >>> len(open_source("noise:1x8x8"))
    10000
    """
    name, _, argument = spec.partition(":")
    if name not in SOURCES:
        raise unknown("data source", name, SOURCES, "zc.data.SOURCES")
    return SOURCES[name].load(argument)
