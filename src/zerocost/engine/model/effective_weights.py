"""Reparametrised weights, replaced by the weights that the network computes with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.prune import BasePruningMethod
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from zerocost.engine.model.guard import Snapshot
from zerocost.engine.model.walk import named_modules

_Hook = WeightNorm | SpectralNorm | BasePruningMethod


@contextmanager
def effective_weights(model: nn.Module) -> Iterator[None]:
    """The model with plain weights inside the block, where they are computed from others.

    What `weight_norm`, `spectral_norm`, `torch.nn.utils.parametrize` and the masks of `torch.nn.utils.prune` make of
    their parameters becomes the parameter, so that it is a weight like any other: it counts, is redrawn and has
    gradients. The estimates of `spectral_norm` stay as they are. Outside the block the model is as it was.

    >>> layer = nn.utils.parametrizations.weight_norm(nn.Linear(2, 3))
    >>> with effective_weights(layer):
    ...     [tuple(p.shape) for p in layer.parameters()]
    [(3,), (3, 2)]
    >>> [tuple(p.shape) for p in layer.parameters()]
    [(3,), (3, 1), (3, 2)]
    """
    modules = named_modules(model).values()
    parametrised = [m for m in modules if "parametrizations" in m._modules and parametrize.is_parametrized(m)]
    hooked = [(m, key, hook) for m in modules if m._forward_pre_hooks for key, hook in _hooks(m)]
    if not parametrised and not hooked:
        yield
        return
    snapshot = Snapshot(model, {id(tensor) for tensor in (*model.parameters(), *model.buffers())})
    try:
        with torch.no_grad():
            for module in parametrised:
                _replace_parametrizations(module)
            for module, key, hook in hooked:
                _replace_hook(module, key, hook)
        yield
    finally:
        snapshot.put_back()


class _Plain(nn.Module):
    """Stands where a weight was computed, and gives it."""

    def __init__(self, name: str, weight: nn.Parameter) -> None:
        super().__init__()
        self.name = name
        self.register_parameter(name, weight)

    def forward(self) -> Tensor:
        weight: Tensor = getattr(self, self.name)
        return weight


def _replace_parametrizations(module: nn.Module) -> None:
    """Let each parametrised tensor of a module be given, not computed."""
    parametrizations = module.parametrizations
    assert isinstance(parametrizations, nn.ModuleDict)
    for name, computed in list(parametrizations.items()):
        trained = any(p.requires_grad for p in computed.parameters())
        parametrizations[name] = _Plain(name, _parameter(computed.eval()(), trained))


def _replace_hook(module: nn.Module, key: int, hook: _Hook) -> None:
    """Let a weight that a hook computes before each pass be a parameter."""
    if isinstance(hook, BasePruningMethod):
        name = hook._tensor_name
        weight = hook.apply_mask(module)  # type: ignore[no-untyped-call]
        sources, estimates = [f"{name}_orig"], [f"{name}_mask"]
    elif isinstance(hook, WeightNorm):
        name = hook.name
        weight, sources, estimates = hook.compute_weight(module), [f"{name}_g", f"{name}_v"], []
    else:
        name = hook.name
        weight = hook.compute_weight(module, do_power_iteration=False)
        sources, estimates = [f"{name}_orig"], [f"{name}_u", f"{name}_v"]
    trained = any(module.get_parameter(source).requires_grad for source in sources)
    del module._forward_pre_hooks[key]
    for source in sources:
        del module._parameters[source]
    for estimate in estimates:
        del module._buffers[estimate]
    vars(module).pop(name, None)
    setattr(module, name, _parameter(weight, trained))


def _parameter(weight: Tensor, trained: bool) -> nn.Parameter:
    return nn.Parameter(weight.detach().clone(), requires_grad=trained)


def _hooks(module: nn.Module) -> list[tuple[int, _Hook]]:
    """The hooks of a module that compute a weight before each pass."""
    return [(key, hook) for key, hook in module._forward_pre_hooks.items() if isinstance(hook, _Hook)]
