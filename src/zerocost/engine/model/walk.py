"""All modules of a model, quickly."""

from __future__ import annotations

from torch import nn


def named_modules(model: nn.Module) -> dict[str, nn.Module]:
    """The model and all modules inside it by name, each once: `dict(model.named_modules())` without its recursion.

    >>> list(named_modules(nn.Sequential(nn.Sequential(nn.ReLU()), nn.Tanh())))
    ['', '0', '0.0', '1']
    """
    found: dict[str, nn.Module] = {}
    seen: set[int] = set()
    stack = [("", model)]
    while stack:
        name, module = stack.pop()
        if id(module) in seen:
            continue
        seen.add(id(module))
        found[name] = module
        if module._modules:
            prefix = f"{name}." if name else ""
            inside = [(prefix + key, part) for key, part in module._modules.items() if part is not None]
            stack += reversed(inside)
    return found
