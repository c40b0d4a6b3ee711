"""The files of a run: enough to read it again, or to go on with it after it was killed."""

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

from zerocost.base.files import replace_file, write_text
from zerocost.train.run import Epoch, Run


def training_settings(checkpoint: Path) -> dict[str, Any]:
    """How the run that a checkpoint is of was trained; nothing where its folder does not say so."""
    try:
        found: dict[str, Any] = json.loads((checkpoint.parent / "run.json").read_text(encoding="utf-8"))["settings"]
    except (OSError, ValueError, KeyError):
        return {}
    return found


class RunFolder:
    """The folder of one run: `last.ckpt` (Lightning's), `best.pt` (weights of the best epoch), `run.json` (the result).

    Every file is replaced as a whole, so that a killed process never leaves half a file. Files record the `settings`
    of their run; those of a run with other settings are not used.
    """

    def __init__(self, path: Path, settings: dict[str, Any]) -> None:
        self.path, self.settings = path, settings
        self.last, self.best, self.result = (path / name for name in ("last.ckpt", "best.pt", "run.json"))

    def finished_run(self) -> Run | None:
        """The finished run, if there is one."""
        try:
            record = json.loads(self.result.read_text(encoding="utf-8"))
            if record["settings"] != self.settings or not self.best.exists():
                return None
            return Run.from_dict(record["run"] | {"checkpoint": self.best})
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def saved_epochs(self) -> list[Epoch]:
        """The epochs before `last.ckpt` was saved; empty if there is no run to go on with."""
        try:
            record = torch.load(self.last, map_location="cpu", weights_only=True)["zerocost"]
            if record["settings"] != self.settings or not self.best.exists():
                return []
            return [Epoch(**epoch) for epoch in record["epochs"]]
        except (OSError, EOFError, RuntimeError, pickle.UnpicklingError, KeyError, TypeError):
            return []

    def clear(self) -> None:
        """Create the folder if it is missing, and remove the files of an older run."""
        self.path.mkdir(parents=True, exist_ok=True)
        for file in (self.result, self.last, self.best):
            file.unlink(missing_ok=True)

    def discard_result(self) -> None:
        """Remove the result of a stopped run, which further epochs will change."""
        self.result.unlink(missing_ok=True)

    def save_best(self, weights: dict[str, Tensor]) -> None:
        """Keep the weights of the best epoch so far."""
        weights = {name: tensor.detach().cpu() for name, tensor in weights.items()}
        replace_file(self.best, lambda part: torch.save(weights, part))

    def save_last(self, save: Callable[[Path], object]) -> None:
        """Keep the state after an epoch; `save` writes it to a path."""
        replace_file(self.last, save)

    def save_result(self, run: Run) -> None:
        """Keep a finished run."""
        text = json.dumps({"settings": self.settings, "run": run.to_dict()}, indent=1)
        write_text(self.result, text)


def folder_name(name: str) -> str:
    """A folder name for a candidate: the letters and digits of its name, and a hash that makes it unique.

    >>> folder_name("|nor_conv_3x3~0|+|none~0|")
    'nor_conv_3x3-0-none-0-a330bdab'
    """
    legible = re.sub(r"[^A-Za-z0-9_.]+", "-", name).strip("-.")[:40]
    return f"{legible}-{hashlib.blake2b(name.encode(), digest_size=4).hexdigest()}".lstrip("-")
