from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from zerocost.engine.losses import cross_entropy
from zerocost.engine.plan import plan
from zerocost.engine.run import measure
from zerocost.engine.settings import DEFAULT
from zerocost.proxies import resolve

E, HEADS = 8, 2


def roles(model, t=5, e=E):
    """Role of each weight matrix, by its name."""
    x = torch.randn(4, t, e, generator=torch.Generator().manual_seed(0))
    found = measure(model, [(x, torch.arange(4) % 3)], plan(resolve("dss")), cross_entropy, 0)
    names = [name for name, p in model.named_parameters() if p.ndim > 1]
    return dict(zip(names, found.signals[DEFAULT]["weight_roles"], strict=True))


class Classifier(nn.Module):
    def __init__(self, *body):
        super().__init__()
        self.body, self.head = nn.Sequential(*body), nn.Linear(E, 3)

    def forward(self, x):
        return self.head(self.body(x).mean(1))


class Attention(nn.Module):
    """As in vision transformers: one layer for queries, keys and values, one after."""

    def __init__(self, how):
        super().__init__()
        self.qkv, self.proj, self.how = nn.Linear(E, 3 * E), nn.Linear(E, E), how
        self.softmax = nn.Softmax(dim=-1)

    def forward(self, x):
        q, k, v = self.qkv(x).reshape(len(x), -1, 3, HEADS, E // HEADS).permute(2, 0, 3, 1, 4)
        if self.how == "kernel":
            mixed = F.scaled_dot_product_attention(q, k, v)
        else:
            scores = q @ k.mT
            weights = self.softmax(scores) if self.how == "layer" else scores.softmax(-1)
            mixed = weights @ v
        return self.proj(mixed.transpose(1, 2).flatten(2))


def feed():
    return nn.Sequential(nn.Linear(E, 16), nn.GELU(), nn.Linear(16, E))


@pytest.mark.parametrize("how", ["kernel", "function", "layer"])
def test_layers_that_are_children_of_what_attends(how):
    assert roles(Classifier(Attention(how), feed())) == {
        "body.0.qkv.weight": "attention",
        "body.0.proj.weight": "attention",
        "body.1.0.weight": "linear",
        "body.1.2.weight": "linear",
        "head.weight": "linear",
    }


@pytest.mark.parametrize("batch_first", [True, False])
def test_an_encoder_layer(batch_first):
    layer = nn.TransformerEncoderLayer(E, HEADS, 16, batch_first=batch_first)
    assert roles(Classifier(layer)) == {
        "body.0.self_attn.in_proj_weight": "attention",
        "body.0.self_attn.out_proj.weight": "attention",
        "body.0.linear1.weight": "linear",
        "body.0.linear2.weight": "linear",
        "head.weight": "linear",
    }


@pytest.mark.parametrize("need_weights", [True, False])
def test_a_matrix_that_attention_splits_is_attentions(need_weights):
    class Cross(nn.Module):
        """Attends to other tokens, for which queries are projected apart from keys and values."""

        def __init__(self):
            super().__init__()
            self.attend = nn.MultiheadAttention(E, HEADS, batch_first=True)

        def forward(self, x):
            other = x.flip(1)
            return self.attend(x, other, other, need_weights=need_weights)[0]

    found = roles(Classifier(Cross()))
    assert found["body.0.attend.in_proj_weight"] == found["body.0.attend.out_proj.weight"] == "attention"


def test_convolutions_embeddings_and_what_never_runs_are_other():
    class Patches(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.spare = nn.Conv1d(5, 5, 1), nn.Linear(3, 3)
            self.position = nn.Parameter(torch.zeros(1, 5, E))

        def forward(self, x):
            return self.conv(x) + self.position

    found = roles(Classifier(Patches(), Attention("kernel")))
    assert {name: role for name, role in found.items() if name.startswith("body.0")} == {
        "body.0.position": "other",
        "body.0.conv.weight": "other",
        "body.0.spare.weight": "other",
    }


def test_a_network_without_attention_has_linear_layers_alone():
    assert set(roles(Classifier(feed())).values()) == {"linear"}
    probabilities = nn.Sequential(nn.Flatten(), nn.Linear(5 * E, 3), nn.Softmax(dim=-1), nn.Linear(3, 3))
    assert roles(probabilities) == {"1.weight": "linear", "3.weight": "linear"}
