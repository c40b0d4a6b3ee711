from __future__ import annotations

import pandas as pd

from zerocost.combine import as_combination
from zerocost.report.candidates import objective_values, values_as_proposed
from zerocost.search.objectives import Objectives


def test_values_of_several_objectives_are_those_of_the_search(found):
    expected = Objectives(("score", "params"), as_combination("log_synflow,jacob_cov")).values(found.table.frame)
    pd.testing.assert_frame_equal(objective_values(found, found.table), expected)


def test_a_ranking_wants_its_rank_score(result):
    values = objective_values(result, result.table)["score"]
    assert values.dropna().tolist() == result.table.frame["rank_score"][:200].tolist()
    assert values.isna().sum() == 3


def test_history_goes_by_the_first_fidelity_in_the_order_proposed(found):
    proposed = values_as_proposed(found)
    assert list(proposed.index) == found.order
    assert proposed["params"].tolist() == found.earlier[0].frame["params"][found.order].tolist()
