"""The weights that attention gives to tokens."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from zerocost.base.errors import Failure
from zerocost.engine.watch.base import Call, Scene, Watcher, visible


class Attention(Watcher):
    """For each attention layer the weights that queries give to keys, after the softmax: …×T×T."""

    signal = "attention_maps"

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self.maps: list[Tensor] = []

    def before(self, call: Call) -> None:
        if call.name == "scaled_dot_product_attention":
            visible(call.argument(0, "query"))
            self.maps.append(weights(call).detach())

    def after(self, call: Call, result: Tensor) -> None:
        if call.name == "softmax" and result.ndim > 2 and call.argument(1, "dim") in (-1, result.ndim - 1):
            visible(result)
            self.maps.append(result.detach().clone())

    def found(self) -> Any:
        if not self.maps:
            raise Failure("no attention was seen")
        return self.maps


def weights(call: Call) -> Tensor:
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
