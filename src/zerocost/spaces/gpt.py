"""Space `gpt`: the decoders of HW-GPT-Bench."""

from __future__ import annotations

import re
from functools import partial
from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional as F

from zerocost.base.errors import InputError, unknown
from zerocost.base.fidelity import Fidelity
from zerocost.spaces.attention import initialise_normal, join_heads, rotate, split_heads
from zerocost.spaces.choose import Choose
from zerocost.spaces.coded import Choices, Code, CodedSpace

_HEAD_SIZE = 64
_RATIOS = (2, 3, 4)


class _Scale(NamedTuple):
    """The options of one size of the space."""

    widths: tuple[int, ...]
    layers: tuple[int, ...]
    heads: tuple[int, ...]


_SCALES = {
    "s": _Scale((192, 384, 768), (10, 11, 12), (4, 8, 12)),
    "m": _Scale((256, 512, 1024), (22, 23, 24), (8, 12, 16)),
}


class _Spec(NamedTuple):
    """The choices of one network."""

    width: int
    heads: tuple[int, ...]
    ratios: tuple[int, ...]
    bias: bool


class CausalAttention(nn.Module):
    """Attention to earlier tokens, with half of the features of queries and keys rotated by position."""

    def __init__(self, width: int, heads: int, head_size: int, bias: bool) -> None:
        super().__init__()
        self.heads = heads
        self.queries_keys_values = nn.Linear(width, 3 * heads * head_size, bias=bias)
        self.projection = nn.Linear(heads * head_size, width, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = [split_heads(one, self.heads) for one in self.queries_keys_values(x).chunk(3, 2)]
        mixed = F.scaled_dot_product_attention(rotate(q), rotate(k), v, is_causal=True)
        y: Tensor = self.projection(join_heads(mixed))
        return y


class ParallelBlock(nn.Module):
    """Attention and a perceptron side by side, each after a normalisation of its own, added to the input."""

    def __init__(self, attention: CausalAttention, width: int, hidden: int, bias: bool) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = attention
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, hidden, bias=bias), nn.GELU(), nn.Linear(hidden, width, bias=bias))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.attention(self.norm1(x)) + self.mlp(self.norm2(x))
        return y


class GPT(nn.Module):
    """Token ids N × T to logits N × T × `vocabulary`; the output layer shares its weight with the embedding."""

    def __init__(self, spec: _Spec, fidelity: Fidelity, vocabulary: int) -> None:
        super().__init__()
        width = fidelity.channels(spec.width, multiple=4)
        head_size = fidelity.channels(_HEAD_SIZE, multiple=4)
        self.embedding = nn.Embedding(vocabulary, width)
        self.blocks = nn.Sequential()
        for i in range(fidelity.layers(len(spec.heads))):
            attention = CausalAttention(width, spec.heads[i], head_size, spec.bias)
            self.blocks.append(ParallelBlock(attention, width, spec.ratios[i] * width, spec.bias))
        self.norm = nn.LayerNorm(width)
        self.output = nn.Linear(width, vocabulary, bias=False)
        self.output.weight = self.embedding.weight
        initialise_normal(self)

    def forward(self, tokens: Tensor) -> Tensor:
        logits: Tensor = self.output(self.norm(self.blocks(self.embedding(tokens))))
        return logits


def space(vocabulary: int = 50_254, scale: str = "s") -> CodedSpace:
    """HW-GPT-Bench (Sukthanker et al., NeurIPS 2024): language models like GPT-2, written `192:4-8-…:2-4-…:0`.

    The parts are the width, the heads and the ratio of the perceptron to the width of each layer, and 1 where linear
    layers have biases, else 0. A head has 64 features at any width.

    ===========  =============  ==============
    choice       scale `s`      scale `m`
    ===========  =============  ==============
    width        192, 384, 768  256, 512, 1024
    layers       10, 11, 12     22, 23, 24
    heads        4, 8, 12       8, 12, 16
    MLP ratio    2, 3, 4        2, 3, 4
    ===========  =============  ==============

    Position is told by rotation of queries and keys, attention and perceptron stand side by side, and the output layer
    is tied to the embedding. No two architectures are twins. Token ids N×T of any length give logits
    N × T × `vocabulary`. Dropout is left out.

    A fidelity's `width` scales the width and the size of a head, its `depth` removes the last layers; the length is
    that of the data.

    Args:
        vocabulary: number of different tokens.
        scale: `s` or `m`.

    Raises:
        InputError: fewer than two tokens, or an unknown scale.

    >>> import torch
    >>> gpt = space(vocabulary=100)
    >>> arch = gpt.parse("192:4-4-8-4-4-4-4-4-4-12:2-2-4-2-2-2-2-2-2-3:0")
    >>> gpt.build(arch)(torch.zeros(2, 16, dtype=torch.long)).shape
    torch.Size([2, 16, 100])
    """
    if scale not in _SCALES:
        raise unknown("scale of space gpt", scale, _SCALES)
    if vocabulary < 2:
        raise InputError(f"space gpt needs vocabulary >= 2, but got {vocabulary}")
    options = _SCALES[scale]
    layers = len(options.heads) * len(_RATIOS)
    size = len(options.widths) * 2 * sum(layers**count for count in options.layers)
    build = partial(_build, options, vocabulary=vocabulary)
    return CodedSpace("gpt", partial(_choose, options), build, size, Code(_write, partial(_read, options)))


def _choose(options: _Scale, choose: Choose) -> _Spec:
    width = choose.one_of("width", options.widths)
    bias = choose.bool("bias")
    layers = range(1, choose.one_of("layers", options.layers) + 1)
    chosen = [(choose.one_of(f"heads{i}", options.heads), choose.one_of(f"ratio{i}", _RATIOS)) for i in layers]
    heads, ratios = zip(*chosen, strict=True)
    return _Spec(width, heads, ratios, bias)


def _build(options: _Scale, choose: Choose, fidelity: Fidelity, vocabulary: int) -> GPT:
    return GPT(_choose(options, choose), fidelity, vocabulary)


def _write(choices: Choices) -> str:
    chosen = dict(choices)
    layers = [str(i) for i in range(1, int(str(chosen["layers"])) + 1)]
    heads, ratios = ["-".join([str(chosen[name + i]) for i in layers]) for name in ("heads", "ratio")]
    return f"{chosen['width']}:{heads}:{ratios}:{int(bool(chosen['bias']))}"


def _read(options: _Scale, text: str) -> Choices:
    widths, heads, ratios = ["|".join(map(str, known)) for known in (options.widths, options.heads, _RATIOS)]
    match = re.fullmatch(f"({widths}):((?:{heads})(?:-(?:{heads}))*):([{ratios}](?:-[{ratios}])*):([01])", text)
    layers = len(match[2].split("-")) if match else 0
    if not match or layers != len(match[3].split("-")) or layers not in options.layers:
        raise InputError(
            f"an architecture of space gpt reads WIDTH:HEADS-…:RATIO-…:BIAS, with one of {_or(options.widths)}, "
            f"{_or(options.layers)} heads of {_or(options.heads)}, as many ratios of {_or(_RATIOS)}, and 0 or 1, but "
            f"got {text!r}"
        )
    pairs = enumerate(zip(match[2].split("-"), match[3].split("-"), strict=True), start=1)
    each = [choice for i, (h, r) in pairs for choice in ((f"heads{i}", int(h)), (f"ratio{i}", int(r)))]
    return (("width", int(match[1])), ("bias", match[4] == "1"), ("layers", layers), *each)


def _or(options: tuple[int, ...]) -> str:
    return f"{', '.join(map(str, options[:-1]))} or {options[-1]}"
