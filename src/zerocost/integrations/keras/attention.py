"""Keras's multi-head attention as a torch module."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from zerocost.integrations.keras.layout import CopiedWeight, Layout, TorchLayer, copy_weights


class Attention(nn.Module):
    """Multi-head attention of N×T×E: four linear layers around scaled dot-product attention."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.heads, self.dropout = layer.num_heads, layer.dropout
        self.weights: list[CopiedWeight] = []
        for name in ("query", "key", "value"):
            part = getattr(layer, f"_{name}_dense")
            inputs, heads, size = part.kernel.shape
            kernel = Layout(lambda t: t.flatten(1).T, lambda t, s=size: t.T.unflatten(1, (-1, s)))  # type: ignore[misc]
            bias = Layout(Tensor.flatten, lambda t, s=size: t.unflatten(0, (-1, s)))  # type: ignore[misc]
            linear = nn.Linear(inputs, heads * size, device="meta")
            self.add_module(name, linear)
            self.weights += copy_weights(linear, weight=(part.kernel, kernel), bias=(part.bias, bias))
        part = layer._output_dense
        heads, size, outputs = part.kernel.shape
        kernel = Layout(lambda t: t.flatten(0, 1).T, lambda t: t.T.reshape(heads, size, outputs))
        self.output = nn.Linear(heads * size, outputs, device="meta")
        self.weights += copy_weights(self.output, weight=(part.kernel, kernel), bias=part.bias)

    def forward(self, query: Tensor, value: Tensor, key: Tensor, causal: bool) -> Tensor:
        parts = (("query", query), ("key", key), ("value", value))
        q, k, v = (getattr(self, name)(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for name, x in parts)
        dropout = self.dropout if self.training else 0.0
        mixed = F.scaled_dot_product_attention(q, k, v, dropout_p=dropout, is_causal=causal)
        found: Tensor = self.output(mixed.transpose(1, 2).flatten(2))
        return found


def attention(layer: Any) -> TorchLayer | None:
    if layer._query_dense.kernel.ndim != 3 or layer._output_dense.kernel.ndim != 3 or layer._attention_axes != (1,):
        return None
    module, own = Attention(layer), layer.call
    weights, module.weights = module.weights, []

    def call(
        query: Tensor,
        value: Tensor,
        key: Tensor | None = None,
        *masks: Any,
        use_causal_mask: bool = False,
        training: bool | None = None,
        **others: Any,
    ) -> Any:
        module.training = bool(training)
        if any(other is not None and other is not False for other in (*masks, *others.values())):
            others |= {"use_causal_mask": use_causal_mask, "training": training}
            return own(query, value, key, *masks, **others)
        return module(query, value, value if key is None else key, use_causal_mask)

    return TorchLayer({"": module}, call, weights)
