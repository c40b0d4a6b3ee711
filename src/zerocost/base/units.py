"""The units of quantities, and the units that conditions may be written in."""

from __future__ import annotations

from zerocost.base.errors import InputError

_OF_WORDS = {"memory": "B", "flash": "B", "cache": "B", "latency": "ms", "energy": "mJ"}
"""The unit of a quantity, by the last word of its name."""
_COUNTS = ("params", "flops", "depth", "cost")
"""The last words of the names of what costs something and has no unit."""
_PRECISIONS = ("_fp16", "_int8")
_PREFIXES = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9}
_KINDS: dict[str, dict[str, float]] = {
    "a number": {prefix: factor for prefix, factor in _PREFIXES.items() if prefix},
    "a size in bytes": {f"{prefix}B": factor for prefix, factor in _PREFIXES.items()}
    | {"KiB": 2.0**10, "MiB": 2.0**20, "GiB": 2.0**30},
    "a time": {"us": 1e-6, "ms": 1e-3, "s": 1.0},
    "an energy": {"uJ": 1e-6, "mJ": 1e-3, "J": 1.0},
}
_KIND_OF = {unit: kind for kind, units in _KINDS.items() for unit in units}
UNITS = tuple(sorted(_KIND_OF, key=lambda unit: (-len(unit), unit)))
"""Every unit that a number in a condition may have, longer ones first."""


def unit_of(name: str) -> str:
    """The unit of the values of a quantity; empty for a count or a score.

    >>> [unit_of(name) for name in ("peak_memory_int8", "raspi4_latency", "training_memory(batch=8)", "params")]
    ['B', 'ms', 'B', '']
    """
    return _OF_WORDS.get(_last_word(name), "")


def is_cost(name: str) -> bool:
    """Whether a quantity is one of which less is better, by the last word of its name.

    >>> is_cost("flash_int8"), is_cost("non_embedding_params"), is_cost("snip")
    (True, True, False)
    """
    return bool(unit_of(name)) or _last_word(name) in _COUNTS


def in_unit_of(names: tuple[str, ...], value: float, unit: str) -> float:
    """A number that has a unit, in the unit of the quantities that it is compared with.

    Raises `InputError` where none of them is of its kind.

    >>> in_unit_of(("latency",), 0.5, "s"), in_unit_of(("flash",), 2, "kB"), in_unit_of(("params",), 3, "M")
    (500.0, 2000.0, 3000000.0)
    """
    kind = _KIND_OF[unit]
    scale = _KINDS[kind]
    if kind == "a number":
        return value * scale[unit]
    own = next((known for name in names if (known := unit_of(name)) in scale), None)
    if own is None:
        compared = ", ".join(f"{name} ({_KIND_OF.get(unit_of(name), 'a number')})" for name in names) or "no quantity"
        remedy = "leave the unit out, or check the name"
        raise InputError(f"{value:g}{unit} is {kind}, but it is compared with {compared}; {remedy}")
    return value * scale[unit] / scale[own]


def _last_word(name: str) -> str:
    """The last word of a quantity's name, without its options and its precision."""
    base = name.partition("(")[0]
    for precision in _PRECISIONS:
        base = base.removesuffix(precision)
    return base.rpartition("_")[2]
