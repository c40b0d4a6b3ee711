from __future__ import annotations

import pytest
import torch

from zerocost.base.errors import InputError
from zerocost.data import draw
from zerocost.data.tokens import load_tokens


def test_items_are_uniform_independent_and_repeatable():
    data = load_tokens("50:8")
    assert len(data) == 10_000
    texts = torch.stack([data[index] for index in range(400)])
    assert texts.shape == (400, 50)
    assert texts.dtype == torch.int64
    shares = texts.flatten().bincount() / texts.numel()
    assert shares.tolist() == pytest.approx([1 / 8] * 8, abs=0.01)
    assert (texts[1:] == texts[:-1]).float().mean().item() == pytest.approx(1 / 8, abs=0.01)
    assert torch.equal(load_tokens("50:8")[7], data[7])


@pytest.mark.parametrize(("argument", "length", "vocabulary"), [("", 32, None), ("7", 7, None), ("7:5", 7, 5)])
def test_length_and_vocabulary_are_read(argument, length, vocabulary):
    data = load_tokens(argument)
    assert (len(data[0]), data.vocabulary) == (length, vocabulary)
    assert max(int(data[index].max()) for index in range(300)) == (vocabulary or 256) - 1


def test_a_batch_has_no_labels():
    inputs, targets = draw("tokens:5:9", 4)
    assert inputs.shape == (4, 5)
    assert targets is None


def test_the_target_is_a_class_or_the_tokens_themselves():
    ids, labels = draw("tokens:5:9:3", 64)
    assert torch.equal(draw("tokens:5:9", 64)[0], ids)
    assert set(labels.tolist()) == {0, 1, 2}
    tokens, targets = draw("tokens:5:9:next", 4)
    assert torch.equal(tokens, targets)


def test_it_ends():
    assert sum(1 for _ in load_tokens("1:1")) == 10_000


@pytest.mark.parametrize("argument", ["0", "-3", "long", "8:0", "8:many", "8:9:many", "8:9:2:1", "3.5"])
def test_another_length_or_vocabulary_is_refused(argument):
    with pytest.raises(InputError, match=r"whole number of at least 1.*write tokens:LENGTH:VOCAB"):
        load_tokens(argument)
