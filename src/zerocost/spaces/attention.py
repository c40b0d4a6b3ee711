"""Parts that the transformers of several spaces share."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def split_heads(x: Tensor, heads: int) -> Tensor:
    """Tokens N×T×(heads · size) as N×heads×T×size."""
    return x.reshape(*x.shape[:2], heads, -1).transpose(1, 2)


def join_heads(x: Tensor) -> Tensor:
    """Heads N×heads×T×size side by side, N×T×(heads · size)."""
    return x.transpose(1, 2).flatten(2)


class SelfAttention(nn.Module):
    """Softmax attention of tokens N × T × `width` among themselves, by `heads` heads of `head_size` each."""

    def __init__(self, width: int, heads: int, head_size: int) -> None:
        super().__init__()
        self.heads = heads
        self.queries_keys_values = nn.Linear(width, 3 * heads * head_size)
        self.projection = nn.Linear(heads * head_size, width)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = [split_heads(one, self.heads) for one in self.queries_keys_values(x).chunk(3, 2)]
        mixed: Tensor = self.projection(join_heads(F.scaled_dot_product_attention(q, k, v)))
        return mixed


class PreNormBlock(nn.Module):
    """A vision transformer's layer: attention and a perceptron, each after a normalisation and with a skip."""

    def __init__(self, width: int, heads: int, head_size: int, hidden: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attention = SelfAttention(width, heads, head_size)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norm1(x))
        y: Tensor = x + self.mlp(self.norm2(x))
        return y


def initialise_normal(network: nn.Module) -> None:
    """Linear and embedding weights from a normal distribution of deviation 0.02, biases 0."""
    for layer in network.modules():
        if isinstance(layer, nn.Linear | nn.Embedding):
            nn.init.normal_(layer.weight, std=0.02)
        if isinstance(layer, nn.Linear) and layer.bias is not None:
            nn.init.zeros_(layer.bias)


def rotate(x: Tensor) -> Tensor:
    """Queries or keys N×heads×T×size, the first half of whose features is rotated by the token's position.

    Feature pairs i and i + size/4 of that half turn by position · 10,000^(−4i/size) (Su et al., RoFormer, 2021).
    """
    half = x.shape[-1] // 2
    frequencies = 10_000.0 ** (-torch.arange(0, half, 2, device=x.device, dtype=x.dtype) / half)
    angles = torch.arange(x.shape[2], device=x.device, dtype=x.dtype)[:, None] * frequencies
    cosine, sine = angles.cos(), angles.sin()
    first, second, rest = x.tensor_split((half // 2, half), dim=-1)
    return torch.cat((first * cosine - second * sine, second * cosine + first * sine, rest), dim=-1)
