from __future__ import annotations

from dataclasses import replace

import pytest

from zerocost.report.fidelity_steps import fidelity_steps, table_fidelities


def test_ladder_compares_the_same_candidates(found):
    (rung,) = fidelity_steps(found)
    low, high = found.earlier[0].frame, found.table.frame
    names = list(high.index)
    assert (rung.before, rung.after, rung.total, len(rung.ranks)) == ("width=0.5", "full", 60, 15)
    assert sorted(rung.ranks["after"]) == list(range(1, 16))
    assert list(rung.follows) == ["order", "score", "jacob_cov"]
    expected = low.loc[names, "jacob_cov"].corr(high["jacob_cov"], method="spearman")
    assert rung.follows["jacob_cov"].spearman == pytest.approx(expected)


def test_an_interrupted_ladder_has_the_fidelity_it_got_to(found):
    assert table_fidelities(replace(found, earlier=[])) == ["width=0.5"]
    assert table_fidelities(found) == ["width=0.5", "full"]
    assert table_fidelities(replace(found, settings={})) == ["full", "full"]
