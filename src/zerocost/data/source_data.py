"""What the data of a source can do besides giving samples: be split, and be read for a task or as other data is."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.utils.data import Dataset, Subset


class SourceData(Dataset[Any]):
    """Data that a source reads. Subclasses replace what they do otherwise.

    Attributes:
        task: the name of the task that the targets are for, where that is certain.
        gap: of data in an order, whose end a split holds out, the samples left out before that; None without an order.
    """

    task: str | None = None
    gap: int | None = None

    def for_task(self, task: str) -> SourceData:
        """The data with its targets read for a task."""
        return self

    def parts(self, train: Tensor, validation: Tensor) -> tuple[Dataset[Any], Dataset[Any]]:
        """Two parts of the samples, standardised by the first if at all."""
        return Subset(self, train.tolist()), Subset(self, validation.tolist())

    def beside(self, other: Any) -> tuple[Dataset[Any], Dataset[Any]]:
        """This data and other of its class, read and standardised as this is."""
        return self, other
