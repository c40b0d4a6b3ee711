from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

N, T, E, HEADS = 3, 5, 8, 2


def tokens(n=N, t=T, e=E, seed=0):
    return torch.randn(n, t, e, generator=torch.Generator().manual_seed(seed))


class Calls(nn.Module):
    """A network of one function."""

    def __init__(self, call):
        super().__init__()
        self.call = call

    def forward(self, x):
        return self.call(x)


def heads(x):
    return x.reshape(len(x), x.shape[1], HEADS, -1).transpose(1, 2)


def by_hand(query, key, mask=None, scale=None):
    scores = query @ key.transpose(-2, -1) * (scale or 1 / math.sqrt(query.shape[-1]))
    return torch.softmax(scores if mask is None else scores + mask, dim=-1)


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("need_weights", [True, False])
def test_the_weights_of_multihead_attention(watched, batch_first, need_weights):
    torch.manual_seed(0)
    mha = nn.MultiheadAttention(E, HEADS, batch_first=batch_first)
    x = tokens()
    given = x if batch_first else x.transpose(0, 1)
    _, expected = mha(given, given, given, need_weights=True, average_attn_weights=False)
    (found,) = watched("attention_maps", Calls(lambda v: mha(v, v, v, need_weights=need_weights)), given, samples=N)
    assert torch.allclose(found.reshape(N, HEADS, T, T), expected, atol=1e-6)


CAUSAL = torch.full((T, T), -torch.inf).triu(1)


@pytest.mark.parametrize(
    ("options", "mask", "scale"),
    [
        ({}, None, None),
        ({"scale": 0.3}, None, 0.3),
        ({"is_causal": True}, CAUSAL, None),
        ({"attn_mask": CAUSAL}, CAUSAL, None),
        ({"attn_mask": CAUSAL == 0}, CAUSAL, None),
        ({"attn_mask": torch.linspace(-1, 1, T * T).reshape(T, T), "scale": 2.0}, "given", 2.0),
        ({"dropout_p": 0.5}, None, None),
    ],
)
def test_the_weights_of_scaled_dot_product_attention(watched, options, mask, scale):
    mask = options["attn_mask"] if mask == "given" else mask
    one, other = heads(tokens()), heads(tokens(seed=1))
    model = Calls(lambda v: F.scaled_dot_product_attention(v, other, other, **options))
    (found,) = watched("attention_maps", model, one)
    assert torch.allclose(found, by_hand(one, other, mask, scale), atol=1e-6)
    assert torch.allclose(found.sum(-1), torch.ones(N, HEADS, T))
    if "dropout_p" not in options:
        assert torch.allclose(found @ other, F.scaled_dot_product_attention(one, other, other, **options), atol=1e-6)


def test_arguments_by_position_and_by_name_are_the_same(watched):
    x = heads(tokens())
    by_place = Calls(lambda v: F.scaled_dot_product_attention(v, v, v, CAUSAL, 0.0, False))
    by_name = Calls(lambda v: F.scaled_dot_product_attention(value=v, key=v, query=v, attn_mask=CAUSAL))
    one, other = (watched("attention_maps", model, x)[0] for model in (by_place, by_name))
    assert torch.equal(one, other) and torch.allclose(one, by_hand(x, x, CAUSAL), atol=1e-6)


def test_grouped_queries(watched):
    query, key = torch.randn(N, 4, T, E), torch.randn(N, 2, T, E)
    model = Calls(lambda v: F.scaled_dot_product_attention(v, key, key, enable_gqa=True))
    (found,) = watched("attention_maps", model, query)
    assert torch.allclose(found @ key.repeat_interleave(2, 1), model(query), atol=1e-6)


@pytest.mark.parametrize(
    "softmax",
    [
        lambda s: torch.softmax(s, -1),
        lambda s: torch.softmax(s, dim=3),
        lambda s: F.softmax(s, dim=-1),
        lambda s: s.softmax(-1),
        nn.Softmax(dim=-1),
    ],
)
def test_attention_written_out(watched, softmax):
    def attend(v):
        query = heads(v)
        return softmax(query @ query.transpose(-2, -1) / math.sqrt(E / HEADS)) @ query

    x = tokens()
    (found,) = watched("attention_maps", Calls(attend), x)
    assert torch.allclose(found, by_hand(heads(x), heads(x)), atol=1e-6)


@pytest.mark.parametrize(
    "call",
    [lambda x: torch.softmax(x[:, 0], -1), lambda x: torch.softmax(x, 1), lambda x: torch.log_softmax(x, -1)],
)
def test_other_softmaxes_are_no_attention(watched, call):
    assert "no attention was seen" in str(watched("attention_maps", Calls(call), tokens()))


def test_each_layer_of_an_encoder_is_seen_once(watched):
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(E, HEADS, 16, batch_first=True)
    encoder = nn.TransformerEncoder(layer, 3, enable_nested_tensor=False)
    for model in (encoder, encoder.eval()):
        found = watched("attention_maps", model, tokens())
        assert [tuple(m.shape[-2:]) for m in found] == [(T, T)] * 3
        assert all(torch.allclose(m.sum(-1), torch.ones(m.shape[:-1])) for m in found)


def test_weights_overwritten_by_dropout_in_place_are_kept(watched):
    def attend(v):
        return F.dropout(torch.softmax(v @ v.mT, -1), 0.9, training=True, inplace=True) @ v

    (found,) = watched("attention_maps", Calls(attend), tokens())
    assert torch.allclose(found.sum(-1), torch.ones(N, T))
