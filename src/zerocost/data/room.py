"""Whether there is room in memory for what is asked for, before it is asked for."""

from __future__ import annotations

import os

from zerocost.base.errors import InputError

_MOST_VALUES = 10**8
"""Values that a random sample may have."""


def check_room(count: int, what: str) -> None:
    """`InputError` for more bytes than the machine has memory, with what they would be for.

    >>> check_room(10**18, "a batch of 10")
    Traceback (most recent call last):
    zerocost.base.errors.InputError: a batch of 10 takes 1,000,000,000 GB, but this machine has ... GB of memory; ...
    """
    memory = _memory_size()
    if count > memory:
        gigabytes, there = f"{count / 1e9:,.0f}", f"{memory / 1e9:,.0f}"
        raise InputError(f"{what} takes {gigabytes} GB, but this machine has {there} GB of memory; ask for less")


def check_sample(values: int, usage: str) -> None:
    """`InputError` for a random sample of more than `_MOST_VALUES` values."""
    if values > _MOST_VALUES:
        raise InputError(f"a sample of {values:,} values is too large, at most {_MOST_VALUES:,} are possible; {usage}")


def _memory_size() -> int:
    """The machine's memory in bytes; 1 TB where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 10**12
