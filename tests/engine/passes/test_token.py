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


class Table(nn.Module):
    """Reads numbers, and categories, of which it needs both columns."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.head = nn.Embedding(3, 2), nn.Embedding(4, 2), nn.Linear(7, 1)

    def forward(self, numbers: Tensor, categories: Tensor) -> Tensor:
        return self.head(torch.cat([numbers, self.first(categories[:, 0]), self.second(categories[:, 1])], 1))


def test_categories_of_a_table_are_no_tokens() -> None:
    inputs = torch.rand(2, 3), torch.ones(2, 2, dtype=torch.int64)
    card = zc.score(Table(), (inputs, torch.rand(2, 1)), "active_params,params")
    assert dict(card) == {"active_params": 6 + 8 + 8, "params": 6 + 8 + 8}


class Kinds(nn.Module):
    """A layer whose weight is read as a sparse, nested or complex tensor."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind, self.layer, self.pairs = kind, nn.Linear(4, 4), nn.Parameter(torch.randn(2, 2, 2))
        self.whole = nn.Parameter(torch.randn(3, 2, 2, dtype=torch.complex64))

    def forward(self, x: Tensor) -> Tensor:
        if self.kind in ("sparse", "sparse rows"):
            weight = self.layer.weight
            return torch.sparse.mm(weight.to_sparse() if self.kind == "sparse" else weight.to_sparse_csr(), x.T).T
        if self.kind == "nested":
            return self.layer(torch.nested.nested_tensor_from_jagged(x, torch.tensor([0, len(x)]))).values()
        if self.kind == "complex":
            x = torch.complex(x[:, :2], x[:, 2:]) @ torch.view_as_complex(self.pairs)
        else:
            x = torch.complex(x[:, :2], x[:, 2:]) @ self.whole[0]
        return torch.cat([x.real, x.imag], -1)


@pytest.mark.parametrize(
    ("kind", "count", "size"),  # the nested one keeps two offsets of 8 bytes; of three complex matrices all are kept
    [("sparse", 16, 64), ("sparse rows", 16, 64), ("nested", 20, 96), ("complex", 8, 32), ("one of three", 4, 96)],
)
@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta")
@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_weights_of_any_layout_count(kind: str, count: int, size: int) -> None:
    assert dict(zc.score(Kinds(kind), torch.rand(3, 4), "active_params,flash")) == {
        "active_params": count,
        "flash": size,
    }
