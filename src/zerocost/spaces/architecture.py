"""An architecture of a space."""

from __future__ import annotations

from dataclasses import dataclass, field

from zerocost.base.errors import InputError

Value = str | int | float | bool | None


@dataclass(frozen=True, order=True)
class Architecture:
    """One architecture of a space: its exact text, and the choices that made it.

    Architectures compare, hash and sort by their text alone, and `space.parse(text)` gives an equal one back.

    Attributes:
        text: the benchmark's own string where there is one.
        choices: (name, value) pairs in the order they were made.

    >>> a = Architecture("depth=3,norm=batch", (("depth", 3), ("norm", "batch")))
    >>> str(a), dict(a.choices)["depth"]
    ('depth=3,norm=batch', 3)
    """

    text: str
    choices: tuple[tuple[str, Value], ...] = field(compare=False, repr=False)

    def __str__(self) -> str:
        return self.text


def check_architecture(arch: object) -> Architecture:
    """The architecture itself; `InputError` for a text or anything else in its place."""
    if not isinstance(arch, Architecture):
        raise InputError(
            f"an Architecture is expected, as space.parse(text) or space.sample(rng) gives, but got {arch!r}"
        )
    return arch


def check_text(text: object) -> str:
    """The text itself; `InputError` for an architecture or anything else in its place."""
    if not isinstance(text, str):
        raise InputError(f"the text of an architecture is expected, but got {text!r}")
    return text
