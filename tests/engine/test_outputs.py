"""Which tensor is scored in what a network returns."""

from __future__ import annotations

from collections import namedtuple
from types import SimpleNamespace

import pytest
import torch
from torch import nn

import zerocost as zc
from zerocost.base.errors import Failure, InputError
from zerocost.engine.outputs import OutputPicker

VALUE, OTHER = torch.ones(2, 3), torch.zeros(2, 3)
Named = namedtuple("Named", ["logits", "aux"])


@pytest.mark.parametrize(
    ("returned", "found"),
    [
        (VALUE, ""),
        ({"logits": VALUE, "aux": OTHER}, "logits"),
        ({"aux": OTHER, "out": VALUE}, "out"),
        (SimpleNamespace(sample=VALUE), "sample"),
        (SimpleNamespace(last_hidden_state=VALUE, pooler_output=OTHER), "last_hidden_state"),
        (Named(VALUE, OTHER), "logits"),
        ({"head": VALUE, "note": "text"}, "head"),
        ((VALUE, None), "[0]"),
        ([None, torch.tensor(1.0), VALUE, OTHER], "[2]"),
    ],
)
def test_common_outputs_are_found_and_named(returned, found):
    pick = OutputPicker()
    assert pick(returned) is VALUE
    assert pick.found == found


@pytest.mark.parametrize(
    ("output", "returned"),
    [
        ("head", {"logits": OTHER, "head": VALUE}),
        ("head", SimpleNamespace(head=VALUE)),
        (1, (OTHER, VALUE)),
        (-1, [OTHER, VALUE]),
        (lambda returned: returned["a"]["b"], {"a": {"b": VALUE}}),
    ],
)
def test_an_output_can_be_named(output, returned):
    assert OutputPicker(output)(returned) is VALUE


@pytest.mark.parametrize(
    ("output", "returned", "reason"),
    [
        (None, None, "returned a NoneType, expected a tensor.*output="),
        (None, {"boxes": VALUE, "scores": OTHER}, "returned a dict of boxes, scores"),
        ("head", {"body": VALUE}, "no output 'head' in a dict of body"),
        ("head", VALUE, "no output 'head' in a Tensor"),
        (2, (VALUE, OTHER), "no output '2' in a tuple of Tensor, Tensor"),
        ("head", {"head": (VALUE,)}, "output 'head' is a tuple, expected a tensor"),
    ],
)
def test_what_holds_no_such_tensor_is_a_named_failure(output, returned, reason):
    with pytest.raises(Failure, match=reason):
        OutputPicker(output)(returned)


def test_an_output_of_another_type_is_refused():
    with pytest.raises(InputError, match="output must be a key"):
        OutputPicker(1.5)


class TwoHeads(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.other = nn.Linear(4, 3), nn.Linear(4, 3)

    def forward(self, x):
        return {"one": self.one(x), "other": self.other(x)}


def test_scores_are_those_of_the_output_that_was_named():
    torch.manual_seed(0)
    model, batch = TwoHeads(), (torch.rand(8, 4), torch.arange(8) % 3)
    for name in ("one", "other"):
        card = zc.score(model, batch, "jacob_cov", output=name)
        alone = zc.score(getattr(model, name), batch, "jacob_cov")
        assert dict(card) == pytest.approx(dict(alone)) and card.provenance["output"] == name
    failures = zc.score(model, batch, "snip").failures
    assert "name the one to score with output=" in failures["snip"]
