"""What a run leaves on disk: enough to read it again, or to go on with it after a kill."""

from __future__ import annotations

import hashlib
import json
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from zerocost.train.run import Epoch, Run


class Folder:
    """The folder of one run: `last.ckpt` (Lightning's), `best.pt` (weights of the best epoch), `run.json` (the result).

    Every file is replaced as a whole, so that a kill never leaves half of one, and says under which `settings` it was
    made: a run made under others is not taken for this one.
    """

    def __init__(self, path: Path, settings: dict[str, Any]) -> None:
        self.path, self.settings = path, settings
        self.last, self.best, self.result = (path / name for name in ("last.ckpt", "best.pt", "run.json"))

    def finished(self) -> Run | None:
        """The finished run, if there is one."""
        try:
            record = json.loads(self.result.read_text(encoding="utf-8"))
            if record["settings"] != self.settings or not self.best.exists():
                return None
            return Run.from_dict(record["run"] | {"checkpoint": self.best})
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def unfinished(self) -> list[Epoch]:
        """The epochs that `last.ckpt` was saved after; empty when there is nothing to go on with."""
        try:
            record = torch.load(self.last, map_location="cpu", weights_only=True)["zerocost"]
            if record["settings"] != self.settings or not self.best.exists():
                return []
            return [Epoch(**epoch) for epoch in record["epochs"]]
        except (OSError, EOFError, RuntimeError, pickle.UnpicklingError, KeyError, TypeError):
            return []

    def clear(self) -> None:
        """Make the folder where it is missing, and take an older run's files away."""
        self.path.mkdir(parents=True, exist_ok=True)
        for file in (self.result, self.last, self.best):
            file.unlink(missing_ok=True)

    def go_on(self) -> None:
        """Take the result of a stopped run away: it says nothing of the epochs to come, which change the weights."""
        self.result.unlink(missing_ok=True)

    def save_best(self, weights: dict[str, Tensor]) -> None:
        """Keep the weights of the best epoch so far."""
        weights = {name: tensor.detach().cpu() for name, tensor in weights.items()}
        replace(self.best, lambda part: torch.save(weights, part))

    def save_last(self, save: Callable[[Path], object]) -> None:
        """Keep the state after an epoch, which `save` writes to the path it is given."""
        replace(self.last, save)

    def save_result(self, run: Run) -> None:
        """Keep a finished run."""
        text = json.dumps({"settings": self.settings, "run": run.to_dict()}, indent=1)
        replace(self.result, lambda part: part.write_text(text, encoding="utf-8"))


def slug(name: str) -> str:
    """A folder name for a candidate: what is legible of its name, and a hash that keeps it apart from others.

    >>> slug("|nor_conv_3x3~0|+|none~0|")
    'nor_conv_3x3-0-none-0-a330bdab'
    """
    legible = re.sub(r"[^A-Za-z0-9_.]+", "-", name).strip("-.")[:40]
    return f"{legible}-{hashlib.blake2b(name.encode(), digest_size=4).hexdigest()}".lstrip("-")


def replace(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file as a whole or not at all: `write` is given another path, which then takes its place."""
    part = path.with_name(f"{path.name}.part")
    write(part)
    part.replace(path)
