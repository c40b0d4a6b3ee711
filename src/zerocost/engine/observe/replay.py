"""Runs a network once more without watchers, looking only at the calls that mattered when each was shown to them."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from zerocost.engine.calls.call import as_call
from zerocost.engine.calls.functions import Function
from zerocost.engine.modes.call_mode import CallMode, group_norm
from zerocost.engine.observe.observer import Observer
from zerocost.engine.watch.maps import Features, LastFeatures
from zerocost.engine.watch.variances import mean_variance


class Replay(CallMode):
    """Reads the last map, and the variances of BatchNorms, of the calls that an observer saw them in.

    Args:
        observer: what saw them.

    Attributes:
        features: the last map.
        variances: the mean running variance of each BatchNorm.
    """

    def __init__(self, observer: Observer) -> None:
        super().__init__(observer.originals)
        self.scene, self.observer = observer.scene, observer
        watcher = observer.watchers.get(LastFeatures)
        self.last = watcher.last if isinstance(watcher, LastFeatures) and not watcher.problem else None
        self.place, self.differs = 0, False
        self.features: Tensor | None = None
        self.variances: list[Tensor] = []

    @property
    def possible(self) -> bool:
        """Whether it is known which calls to look at."""
        return isinstance(self.last, Features) and self.last.call is not None and not self.scene.normalisers

    @property
    def same(self) -> bool:
        """Whether the network has called the same functions, so that what was read counts."""
        return not self.differs and self.place == len(self.scene.ran)

    def unrolled(self, function: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Function | None:
        return self.observer.unrolled(function, args, kwargs)

    def call(self, function: Function, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        result = (group_norm if function is F.group_norm else function)(*args, **kwargs)
        self.differs = self.differs or self.scene.ran[self.place : self.place + 1] != [function]
        if not self.differs:
            self._read(function, name, args, kwargs, result)
        self.place += 1
        return result

    def _read(self, function: Function, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        assert isinstance(self.last, Features)
        norm, last = self.place in self.scene.batch_norms, self.place == self.last.call
        if not norm and not last:
            return
        with torch.inference_mode(False), torch.no_grad():
            if norm:
                self.variances.append(mean_variance(as_call(function, name, args, kwargs)))
            if last and result.shape == self.last.shape:
                found = self.last.read(result)
                self.features = None if found is None else found.detach().clone()
        self.differs = last and self.features is None
