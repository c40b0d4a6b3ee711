"""Files that are written: checked before the work, and replaced as a whole or not at all."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from zerocost.base.errors import DiskFullError, InputError, ZerocostError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_ROOM = 2**16
"""Bytes with fewer of which a disk is full."""
_FILES = {".csv", ".html", ".json", ".onnx", ".parquet", ".pdf", ".png", ".pt", ".pth", ".safetensors", ".svg", ".tex"}
"""Suffixes that promise a file of that kind."""


def write_error(target: object, error: OSError) -> ZerocostError:
    """What to raise where `target` cannot be written: `DiskFullError` if the disk is full, else `InputError`.

    >>> write_error("a.html", PermissionError(errno.EACCES, "Permission denied"))
    InputError('cannot write a.html: Permission denied')
    """
    kind = DiskFullError if error.errno in _FULL else InputError
    return kind(f"cannot write {target}: {error.strerror or error}")


def replace_file(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file as a whole or not at all: `write` writes to another path, which then replaces it.

    What is no regular file, such as `/dev/stdout`, is written to directly. Libraries have errors of their own for a
    full disk, or fail on the way out of one, so that any error is taken for that where there is no room.

    Raises:
        InputError: it cannot be written.
        DiskFullError: the disk is full.
    """
    try:
        if path.exists() and not path.is_file():
            write(path)
            return
        part = path.with_name(f"{path.name}.part")
        try:
            write(part)
            part.replace(path)
        except Exception as error:
            if isinstance(error, OSError) or not _is_full(path.parent, error):
                raise
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise write_error(path, error) from None


def _is_full(folder: Path, error: BaseException) -> bool:
    """Whether what was raised while a file was written in a folder comes from a full disk."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in _FULL:
            return True
        cause = cause.__cause__ or cause.__context__
    return shutil.disk_usage(folder).free < _ROOM


def write_text(path: str | Path, text: str) -> None:
    """Write text as UTF-8, with `replace_file`."""
    replace_file(Path(path), lambda part: part.write_bytes(text.encode("utf-8", errors="replace")))


def make_folder(path: Path) -> None:
    """Make a folder, and those above it, where it is missing; `InputError` or `DiskFullError` where that cannot be."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise write_error(path, error) from None


def check_file(path: str | Path | None) -> None:
    """`InputError` for a file that could not be written: a folder, in no folder, or without permission."""
    if path is None:
        return
    path = Path(path)
    if path.is_dir():
        raise InputError(f"cannot write {path}: it is a folder; give the name of a file")
    folder = path.resolve().parent
    if not folder.is_dir():
        raise InputError(f"cannot write {path}: there is no folder {folder}")
    _check_permission(path if path.exists() else folder)


def check_kind(path: str | Path, expected: str) -> None:
    """`InputError` for something new of a name that promises a file of another kind.

    >>> check_kind("figure.pdf", "a folder")
    Traceback (most recent call last):
    zerocost.base.errors.InputError: expected a folder, but figure.pdf is the name of a .pdf file; give another name
    """
    path = Path(path)
    if path.suffix.lower() in _FILES and not path.exists():
        raise InputError(f"expected {expected}, but {path} is the name of a {path.suffix} file; give another name")


def check_folder(path: str | Path | None) -> None:
    """`InputError` for a folder that could not be written to or made: a file, in a file, or without permission; or one
    that is named like a file.
    """
    if path is None:
        return
    check_kind(path, "a folder")
    existing = next(place for place in (Path(path).resolve(), *Path(path).resolve().parents) if place.exists())
    if not existing.is_dir():
        raise InputError(f"cannot write to the folder {path}: {existing} is a file")
    _check_permission(existing)


def _check_permission(path: Path) -> None:
    """`InputError` for what may not be written to."""
    if not os.access(path, os.W_OK):
        raise InputError(f"cannot write to {path}: permission denied")
