"""Maps: what the layers of a network hand on, and the weights that attention gives to tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from zerocost.base.errors import Failure
from zerocost.base.seeding import stream
from zerocost.engine.calls.call import Call, Undo
from zerocost.engine.calls.functions import ATTENTION, BY_HAND, CHANNEL_AXIS, NORMALISATION, POOLING, SUMS
from zerocost.engine.watch.base import MAPPING, Collector, Scene, Watcher, check_visible


class SampleMaps(Collector):
    """What each layer (weights, normalisation, activation, pooling) makes of the first sample: C×positions."""

    signal = "sample_maps"
    meaning = "what each layer makes of the first sample: C×positions, for each layer with a map"
    nothing_seen = "no map of several channels and positions was seen"

    def after(self, call: Call, result: Tensor) -> Undo | None:
        if (call.name not in MAPPING or call.name in SUMS) and call.name not in POOLING:
            return None
        check_visible(result)
        return self.add(self.scene.map(result))

    def add(self, found: Tensor | None) -> Undo | None:
        """Keep a map of several channels and positions."""
        kept = found is not None and found.ndim > 2 and min(found.shape[1:]) > 1
        return self.keep(found[0].detach().clone()) if found is not None and kept else None


class ModuleMaps(SampleMaps):
    """What each module makes of the first sample, modules inside modules and the network itself included."""

    signal = "module_maps"
    sees_steps = False
    sees_activations = False
    meaning = "the same for each module, those inside others and the network itself included"

    def hooks(self) -> Iterable[RemovableHandle]:
        for module in self.scene.model.modules() if self.scene.model else ():
            if "_orig_mod" not in module._modules:  # what `torch.compile` wraps a module in is no module of the network
                yield module.register_forward_hook(self.leave)

    def leave(self, module: nn.Module, _: Any, output: Any) -> None:
        """Called with what a module returned."""
        if isinstance(output, Tensor) and output.ndim > 2:
            try:
                check_visible(output)
                with self.scene.inside_hook():
                    self.add(self.scene.map(output))
            except Failure as failure:
                self.problem = failure.without_frames()

    def after(self, call: Call, result: Tensor) -> None:
        return None


class Neurons(Collector):
    """For each layer (weights, normalisation, activation) a matrix of its outputs: at most C rows of C channels.

    Rows are samples, or samples and positions; where there are more than channels, C in a row from a random start.
    """

    signal = "neurons"
    meaning = "for each layer, samples (and positions) in rows by channels: at most C×C"
    nothing_seen = "no layer was seen"

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self.generator = stream(scene.seed, "rows")

    def after(self, call: Call, result: Tensor) -> Undo | None:
        if not (call.name in CHANNEL_AXIS or call.name in NORMALISATION or call.is_activation):
            return None
        check_visible(result)
        found, state = self.scene.map(result), self.generator.get_state()
        if found is None:
            return None
        matrix = found.movedim(1, -1).flatten(0, -2)
        rows, channels = matrix.shape
        start = int(torch.randint(max(1, rows - channels + 1), (), generator=self.generator))
        undo = self.keep(matrix[start : start + channels].detach().clone())
        return lambda: (undo(), self.generator.set_state(state))


class Features(NamedTuple):
    """A map of all samples, N×C×positions.

    Attributes:
        values: the map.
        call: the place in `Scene.ran` of the call that returned it; None where it is not what one call returned.
        shape: that of what the call returned.
        read: reads the map of that.
    """

    values: Tensor
    call: int | None
    shape: torch.Size
    read: Callable[[Tensor], Tensor | None]


class LastFeatures(Watcher):
    """The last map before pooling, N×C×positions; in a network without maps, what its last layer is given.

    Attributes:
        last: the last map so far.
        given: what the last linear layer so far was given.
    """

    signal = "features"
    meaning = "the last map before pooling: N×C×positions, or N×C without a map"

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self.last: Features | Failure | None = None
        self.given: Tensor | Failure | None = None

    def after(self, call: Call, result: Tensor) -> Undo | None:
        if call.name == "linear" and self.scene.sample_axis.reaches(call.input):
            given = _read_or_failure(self.scene.rows, call.input)
            self.given = given if isinstance(given, Failure) else given.detach().to_dense().clone()
        if not _is_map(call) or not self.scene.sample_axis.reaches(result):
            return None
        check_visible(result)
        scene, before = self.scene, self.last
        read = partial(scene.map_at, scene.sample_axis.place(result), scene.channels(result))
        found = _read_or_failure(read, result)
        if isinstance(found, Failure):
            self.last = found if result.ndim > 2 else before
        elif found.ndim > 2 and found.shape[2] > 1:
            itself = call.function is scene.ran[-1] and call.name != BY_HAND
            self.last = Features(found.detach().clone(), len(scene.ran) - 1 if itself else None, result.shape, read)
        return partial(self.replace, self.last, before)

    def replace(self, last: Features | Failure | None, before: Features | Failure | None) -> None:
        """Go back to the features before, unless there are others by now."""
        if self.last is last:
            self.last = before

    def result(self) -> Tensor:
        found = self.last.values if isinstance(self.last, Features) else self.last or self.given
        if found is None:
            raise Failure("no features were seen: the network has neither maps nor a linear layer")
        if isinstance(found, Failure):
            raise found
        return found


class AttentionMaps(Collector):
    """For each attention layer the weights that queries give to keys, after the softmax: …×T×T."""

    signal = "attention_maps"
    sees_steps = False
    sees_activations = False
    meaning = "for each attention layer, the weights of keys by queries, after softmax: …×T×T"
    nothing_seen = "no attention was seen"

    def before(self, call: Call) -> None:
        if call.name == ATTENTION and self.scene.sample_axis.reaches(call.argument(0, "query")):
            check_visible(call.argument(0, "query"))
            self.values.append(_attention_weights(call).detach())

    def after(self, call: Call, result: Tensor) -> None:
        last = call.name == "softmax" and result.ndim > 2 and call.argument(1, "dim") in (-1, result.ndim - 1)
        if last and self.scene.sample_axis.reaches(result):
            check_visible(result)
            self.values.append(result.detach().clone())


def _is_map(call: Call) -> bool:
    """Whether a call is a layer or a sum of tensors; what adds a number, as 1 + tanh(x) does, is neither."""
    if call.name not in SUMS:
        return call.name in MAPPING
    tensors = [v for v in (*call.args, *call.kwargs.values()) if isinstance(v, Tensor) and v.numel() > 1]
    return len(tensors) > 1


def _read_or_failure(read: Callable[[Tensor], Any], values: Tensor) -> Any:
    """What is read of values, or the `Failure` that says why it cannot be; a later map may be read all the same."""
    try:
        return read(values)
    except Failure as failure:
        return failure.without_frames()


def _attention_weights(call: Call) -> Tensor:
    """The softmax weights of a call of scaled_dot_product_attention, without its dropout."""
    query, key = call.argument(0, "query"), call.argument(1, "key")
    mask, scale = call.argument(3, "attn_mask"), call.kwargs.get("scale")
    if call.kwargs.get("enable_gqa"):
        key = key.repeat_interleave(query.shape[-3] // key.shape[-3], dim=-3)
    scores = query @ key.mT * (query.shape[-1] ** -0.5 if scale is None else scale)
    if call.argument(5, "is_causal", False):
        mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf) if mask.dtype == torch.bool else scores + mask
    return torch.softmax(scores, -1)
