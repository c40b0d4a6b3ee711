"""Eigenvalues and norms of what layers and blocks hand on."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from zerocost.base.errors import Failure
from zerocost.engine.calls.call import Call, Undo
from zerocost.engine.calls.functions import CASTS
from zerocost.engine.follow.places import SamplePlace
from zerocost.engine.follow.products import is_layout
from zerocost.engine.largest import largest_singular_value
from zerocost.engine.watch.base import Collector, Watcher, check_visible
from zerocost.engine.watch.blocks import Blocks


class FeedForwardSpectra(Collector):
    """For each feed-forward layer of tokens, the eigenvalues of the covariance of its hidden units, largest first."""

    signal = "feed_forward_spectra"
    meaning = "for each feed-forward layer of tokens, eigenvalues of the covariance of its hidden units"
    nothing_seen = "no feed-forward layer was seen: a linear layer on tokens, and an activation after it"

    def before(self, call: Call) -> Undo | None:
        channels = self._hidden_units(call.input) if call.is_activation else None
        if channels is None:
            return None
        check_visible(call.input)
        return self.keep(covariance_spectrum(call.input.movedim(channels, -1).flatten(0, -2)))

    def after(self, call: Call, result: Tensor) -> None:
        if self._are_tokens(call, result) or self._is_moved(call, result):
            result._hidden_units = (self, self.scene.channels(result))  # type: ignore[attr-defined]

    def _hidden_units(self, tensor: Any) -> int | None:
        """The axis of the hidden units in what a linear layer has made of tokens; None for any other tensor."""
        owner, axis = getattr(tensor, "_hidden_units", (None, None))
        return axis if owner is self else None

    def _are_tokens(self, call: Call, result: Tensor) -> bool:
        """Whether a call is a linear layer on tokens, which may be merged with the samples."""
        if call.name != "linear" or not self.scene.sample_axis.reaches(result):
            return False
        place = self.scene.sample_axis.place(result)
        return result.ndim > 2 or (isinstance(place, SamplePlace) and place.before * place.after > 1)

    def _is_moved(self, call: Call, result: Tensor) -> bool:
        """Whether a call only puts the hidden units into another shape or dtype."""
        channels = self._hidden_units(call.input)
        if channels is None or not (call.name in CASTS or is_layout(call, result)):
            return False
        same: bool = result.shape[self.scene.channels(result)] == call.input.shape[channels]
        return same and result.numel() == call.input.numel()


class BatchNormNorms(Collector):
    """For each BatchNorm output, samples and positions in rows by channels, its Frobenius and its spectral norm."""

    signal = "batch_norm_norms"
    sees_steps = False
    sees_activations = False
    meaning = "for each BatchNorm output M (samples and positions × C), ‖M‖ of Frobenius and ‖M‖₂: two numbers"
    nothing_seen = "no BatchNorm was seen"

    def after(self, call: Call, result: Tensor) -> None:
        if call.name == "batch_norm":
            check_visible(result)
            found = self.scene.map(result)
            if found is not None:
                matrix = found.movedim(1, -1).flatten(0, -2).double()
                self.values.append(torch.stack([matrix.norm(), largest_singular_value(matrix)]))


class BlockSpectra(Watcher):
    """For each block, the eigenvalues of the covariance of its output's channels, over samples and positions."""

    signal = "block_spectra"
    meaning = "for each block, eigenvalues of the covariance of its output's channels"
    needs = (Blocks,)
    sees_activations = False

    def result(self) -> list[Tensor]:
        maps = self.others[Blocks].result_or_failure()
        if isinstance(maps, Failure):
            raise maps
        found = [block.as_map(block.tensor.detach()) for block in maps]
        return [covariance_spectrum(values.movedim(1, -1).flatten(0, -2)) for values in found]


def covariance_spectrum(rows: Tensor) -> Tensor:
    """Eigenvalues of the covariance of rows, in float64 and descending; as many as rows or columns, the fewer.

    >>> covariance_spectrum(torch.tensor([[1.0, 0.0], [-1.0, 0.0]]))
    tensor([1., 0.], dtype=torch.float64)
    """
    centred = rows.double() - rows.double().mean(0)
    wide = centred.shape[1] > len(centred)
    covariance = (centred @ centred.T if wide else centred.T @ centred) / len(centred)
    values: Tensor = torch.linalg.eigvalsh(covariance)
    return values.flip(0).clamp(min=0)
