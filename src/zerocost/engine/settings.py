"""How a pass is run: everything that a measurement depends on beside the network, the batch and the seed."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

from zerocost.base.errors import InputError, unknown
from zerocost.base.whole import is_whole
from zerocost.engine.options import format_options

CHOICES = {
    "mode": ("train", "eval"),
    "inputs": ("batch", "noise"),
    "initialisation": ("given", "gaussian", "kaiming"),
    "normalisation": ("identity", "kept"),
}


@dataclass(frozen=True)
class Settings:
    """The settings of a pass; proxies that ask for equal ones share it.

    Attributes:
        mode: "train" (BatchNorm uses the statistics of the batch) or "eval" (its running ones).
        inputs: "batch", or "noise": standard normal numbers in the shape of the batch.
        initialisation: weights as "given", or drawn anew: "gaussian" from N(0, 1), "kaiming" from N(0, 2 / fan-in);
            with either, biases are 0, scales of normalisation 1 and running statistics reset.
        samples: how many samples of the batch are used, the first ones; None for all.
        pixels: height and width of noise images; None for those of the batch.
        parts: the number of batches that one is cut into where gradients of several are compared.
        perturbation: the size of the Gaussian step away from an input.
        normalisation: in the flow pass, the "identity", or "kept".
        repeat: which of several repeats from different seeds.

    >>> Settings(mode="eval", samples=16)
    Settings(mode=eval, samples=16)
    >>> Settings(mode="test")
    Traceback (most recent call last):
    zerocost.base.errors.InputError: unknown mode 'test'. Known: eval, train
    """

    mode: str = "train"
    inputs: str = "batch"
    initialisation: str = "given"
    samples: int | None = None
    pixels: int | None = None
    parts: int = 2
    perturbation: float = 0.01
    normalisation: str = "identity"
    repeat: int = 0

    def __post_init__(self) -> None:
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise unknown(name, str(getattr(self, name)), choices)
        for name, least in (("samples", 1), ("pixels", 1), ("parts", 2), ("repeat", 0)):
            value = getattr(self, name)
            if not is_whole(value, least) and not (value is None and name in ("samples", "pixels")):
                raise InputError(f"{name} must be a whole number from {least}, got {value!r}")
        size = self.perturbation
        if not isinstance(size, int | float) or isinstance(size, bool) or not 0 < size < math.inf:
            raise InputError(f"perturbation must be a positive number, got {self.perturbation!r}")

    def __repr__(self) -> str:
        return f"Settings({format_options(self.changed)})"

    @property
    def changed(self) -> dict[str, Any]:
        """The settings that differ from the default."""
        return {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) != f.default}

    def only(self, relevant: Iterable[str]) -> Settings:
        """The relevant ones of these settings, and the default for the others.

        Which repeat it is matters where random numbers are drawn: for weights drawn anew, and where it is relevant.

        >>> Settings(mode="eval", samples=4, repeat=1).only(["mode"])
        Settings(mode=eval)
        """
        kept = {name: value for name, value in self.changed.items() if name in relevant}
        if "initialisation" in kept and self.repeat:
            kept["repeat"] = self.repeat
        return Settings(**kept)


DEFAULT = Settings()
NAMES = frozenset(f.name for f in fields(Settings)) - {"repeat"}
