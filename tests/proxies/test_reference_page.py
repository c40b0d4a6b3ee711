"""The comparison in the documentation is of the committed records, and within tolerance."""

from __future__ import annotations

import math

import pytest

from reference.compare import differs, reason
from reference.table import PAGE, TOO_SMALL, beyond, kept_means, kept_rows, page
from reference.values import means, records

if not PAGE.is_file():
    pytest.skip("the documentation is not here", allow_module_level=True)


def test_each_record_is_compared() -> None:
    rows, wanted = kept_rows(), records()
    assert [row[:3] for row in rows] == [record[:3] for record in wanted]
    for row, record in zip(rows, wanted, strict=True):
        scale = 1e6 if row.proxy in ("params", "flops") else 1
        close = math.isclose(row.theirs, record.value * scale, rel_tol=1e-2)
        assert close or (math.isnan(row.theirs) and math.isnan(record.value))
        authors_vkdnw = row.proxy == "vkdnw_entropy"
        same = record.value > TOO_SMALL if authors_vkdnw else reason(record) is None and not differs(record)
        assert bool(row.difference) == same


def test_each_mean_of_a_small_case_is_compared() -> None:
    compared = {row[:3] for row in kept_means()}
    assert compared <= {mean[:3] for mean in means()}
    assert {proxy for _, _, proxy in compared} == {mean.proxy for mean in means()}


def test_nothing_differs_by_more_than_the_tolerance() -> None:
    assert beyond(kept_rows(), kept_means()) == []


def test_the_page_is_that_of_the_tables() -> None:
    assert PAGE.read_text() == page(kept_rows(), kept_means()), "run make reference"
