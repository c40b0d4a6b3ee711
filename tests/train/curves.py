"""What two trainings must agree in."""

from __future__ import annotations

from dataclasses import replace

from zerocost.train import Epoch, Run


def curve(run: Run) -> list[Epoch]:
    """The epochs without their times, which no seed decides."""
    return [replace(epoch, seconds=0.0) for epoch in run.epochs]
