"""Maps: what the layers of a network hand on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from zerocost.base.errors import Failure
from zerocost.base.seeding import stream
from zerocost.engine.functions import CHANNEL_AXIS, NORMALISATION, POOLING
from zerocost.engine.watch.base import MAPPING, SUMS, Call, Scene, Watcher, visible


class Features(Watcher):
    """The last map before pooling, N×C×positions; in a network without maps, what its last layer is given."""

    signal = "features"

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self.last: Tensor | None = None
        self.given: Tensor | None = None

    def before(self, call: Call) -> None:
        if call.name == "linear":
            self.given = call.input.detach().clone()

    def after(self, call: Call, result: Tensor) -> None:
        if call.name in MAPPING and result.ndim > 2:
            visible(result)
            found = self.scene.map(result)
            if found.ndim > 2 and found.shape[2] > 1:
                self.last = found.detach().clone()

    def found(self) -> Any:
        if self.last is not None:
            return self.last
        if self.given is None:
            raise Failure("no features were seen: the network has neither maps nor a linear layer")
        return self.scene.rows(self.given)


class SampleMaps(Watcher):
    """What each layer (weights, normalisation, activation, pooling) makes of the first sample: C×positions."""

    signal = "sample_maps"

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self.maps: list[Tensor] = []

    def after(self, call: Call, result: Tensor) -> None:
        if (call.name in MAPPING and call.name not in SUMS) or call.name in POOLING:
            visible(result)
            self.keep(self.scene.map(result))

    def keep(self, found: Tensor) -> None:
        """Keep a map of several channels and positions."""
        if found.ndim > 2 and min(found.shape[1:]) > 1:
            self.maps.append(found[0].detach().clone())

    def found(self) -> Any:
        if not self.maps:
            raise Failure("no map of several channels and positions was seen")
        return self.maps


class ModuleMaps(SampleMaps):
    """What each module makes of the first sample, modules inside modules and the network itself included."""

    signal = "module_maps"
    problem: Failure | None = None

    def hooks(self) -> Iterable[RemovableHandle]:
        return [m.register_forward_hook(self.leave) for m in (self.scene.model.modules() if self.scene.model else ())]

    def leave(self, module: nn.Module, _: Any, output: Any) -> None:
        """Called with what a module returned."""
        if isinstance(output, Tensor) and output.ndim > 2:
            try:
                visible(output)
                with self.scene.stepping_aside():
                    self.keep(self.scene.map(output))
            except Failure as failure:
                self.problem = failure.with_traceback(None)

    def after(self, call: Call, result: Tensor) -> None:
        pass


class Neurons(Watcher):
    """For each layer (weights, normalisation, activation) a matrix of its outputs: at most C rows of C channels.

    Rows are samples, or samples and positions; where there are more than channels, C in a row from a random start.
    """

    signal = "neurons"

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self.matrices: list[Tensor] = []
        self.generator = stream(scene.seed, "rows")

    def after(self, call: Call, result: Tensor) -> None:
        if not (call.name in CHANNEL_AXIS or call.name in NORMALISATION or call.activates):
            return
        visible(result)
        found = self.scene.map(result)
        matrix = found.movedim(1, -1).flatten(0, -2)
        rows, channels = matrix.shape
        start = int(torch.randint(max(1, rows - channels + 1), (), generator=self.generator))
        self.matrices.append(matrix[start : start + channels].detach().clone())

    def found(self) -> Any:
        if not self.matrices:
            raise Failure("no layer was seen")
        return self.matrices


class NormOutputs(Watcher):
    """For each BatchNorm output M, samples and positions in rows by channels, the eigenvalues of MᵀM, largest first."""

    signal = "batch_norm_spectra"

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self.spectra: list[Tensor] = []

    def after(self, call: Call, result: Tensor) -> None:
        if call.name == "batch_norm":
            visible(result)
            matrix = self.scene.map(result).movedim(1, -1).flatten(0, -2).double()
            self.spectra.append(torch.linalg.eigvalsh(matrix.T @ matrix).flip(0).clamp(min=0))

    def found(self) -> Any:
        if not self.spectra:
            raise Failure("no BatchNorm was seen")
        return self.spectra


class FeedForward(Watcher):
    """For each feed-forward layer of tokens, the eigenvalues of the covariance of its hidden units, largest first."""

    signal = "feed_forward_spectra"

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self.hidden: Tensor | None = None
        self.spectra: list[Tensor] = []

    def before(self, call: Call) -> None:
        if call.activates and call.input is self.hidden and self.hidden is not None:
            visible(self.hidden)
            self.spectra.append(spectrum(self.hidden.flatten(0, -2)))

    def after(self, call: Call, result: Tensor) -> None:
        if call.name == "linear" and result.ndim > 2:
            self.hidden = result

    def found(self) -> Any:
        if not self.spectra:
            raise Failure("no feed-forward layer was seen: a linear layer on tokens, and an activation after it")
        return self.spectra


def spectrum(rows: Tensor) -> Tensor:
    """Eigenvalues of the covariance of rows, in float64 and descending; as many as rows or columns, the fewer.

    >>> spectrum(torch.tensor([[1.0, 0.0], [-1.0, 0.0]]))
    tensor([1., 0.], dtype=torch.float64)
    """
    centred = rows.double() - rows.double().mean(0)
    wide = centred.shape[1] > len(centred)
    covariance = (centred @ centred.T if wide else centred.T @ centred) / len(centred)
    values: Tensor = torch.linalg.eigvalsh(covariance)
    return values.flip(0).clamp(min=0)
