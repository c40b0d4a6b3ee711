from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import zerocost as zc

WIDTH, EXPERTS = 6, 5
IDS = torch.arange(14).reshape(2, 7) % 9


class Experts(nn.Module):
    """A language model whose tokens go to the best `top` of five experts."""

    def __init__(self, kind: str, top: int) -> None:
        super().__init__()
        self.kind, self.top = kind, top
        self.table, self.router, self.head = nn.Embedding(9, WIDTH), nn.Linear(WIDTH, EXPERTS), nn.Linear(WIDTH, 9)
        self.unused = nn.Linear(3, 3)
        if kind == "modules":
            self.experts = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(EXPERTS))
        else:
            self.stacked = nn.Parameter(torch.randn(EXPERTS, WIDTH, WIDTH))
            self.biases = nn.Parameter(torch.randn(EXPERTS, WIDTH))

    def forward(self, ids: Tensor) -> Tensor:
        x = self.table(ids)
        chosen = self.router(x).topk(self.top).indices
        if self.kind == "picked":
            found = (x[..., None, None, :] @ self.stacked[chosen]).squeeze(-2) + self.biases[chosen]
            return self.head(found.mean(-2))
        found = torch.zeros_like(x)
        for number in chosen.unique().tolist():
            rows = (chosen == number).any(-1)
            found[rows] += self.one(number, x[rows])
        return self.head(found)

    def one(self, number: int, x: Tensor) -> Tensor:
        return self.experts[number](x) if self.kind == "modules" else x @ self.stacked[number] + self.biases[number]


@pytest.mark.parametrize("top", [1, 2, 5])
@pytest.mark.parametrize("kind", ["modules", "stacked", "picked"])
def test_of_experts_those_count_that_a_token_is_sent_to(kind: str, top: int) -> None:
    card = zc.score(Experts(kind, top), IDS, "active_params,params,embedding_params")
    one = WIDTH * WIDTH + WIDTH
    others = 9 * WIDTH + EXPERTS * (WIDTH + 1) + 9 * (WIDTH + 1)
    assert dict(card) == {
        "active_params": others + top * one,
        "params": others + EXPERTS * one + 3 * 4,
        "embedding_params": 9 * WIDTH,
    }


def test_without_tokens_it_is_what_a_sample_meets() -> None:
    tied = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))
    tied[2].weight = tied[0].weight
    assert zc.score(tied, torch.rand(2, 4), "active_params")["active_params"] == 16 + 2 * 4
