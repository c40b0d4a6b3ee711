"""The networks and tables here against the full reference folder, where that lies beside the repository."""

from __future__ import annotations

import runpy

import pytest
import torch
from torch import Tensor, nn

from reference.cases import batch, build, filled, signs
from reference.values import GOLDEN, HERE, records, tables

SHARED = GOLDEN.parent
CASES = sorted({record.case for record in records()})

pytestmark = pytest.mark.skipif(
    not SHARED.is_dir(), reason="the full reference folder (../shared/reference) is not present"
)


def test_the_committed_tables_are_what_the_recorded_values_give() -> None:
    for name, text in tables(GOLDEN).items():
        assert (HERE / name).read_text() == text


def test_networks_weights_and_batches_are_the_recorded_ones_to_the_bit() -> None:
    recorded = runpy.run_path(str(SHARED / "cases.py"))
    assert sorted(recorded["CASES"]) == CASES
    for case in CASES:
        theirs, ours = recorded["build"](case).double(), build(case).double()
        recorded["fill"](theirs, 7)
        filled(ours, 7)
        assert all(torch.equal(a, b) for a, b in zip(theirs.parameters(), ours.parameters(), strict=True)), case
        inputs, labels = batch(5, 12, case)
        expected_inputs, expected_labels = recorded["batch"](5, 12, *recorded["spec"](case))
        assert torch.equal(inputs, expected_inputs)
        assert torch.equal(labels, expected_labels)
        with torch.no_grad():
            assert torch.equal(theirs(inputs[:2]), ours(inputs[:2])), case
        assert shapes(theirs, inputs[:1]) == shapes(ours, inputs[:1])


def shapes(model: nn.Module, inputs: Tensor) -> list[tuple[int, ...]]:
    """Of the maps of every module, in the order in which they return: what MeCo counts."""
    found: list[tuple[int, ...]] = []
    for module in model.modules():
        module.register_forward_hook(lambda *call: found.append(tuple(call[2].shape)))
    with torch.no_grad():
        model(inputs)
    return [shape for shape in found if len(shape) == 4]


def test_random_signs_are_the_recorded_ones() -> None:
    recorded = runpy.run_path(str(SHARED / "cases.py"))
    for draw in range(3):
        assert torch.equal(recorded["signs"](5, draw, (2, 3, 4)), signs(5, draw, (2, 3, 4)))
