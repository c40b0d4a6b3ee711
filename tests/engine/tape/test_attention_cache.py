from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import zerocost as zc

HEADS, SIZE, TOKENS = 4, 6, 5


class Attention(nn.Module):
    """Causal attention of four heads of queries and as many or fewer of keys and values."""

    def __init__(self, kind: str, groups: int = HEADS) -> None:
        super().__init__()
        self.kind, self.groups = kind, groups
        self.queries, self.pairs = nn.Linear(8, HEADS * SIZE), nn.Linear(8, 2 * groups * SIZE)

    def forward(self, x: Tensor) -> Tensor:
        q = self.queries(x).unflatten(-1, (HEADS, SIZE)).transpose(1, 2)
        k, v = (t.unflatten(-1, (self.groups, SIZE)).transpose(1, 2) for t in self.pairs(x).chunk(2, -1))
        if self.kind == "given groups":
            return F.scaled_dot_product_attention(q, k, v, enable_gqa=True)
        k, v = k * 2.0, v + 1.0
        if self.kind == "repeat_interleave":
            k, v = (t.repeat_interleave(HEADS // self.groups, 1) for t in (k, v))
        else:
            k, v = (t[:, :, None].expand(-1, -1, HEADS // self.groups, -1, -1).flatten(1, 2) for t in (k, v))
        if self.kind == "one call":
            return F.scaled_dot_product_attention(q, k, v, is_causal=True)
        mask = torch.full((x.shape[1],) * 2, float("-inf"), device=x.device).triu(1)
        weights = (q @ k.transpose(-2, -1) / SIZE**0.5 + mask).softmax(-1)
        return F.dropout(weights, 0.1, self.training) @ v


@pytest.mark.parametrize("groups", [4, 2, 1])
@pytest.mark.parametrize("kind", ["by hand", "one call", "given groups", "repeat_interleave"])
def test_keys_and_values_of_shared_heads_count_once(kind: str, groups: int) -> None:
    card = zc.score(Attention(kind, groups), torch.rand(2, TOKENS, 8), "kv_cache,kv_cache_fp16,kv_cache_int8")
    values = 2 * groups * SIZE
    assert dict(card) == {"kv_cache": 4 * values, "kv_cache_fp16": 2 * values, "kv_cache_int8": values}


def test_a_network_without_attention_keeps_nothing() -> None:
    gated = nn.Sequential(nn.Linear(4, 3), nn.Softmax(1), nn.Linear(3, 2))
    assert zc.score(gated, torch.rand(2, 4), "kv_cache")["kv_cache"] == 0


class Chunks(Attention):
    """The same attention of some queries after others."""

    def forward(self, x: Tensor) -> Tensor:
        q = self.queries(x).unflatten(-1, (HEADS, SIZE)).transpose(1, 2)
        k, v = (t.unflatten(-1, (HEADS, SIZE)).transpose(1, 2) for t in self.pairs(x).chunk(2, -1))
        return torch.cat([self.some(part, k, v, end) for end, part in enumerate(q.split(1, 2), 1)], 2)

    def some(self, q: Tensor, k: Tensor, v: Tensor, end: int) -> Tensor:
        if self.kind == "by hand":
            return (q @ k.mT).softmax(-1) @ v
        if self.kind == "exp":
            weights = (q @ k.mT).exp()
            return weights / weights.sum(-1, keepdim=True) @ v
        if self.kind == "log":
            return F.log_softmax(q @ k.mT, -1).exp() @ v
        if self.kind == "by head":
            heads = [F.scaled_dot_product_attention(q[:, i], k[:, i], v[:, i]) for i in range(HEADS)]
            return torch.stack(heads, 1)
        seen = slice(end if self.kind == "causal" else None)
        return F.scaled_dot_product_attention(q, k[:, :, seen], v[:, :, seen])


@pytest.mark.parametrize("kind", ["by hand", "exp", "log", "by head", "causal", "whole"])
def test_keys_and_values_count_once_whatever_queries_meet_them(kind: str) -> None:
    card = zc.score(Chunks(kind), torch.rand(2, TOKENS, 8), "kv_cache")
    assert card["kv_cache"] == 4 * 2 * HEADS * SIZE
