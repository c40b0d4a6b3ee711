"""The operations of the encoders of space `bert`: what mixes the tokens N × T × `width`."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zerocost.spaces.attention import join_heads, split_heads


class Attention(nn.Module):
    """Self-attention with scaled dot products, or weighted multiplicative: queries go through another matrix."""

    def __init__(self, width: int, heads: int, weighted: bool) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value = [nn.Linear(width, width) for _ in range(3)]
        self.weight = nn.Linear(width, width, bias=False) if weighted else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        queries = self.weight(self.query(x))
        q, k, v = [split_heads(one, self.heads) for one in (queries, self.key(x), self.value(x))]
        return join_heads(F.scaled_dot_product_attention(q, k, v))


class Transform(nn.Module):
    """A linear layer, and for each head a transform over tokens and features: real part of Fourier's, or cosine."""

    def __init__(self, width: int, heads: int, cosine: bool) -> None:
        super().__init__()
        self.heads = heads
        self.cosine = cosine
        self.input = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        x = split_heads(self.input(x), self.heads)
        tokens, features = x.shape[2:]
        if self.cosine:
            return join_heads(_cosine(tokens, x) @ x @ _cosine(features, x).T)
        (cosine_t, sine_t), (cosine_f, sine_f) = _fourier(tokens, x), _fourier(features, x)
        return join_heads(cosine_t @ x @ cosine_f - sine_t @ x @ sine_f)


class SpanConvolution(nn.Module):
    """ConvBERT's mixed attention: half of the heads attend, half convolve with kernels made from the span around.

    A token's kernel is the softmax of a linear layer on its query times a depthwise separable convolution of the input.
    """

    def __init__(self, width: int, heads: int, kernel: int) -> None:
        super().__init__()
        self.heads, self.kernel = max(1, heads // 2), kernel
        half = self.heads * (width // heads)
        self.query, self.key, self.value = [nn.Linear(width, half) for _ in range(3)]
        self.depthwise = nn.Conv1d(width, width, kernel, padding=kernel // 2, groups=width, bias=False)
        self.pointwise = nn.Conv1d(width, half, 1)
        self.kernels = nn.Linear(half, self.heads * kernel)
        self.spans = nn.Linear(width, half)

    def forward(self, x: Tensor) -> Tensor:
        queries = self.query(x)
        q, k, v = [split_heads(one, self.heads) for one in (queries, self.key(x), self.value(x))]
        attended = join_heads(F.scaled_dot_product_attention(q, k, v))
        around = self.pointwise(self.depthwise(x.transpose(1, 2))).transpose(1, 2)
        kernels = self.kernels(around * queries).reshape(*x.shape[:2], self.heads, self.kernel).softmax(-1)
        padded = F.pad(self.spans(x), (0, 0, self.kernel // 2, self.kernel // 2))
        spans = padded.unfold(1, self.kernel, 1).reshape(*x.shape[:2], self.heads, -1, self.kernel)
        convolved = (spans @ kernels.unsqueeze(-1)).flatten(2)
        return torch.cat((attended, convolved), dim=2)


OPERATIONS: dict[str, Callable[[int, int], nn.Module]] = {
    "SA:SDP": lambda width, heads: Attention(width, heads, weighted=False),
    "SA:WMA": lambda width, heads: Attention(width, heads, weighted=True),
    "LT:DFT": lambda width, heads: Transform(width, heads, cosine=False),
    "LT:DCT": lambda width, heads: Transform(width, heads, cosine=True),
    "DSC:5": lambda width, heads: SpanConvolution(width, heads, 5),
    "DSC:9": lambda width, heads: SpanConvolution(width, heads, 9),
}
"""By the benchmark's name, what makes an operation for tokens of a width with a number of heads."""


def _fourier(size: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """The matrices cos(2πij/size) and sin(2πij/size)."""
    steps = torch.arange(size, device=like.device, dtype=like.dtype)
    angles = torch.outer(steps, steps).remainder(size) * (2 * math.pi / size)
    return angles.cos(), angles.sin()


def _cosine(size: int, like: Tensor) -> Tensor:
    """The matrix 2 cos(πi(2j + 1)/(2 size)) of the cosine transform of type II."""
    steps = torch.arange(size, device=like.device, dtype=like.dtype)
    angles = torch.outer(steps, 2 * steps + 1).remainder(4 * size) * (math.pi / (2 * size))
    return 2 * angles.cos()
