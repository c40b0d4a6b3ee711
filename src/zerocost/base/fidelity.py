"""Fidelity: at what scale a network is built and scored."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple

from zerocost.base.errors import InputError, unknown
from zerocost.base.whole import is_whole


@dataclass(frozen=True)
class Fidelity:
    """A scaled-down sibling of a network and its batch; the default is full size.

    Args:
        width: multiplies channels, in (0, 1]; applied by `SearchSpace.build`.
        depth: multiplies layers, in (0, 1]; applied by `SearchSpace.build`.
        resolution: pixels a side of the images that are scored on, no more than they have; None leaves them as they
            are. `SearchSpace.build` also uses it, for networks made for one image size.
        batch: number of images scored on; None leaves it as it is.
        repeats: initialisations that a score is the mean over; None leaves it as it is.

    Raises:
        InputError: a value outside these ranges.

    >>> small = Fidelity(width=0.5, resolution=16)
    >>> str(small)
    'width=0.5,resolution=16'
    >>> small.channels(64), small.layers(3)
    (32, 3)
    """

    width: float = 1.0
    depth: float = 1.0
    resolution: int | None = None
    batch: int | None = None
    repeats: int | None = None

    def __post_init__(self) -> None:
        for name in ("width", "depth"):
            factor = getattr(self, name)
            if not isinstance(factor, int | float) or not 0 < factor <= 1:
                raise InputError(f"fidelity {name} must be a number above 0 and at most 1, but got {factor!r}")
            object.__setattr__(self, name, float(factor))
        for name in ("resolution", "batch", "repeats"):
            count = getattr(self, name)
            if count is not None and not is_whole(count):
                raise InputError(f"fidelity {name} must be a positive whole number or None, but got {count!r}")

    def channels(self, full: int, *, multiple: int = 1) -> int:
        """`full` channels scaled by `width`: a multiple of `multiple`, at least 4 and never above `full`.

        >>> Fidelity(width=0.25).channels(20), Fidelity(width=0.25).channels(20, multiple=4)
        (5, 4)
        >>> Fidelity(width=0.01).channels(20)
        4
        """
        scaled = math.floor(full * self.width / multiple + 0.5) * multiple
        least = math.ceil(4 / multiple) * multiple
        return min(full, max(least, scaled))

    def layers(self, full: int) -> int:
        """`full` layers scaled by `depth`, rounded, at least 1 and never above `full`.

        >>> Fidelity(depth=0.5).layers(5), Fidelity(depth=0.01).layers(5)
        (3, 1)
        """
        return min(full, max(1, math.floor(full * self.depth + 0.5)))

    def __str__(self) -> str:
        given = [(f.name, getattr(self, f.name)) for f in fields(self) if getattr(self, f.name) != f.default]
        return ",".join(f"{name}={value}" for name, value in given) or "full"

    @classmethod
    def parse(cls, text: str) -> Fidelity:
        """The fidelity that `text` names: in the form `str` gives, by the name of a space in `PRESETS`, or in a .json
        file of `fidelity.calibrate`.

        Raises:
            InputError: any other text or file.

        >>> Fidelity.parse("width=0.5,batch=32")
        Fidelity(width=0.5, depth=1.0, resolution=None, batch=32, repeats=None)
        >>> Fidelity.parse("full") == FULL
        True
        """
        text = PRESETS.get(text.strip(), text.strip())
        if text.endswith(".json"):
            return _calibrated(Path(text))
        settings: dict[str, float | int] = {}
        kinds = {"width": float, "depth": float, "resolution": int, "batch": int, "repeats": int}
        for item in text.split(",") if text != "full" else []:
            name, equals, number = (part.strip() for part in item.partition("="))
            if not equals:
                raise InputError(
                    f"a fidelity reads 'full', like 'width=0.5,resolution=16', or as the name of a space with one that "
                    f"was measured ({', '.join(PRESETS)}), but got {item!r} in {text!r}"
                )
            if name not in kinds:
                raise unknown("fidelity setting", name, kinds)
            if name in settings:
                raise InputError(f"fidelity {name} is given twice in {text!r}; give it once")
            try:
                settings[name] = kinds[name](number)
            except ValueError as error:
                kind = "whole number" if kinds[name] is int else "number"
                raise InputError(f"fidelity {name} must be a {kind}, but got {number!r}") from error
        return cls(**settings)  # type: ignore[arg-type]


FULL = Fidelity()
PRESETS = {
    "bert": "width=0.25,batch=8",
    "cnn": "width=0.5,resolution=16,batch=16",
    "darts": "width=0.25,resolution=16,batch=16",
    "gpt": "width=0.25,depth=0.5,batch=8",
    "macro": "width=0.5,batch=16",
    "nasbench101": "width=0.25,depth=0.2,resolution=8,batch=16",
    "nasbench201": "width=0.5,depth=0.2,resolution=16,batch=32",
    "nats_size": "width=0.5,batch=16",
    "pit": "width=0.25,resolution=64,batch=8",
    "transnas_macro": "width=0.5,batch=16",
    "transnas_micro": "width=0.5,batch=16",
    "vit": "width=0.25,resolution=64,batch=8",
}
"""For each space the cheapest fidelity that was measured to rank as full size does, on the benchmark's kind of data."""
_RANKED_BY: dict[str, list[str]] = {
    "nasbench201": ["meco_opt", "flops", "naswot", "az_expressivity"],
    "vit": ["meco_opt", "az_trainability", "flops"],
}
"""The proxies that do so in place of the default."""
_NUMBERS = ("kendall", "low", "high", "networks", "cost", "wanted")
"""What a calibration says of its fidelity; see `zerocost.fidelity.Calibrated`."""


def check_space(given: object, space: str, code: str) -> None:
    """`InputError` for a fidelity among those given that was measured in another space: a preset, or a .json file of
    `fidelity.calibrate`. Spaces differ by name, and those of the user's by code; files of older versions have no code.
    """
    for text in (part.strip() for part in split_fidelities(given) if isinstance(part, str)):
        if text in PRESETS or text.endswith(".json"):
            measured = {"space": text, "code": ""} if text in PRESETS else _read(Path(text))["settings"]
            of = measured["space"]
            if of != space or measured.get("code", code) != code:
                known = space if of != space else "another of that name, or was edited since"
                raise InputError(
                    f"{text} holds a fidelity of the space {of}, but the space is {known}; calibrate that one, or give "
                    "the fidelity itself"
                )


def as_fidelity(given: object) -> Fidelity:
    """A fidelity, or that which a text names; `InputError` for anything else."""
    if isinstance(given, Fidelity):
        return given
    if not isinstance(given, str):
        raise InputError(f"a fidelity is a zerocost.Fidelity, or a text such as 'width=0.5', but got {given!r}")
    return Fidelity.parse(given)


def as_fidelities(given: object) -> tuple[Fidelity, ...]:
    """The fidelities of a sequence, or of a text; `InputError` for anything else.

    >>> [str(one) for one in as_fidelities("width=0.5 > full")]
    ['width=0.5', 'full']
    """
    return tuple(map(as_fidelity, split_fidelities(given)))


def split_fidelities(given: object) -> list[Any]:
    """The fidelities of a sequence, or of a text such as 'width=0.5 > full', one by one."""
    if isinstance(given, str):
        return list(given.split(">"))
    return list(given) if isinstance(given, Iterable) else [given]


class _Reduced(NamedTuple):
    """What ranks at a measured fidelity.

    Attributes:
        proxies: the proxies.
        stands_for: what they rank in place of, as `str` of a combination; None for the default.
    """

    proxies: list[str]
    stands_for: str | None


def ranked_by(given: object) -> _Reduced | None:
    """What ranks at a fidelity that was measured: a preset, or a .json file of `fidelity.calibrate`; None for others.

    >>> ranked_by("width=0.5") is None
    True
    """
    parts = split_fidelities(given)
    text = parts[0].strip() if len(parts) == 1 and isinstance(parts[0], str) else ""
    if text.endswith(".json"):
        found = _read(Path(text))
        proxies, settings = found.get("proxies"), found.get("settings", {})
        return _Reduced(proxies, settings.get("score", "")) if proxies else None
    return _Reduced(_RANKED_BY[text], None) if text in _RANKED_BY else None


def check_used(name: str, given: int | None, fidelities: Iterable[Fidelity]) -> None:
    """`InputError` for a `batch` or `repeats` in whose place each fidelity has another number.

    >>> check_used("batch", 32, [Fidelity(batch=16), FULL])
    """
    own = [getattr(one, name) for one in fidelities]
    if given is not None and None not in own and given not in own:
        raise InputError(
            f"{name}={given} would not be used, as the fidelity says {name}={own[-1]}; leave {name} out, or give the "
            f"fidelity without its {name}, as in width=0.5"
        )


def _calibrated(path: Path) -> Fidelity:
    """The fidelity in a file that a calibration wrote."""
    text = _read(path)["fidelity"]
    try:
        return Fidelity.parse(text)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _read(path: Path) -> dict[str, Any]:
    """What a calibration wrote to a file; `InputError` for any other file."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read the fidelity in {path}: {error.strerror or error}") from None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or not isinstance(found.get("fidelity"), str) or found["fidelity"].endswith(".json"):
        raise InputError(f"{path} holds no fidelity; expected a file that `zerocost calibrate --save` wrote")
    settings = found.get("settings")
    proxies = found.get("proxies", [])
    if not isinstance(proxies, list) or not all(isinstance(name, str) for name in proxies):
        raise InputError(f"{path} is no file that `zerocost calibrate --save` wrote: its proxies are {proxies!r}")
    kinds = [(found, name, (int, float, type(None))) for name in _NUMBERS]
    for held, name, allowed in (*kinds, (settings if isinstance(settings, dict) else {}, "space", (str,))):
        if type(held.get(name, ...)) not in allowed:
            value = repr(held[name]) if name in held else "missing"
            raise InputError(
                f"{path} is no file that `zerocost calibrate --save` wrote: its {name} is {value}; calibrate anew, or "
                "give the fidelity itself, as in width=0.5"
            )
    return found
