"""The networks and tables here against the full reference folder, where that lies beside the repository."""

from __future__ import annotations

import runpy

import pytest
import torch

from reference.cases import batch, build, filled
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
