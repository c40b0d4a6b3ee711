"""The metrics that can be named: torchmetrics' values and directions."""

from __future__ import annotations

import math

import pytest
import torch
import torchmetrics
import torchmetrics.classification
import torchmetrics.text
from torch import nn

from zerocost.tasks.metrics import LOSS, METRICS, Meter

LOGITS = torch.tensor([[2.0, 0.0, 1.0], [0.0, 1.0, 3.0], [0.5, 2.0, 0.0], [0.0, 0.1, 4.0]])
PREFIX = {"multiclass": "Multiclass", "multilabel": "Multilabel", "numbers": "", "tokens": ""}


def measured(metric, form, *batches):
    meter = Meter(metric, form)
    for outputs, targets in batches:
        meter.update(outputs, targets)
    return meter.compute()


@pytest.mark.parametrize("name", sorted(set(METRICS) - {LOSS}))
def test_directions_are_those_of_torchmetrics(name):
    known = METRICS[name]
    for form in known.forms:
        prefix = "Multiclass" if form == "tokens" and name != "perplexity" else PREFIX[form]
        libraries = (torchmetrics, torchmetrics.classification, torchmetrics.text)
        kind = next(getattr(one, prefix + known.name) for one in libraries if hasattr(one, prefix + known.name))
        assert kind.higher_is_better is known.higher_is_better


def test_accuracy_is_counted_over_all_batches_and_leaves_out_what_does_not_count():
    labels = torch.tensor([0, 1, 1, -100])
    batches = [(LOGITS[:3], labels[:3]), (LOGITS[3:], labels[3:])]
    assert measured("accuracy", "multiclass", *batches) == pytest.approx(2 / 3)
    assert measured("accuracy", "multiclass", (torch.tensor([1.0, -1.0, 3.0]), torch.tensor([1, 1, 1]))) == 0.6666667


def test_mean_iou_of_masks_by_hand():
    outputs = torch.zeros(1, 2, 1, 4)
    outputs[0, 1, 0, :2] = 1  # the first two pixels are class 1, the others class 0
    targets = torch.tensor([[[1, 0, 0, -100]]])  # class 1: 1 of 2, class 0: 1 of 2
    assert measured("jaccard_index", "multiclass", (outputs, targets)) == pytest.approx(0.5)


def test_labels_are_told_apart_at_one_half_of_the_probability():
    outputs, targets = torch.tensor([[0.4, -0.4], [0.2, 3.0]]), torch.tensor([[1.0, 1.0], [0.0, 1.0]])
    assert measured("accuracy", "multilabel", (outputs, targets)) == pytest.approx(0.5)
    assert measured("average_precision", "multilabel", (outputs, targets)) == pytest.approx(1.0)


def test_errors_by_hand():
    outputs, targets = torch.tensor([[1.0], [2.0], [4.0]]), torch.tensor([1.0, 4.0, 3.0])
    expected = {"mean_squared_error": 5 / 3, "mean_absolute_error": 1.0, "root_mean_squared_error": math.sqrt(5 / 3)}
    expected["r2_score"] = 1 - 5 / float((targets - targets.mean()).square().sum())
    for name, value in expected.items():
        assert measured(name, "numbers", (outputs, targets)) == pytest.approx(value, rel=1e-5)
    images = torch.zeros(2, 1, 3, 3), torch.full((2, 3, 3), 2.0)
    assert measured("mean_squared_error", "numbers", images) == 4


def test_tokens_are_predicted_one_ahead():
    tokens = torch.tensor([[0, 1, 2, 1]])
    outputs = nn.functional.one_hot(torch.tensor([[1, 2, 1, 0]]), 3).float() * math.log(8)  # right three times in a row
    assert measured("accuracy", "tokens", (outputs, tokens)) == 1
    assert measured("perplexity", "tokens", (outputs, tokens)) == pytest.approx(10 / 8, rel=1e-5)


def test_a_metric_of_torchmetrics_gets_what_there_is_and_is_left_alone():
    own = torchmetrics.MeanAbsoluteError()
    assert measured(own, "numbers", (torch.ones(4), torch.zeros(4))) == 1
    assert own.update_count == 0


def test_an_axis_of_one_does_not_matter_to_a_metric_of_torchmetrics():
    outputs, targets = torch.tensor([[1.0], [2.0], [4.0]]), torch.tensor([1.0, 3.0, 2.0])
    meter = Meter(torchmetrics.PearsonCorrCoef(), "numbers")
    meter.update(outputs, targets)
    assert meter.compute() == pytest.approx(float(torch.corrcoef(torch.stack([outputs[:, 0], targets]))[0, 1]))
    meter = Meter(torchmetrics.classification.BinaryAccuracy(), "multiclass")
    meter.update(outputs - 3, torch.tensor([0, 0, 1]))
    assert meter.compute() == 1
