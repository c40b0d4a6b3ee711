"""Whole numbers, as settings: True is none."""

from __future__ import annotations

from typing import TypeGuard

from zerocost.base.errors import InputError


def is_whole(value: object, least: int = 1) -> TypeGuard[int]:
    """Whether a value is a whole number of at least `least`.

    >>> is_whole(1), is_whole(0), is_whole(True), is_whole(1.0)
    (True, False, False, False)
    """
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def check_whole(name: str, value: object, least: int = 1) -> None:
    """`InputError`, with the name, for what is no whole number of at least `least`.

    >>> check_whole("top", 3)
    """
    if not isinstance(value, int) or isinstance(value, bool):
        raise InputError(f"{name} must be a whole number, but got {value!r}")
    if value < least:
        raise InputError(f"{name} must be at least {least}, but got {value}")
