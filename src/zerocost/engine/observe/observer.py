"""Shows watchers each call of a network: as module, function or method, in place or not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zerocost.base.errors import Failure
from zerocost.engine.calls.call import Call, Undo, as_call
from zerocost.engine.calls.functions import CHANNEL_AXIS, NORMALISATION, RECURRENT, Function
from zerocost.engine.calls.recurrent import hand_on, in_layers, in_steps
from zerocost.engine.calls.used_weights import follow_weights
from zerocost.engine.failures import is_out_of_memory
from zerocost.engine.follow.products import Product, channel_axis_after, first_tensor, is_layout
from zerocost.engine.follow.steps import Step
from zerocost.engine.model.normalisers import only_tensor
from zerocost.engine.modes.call_mode import CallMode, group_norm
from zerocost.engine.modes.checkpoints import saved_elsewhere
from zerocost.engine.modes.twice import call_twice
from zerocost.engine.observe.find_activations import ActivationFinder
from zerocost.engine.timing import TIMING
from zerocost.engine.watch.base import Scene, Watcher
from zerocost.engine.watch.gradients import GradientWatcher

_HIDDEN = (
    "calls of the network are hidden, as where a function is compiled by torch.jit or as_subclass gives a tensor "
    "another class; use the Python function it was made of, and plain tensors"
)
_CHECKPOINTED = "a recurrent layer runs inside a checkpoint, which hides its steps; score it without checkpoints"
_LAST_AXIS = {"layer_norm", "rms_norm", "embedding"}


class Observer(CallMode):
    """Shows one forward pass to watchers, and one backward pass to those that look at gradients.

    Args:
        scene: where the calls happen.
        watchers: the classes of the watchers; what they need is added.
        originals: ids of the model's own tensors.
        twice: whether what the network computes is to be differentiated twice.

    Attributes:
        watchers: the watchers by their class.
        batch_norm: whether BatchNorm was seen in train mode, which ties the samples of a batch together.
    """

    def __init__(
        self,
        scene: Scene,
        watchers: Iterable[type[Watcher]],
        originals: frozenset[int] = frozenset(),
        twice: bool = False,
    ) -> None:
        super().__init__(originals)
        self.twice = twice
        self.scene = scene
        wanted = dict.fromkeys(watchers)
        needed = dict.fromkeys(need for watcher in wanted for need in watcher.needs)
        self.watchers: dict[type[Watcher], Watcher] = {watcher: watcher(scene) for watcher in wanted | needed}
        timing = TIMING.get()
        for watcher in self.watchers.values():
            if timing.watchers is not None:
                for moment in ("before", "after"):
                    setattr(watcher, moment, timing.timed(watcher.name, getattr(watcher, moment), timing.watchers))
            watcher.others = {need: self.watchers[need] for need in watcher.needs}
            if scene.hidden is not None:
                watcher.problem = scene.hidden
        self.batch_norm = False
        self.follows = bool(self.watchers) or scene.in_parts  # in parts, a BatchNorm may tie samples together
        self.unbiased: Product | None = None
        self.hidden, self.wraps = False, False
        seeing = [watcher for watcher in self.watchers.values() if watcher.sees_activations]
        self.finder = ActivationFinder(seeing) if seeing else None
        self._before = _Audience.of(w for w in self.watchers.values() if type(w).before is not Watcher.before)
        self._after = _Audience.of(w for w in self.watchers.values() if type(w).after is not Watcher.after)
        self._looking = [*chain(*self._before, *self._after)]
        self._opens = in_steps if any(watcher.sees_steps for watcher in self._looking) else in_layers

    def call(self, function: Function, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if not self.follows or self.scene.in_hook:
            result = self.run(function, name, args, kwargs)
            if self.follows:
                self.scene.sample_axis.follow(function, name, args, kwargs, result)
            return result
        self.scene.ran.append(function)
        if not self.hidden and any(map(self._is_of_hidden_call, args)):
            self._hide()
        reaches, product, self.unbiased = self.scene.sample_axis.reaches, self.unbiased, None
        biased = product.given_bias(name, args, reaches) if product is not None else None
        plain = biased or as_call(function, name, args, kwargs, self.scene.weights)
        call, step = self.finder.before(plain, reaches) if self.finder else (plain, None)
        undos = self._show_before(plain, call, step)
        returned = self.run(function, name, args, kwargs)
        self._follow(function, name, args, kwargs, returned)
        result = _result_of(plain, name, args, returned)
        if result is not None:
            follow_weights(name, args, result, self.scene.weights)
            if reaches(result):
                self._note_channels(plain, result)
            undos_after = self._show_after(plain, call, step, result, undos)
            if plain.name == "linear" and plain.argument(2, "bias") is None:
                self.unbiased = Product.of(plain, result, undos_after)
            elif product is not None:
                self.unbiased = product.moved(plain, result) if reaches(result) else product
        return returned

    def _show_before(self, plain: Call, call: Call, step: Step | None) -> list[Undo]:
        """Show a call before it runs, plain and as the activation that it may be, whose input is shown once.

        Returns how to undo what was noted of the activation.
        """
        activation = None if step is None else step.activation
        undos: list[Undo] = []
        if self._before.activations and (activation is None or activation.before is None):
            undos = self._show("before", self._before.activations, call)
        if self._before.calls:
            self._show("before", self._before.calls, plain)
        return undos

    def _show_after(self, plain: Call, call: Call, step: Step | None, result: Tensor, undos: list[Undo]) -> list[Undo]:
        """Show what a call returned, likewise; `undos` are those of before. Returns how to undo what was noted."""
        seen = self.finder.shown(step, result, self.scene.sample_axis) if step and self.finder else result
        undos_after = self._show("after", self._after.activations, call, seen) if self._after.activations else []
        if self._after.calls:
            undos_after += self._show("after", self._after.calls, plain, result)
        if self.finder:
            self.finder.after(call, step, result, undos, undos_after)
        return undos_after

    def unrolled(self, function: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Function | None:
        """What to run in place of a recurrent function; inside a checkpoint, which runs once more unseen, nothing."""
        body = self._opens(function, args, kwargs) if self.watchers else None
        if body is None or not saved_elsewhere():
            return body
        several = in_layers(function, args, kwargs) is not None
        for watcher in self._looking:
            if several or watcher.sees_steps:
                watcher.problem = watcher.problem or Failure(_CHECKPOINTED)
        return None

    def _follow(
        self, function: Function, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any
    ) -> None:
        """Follow the samples into what a call returned; what a recurrent layer hands on is a call by itself."""
        self.scene.sample_axis.follow(function, name, args, kwargs, result)
        if name in RECURRENT:
            for tensor in result:
                self.scene.note_channels(tensor, -1)
            self.call(hand_on, hand_on.__name__, (result[0],), {})

    def note_gradients(self, inputs: Tensor | Sequence[Tensor], gradients: Sequence[Tensor | None]) -> None:
        for tensor, gradient in zip([inputs] if isinstance(inputs, Tensor) else inputs, gradients, strict=True):
            if gradient is not None:
                self.scene.sample_axis.follow(torch.clone, "clone", (tensor,), {}, gradient)

    def _is_of_hidden_call(self, value: Any) -> bool:
        """Whether a tensor is the result of a call that was not seen; what torch.func wraps and unwraps is not."""
        if not isinstance(value, Tensor) or hasattr(value, "_samples_at"):
            return False
        self.wraps = self.wraps or torch._C._functorch.maybe_current_level() is not None
        return value.grad_fn is not None and not self.wraps

    def _hide(self) -> None:
        """Let no watcher deliver a signal, as each has missed calls."""
        self.hidden = True
        for watcher in self.watchers.values():
            watcher.problem = watcher.problem or Failure(_HIDDEN)

    def _enter_normaliser(self, _: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Called before a module that normalises: what it computes step by step is not shown."""
        self.scene.in_hook = only_tensor(args, kwargs) is not None

    def _leave_normaliser(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        """Called after it: shown as one call."""
        given = only_tensor(args, kwargs)
        with self.scene.inside_hook():
            if given is not None and isinstance(result, Tensor):
                call = Call(F.layer_norm, "layer_norm", (given,), {})
                self.scene.note_channels(result, self.scene.normalisers[module])
                self._show_after(call, call, None, result, [])

    def run(self, function: Function, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What the network's call returns."""
        function = group_norm if function is F.group_norm else function
        return call_twice(function, name, args, kwargs) if self.twice else function(*args, **kwargs)

    def _note_channels(self, call: Call, result: Tensor) -> None:
        """Note where channels are after a call, and whether it ties samples together."""
        scene, axis = self.scene, self.scene.sample_axis
        if call.name in CHANNEL_AXIS or call.name in NORMALISATION or call.name == "embedding":
            layer = call.name in CHANNEL_AXIS
            scene.note_channels(result, call.channel_axis if layer else -1 if call.name in _LAST_AXIS else 1)
            if call.name == "batch_norm":
                scene.batch_norms.add(len(scene.ran) - 1)
                self.batch_norm |= bool(call.argument(5, "training", False))
        elif (moved := is_layout(call, result)) or axis.channels(result) is None:
            known = axis.channels(first_tensor(call))
            if known is not None:
                found = channel_axis_after(call, result, known)
                axis.note_channels(result, found)
                scene.channel_axis = found if moved and found is not None else scene.channel_axis

    def _show(self, moment: str, watchers: Sequence[Watcher], *values: Any) -> list[Undo]:
        """Show a call to watchers; returns how to undo what they noted."""
        if torch.is_inference_mode_enabled():  # what is made in it cannot be used outside
            with torch.inference_mode(False):
                return self._show(moment, watchers, *values)
        if torch._C._is_any_autocast_enabled():  # by the network, for its own products
            with torch._C._DisableAutocast():
                return self._show(moment, watchers, *values)
        noted: list[Undo] = []
        enabled = torch.is_grad_enabled()
        torch._C._set_grad_enabled(False)  # what `torch.no_grad` does, without its cost for each of many calls
        try:
            for watcher in watchers:
                if watcher.problem is None:
                    try:
                        undo = getattr(watcher, moment)(*values)
                    except Exception as error:
                        if is_out_of_memory(error):
                            raise
                        watcher.problem = watcher.failure(error).without_frames()
                    else:
                        noted += [undo] if undo is not None else []
        finally:
            torch._C._set_grad_enabled(enabled)
        return noted

    @contextmanager
    def watching(self) -> Iterator[None]:
        """The one forward pass that is watched, in which hooks are on the modules."""
        handles = [hook for watcher in self.watchers.values() if watcher.problem is None for hook in watcher.hooks()]
        for module in self.scene.normalisers:
            handles.append(module.register_forward_pre_hook(self._enter_normaliser, with_kwargs=True))
            handles.append(module.register_forward_hook(self._leave_normaliser, with_kwargs=True))
        try:
            with self:
                yield
        finally:
            for handle in handles:
                handle.remove()

    @contextmanager
    def watching_gradients(self) -> Iterator[None]:
        """The one backward pass that gradients are watched in; the hooks are taken off after it."""
        listeners = [w for w in self.watchers.values() if isinstance(w, GradientWatcher)]
        for watcher in listeners:
            watcher.listens = True
        yield
        for watcher in listeners:
            watcher.stop()

    def result(self, watcher: type[Watcher]) -> Any:
        """What a watcher saw, or the `Failure` that says why it saw nothing."""
        return self.watchers[watcher].result_or_failure()

    def signals(self, source: str) -> dict[str, Any]:
        """The signals that a pass delivers out of what was watched."""
        return {
            watcher.signal: watcher.result_or_failure()
            for watcher in self.watchers.values()
            if watcher.signal and watcher.source == source
        }


def _result_of(plain: Call, name: str, args: tuple[Any, ...], returned: Any) -> Tensor | None:
    """The tensor that a call has made, if it has any numbers; None for what is no tensor."""
    if returned is None and plain.name != name:  # x[mask] = …
        returned = args[0]
    elif isinstance(returned, tuple) and plain.name == "amax":
        returned = returned[0]
    return returned if isinstance(returned, Tensor) and returned.numel() else None


class _Audience(NamedTuple):
    """Who is shown a moment of a call.

    Attributes:
        activations: the watchers to which an activation is one call, however the network computes it.
        calls: those to which each call is shown as it is.
    """

    activations: list[Watcher]
    calls: list[Watcher]

    @classmethod
    def of(cls, watchers: Iterable[Watcher]) -> _Audience:
        listed = list(watchers)
        return cls([w for w in listed if w.sees_activations], [w for w in listed if not w.sees_activations])
