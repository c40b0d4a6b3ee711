"""Data to validate on, read as the data that is trained on."""

from __future__ import annotations

from collections.abc import Sequence

from zerocost.base.errors import InputError


def find_places(names: Sequence[str], there: Sequence[str], what: str, ours: bool = True) -> list[int]:
    """The place of each name among those that are there; `InputError` for one that is not.

    Args:
        names: what is looked for.
        there: where it is looked for.
        what: what the names are of.
        ours: whether the names are those of the training data, or else of the validation data.

    >>> find_places(["wind", "sun"], ["sun", "wind"], "column")
    [1, 0]
    """
    missing = next((name for name in names if name not in there), None)
    if missing is not None:
        parts = ("training", "validation") if ours else ("validation", "training")
        raise InputError(
            f"the {parts[0]} data has the {what} {missing!r}, which the {parts[1]} data lacks; it has "
            f"{', '.join(map(repr, there)) or 'none'}"
        )
    return [there.index(name) for name in names]
