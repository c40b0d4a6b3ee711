"""What a surrogate sees: ranks among the pool, failures, encoding, graph."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone

from zerocost import spaces
from zerocost.base.errors import InputError
from zerocost.predict.features import Features, ranks_in_pool

SPACE = spaces.get("nasbench201")


def pool(n: int = 12) -> pd.DataFrame:
    texts = [str(arch) for arch in spaces.distinct(SPACE, n, np.random.default_rng(0))]
    return pd.DataFrame({"snip": np.arange(float(n)), "zen": np.arange(float(n))[::-1]}, index=texts)


@settings(deadline=None)
@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30), st.lists(st.floats(-2e6, 2e6), min_size=1))
def test_ranks_are_in_order_and_above_zero(known: list[float], asked: list[float]) -> None:
    values = np.sort(asked)
    found = ranks_in_pool(values, np.sort(known))
    assert ((found > 0) & (found <= 1)).all()
    assert (np.diff(found) >= 0).all()


def test_ranks_do_not_depend_on_the_scale_of_scores() -> None:
    scores = pool()
    grown = scores.assign(snip=np.exp(scores["snip"]), zen=1000 * scores["zen"])
    pd.testing.assert_frame_equal(Features().fit_transform(scores), Features().fit_transform(grown))


def test_others_are_ranked_among_the_pool_alone() -> None:
    scores = pool()
    features = Features().fit(scores)
    assert features.transform(scores.iloc[[3]]).equals(features.transform(scores).iloc[[3]])
    beyond = pd.DataFrame({"snip": [-9.0, 99.0], "zen": [0.0, 0.0]}, index=["a", "b"])
    assert features.transform(beyond)["rank:snip"].tolist() == [1 / 12, 1.0]


@pytest.mark.parametrize("failed", [np.nan, np.inf, -np.inf])
def test_a_failed_score_is_in_the_middle_and_told(failed: float) -> None:
    scores = pool()
    scores.iloc[4, 0] = failed
    table = Features().fit_transform(scores)
    assert list(table) == ["rank:snip", "rank:zen", "failed:snip"]
    assert table["failed:snip"].sum() == table["failed:snip"].iloc[4] == 1
    assert table["rank:snip"].iloc[4] == pytest.approx(table["rank:snip"].drop(table.index[4]).mean())


def test_parts_and_names() -> None:
    scores = pool()
    everything = Features("nasbench201", "all").fit(scores)
    table = everything.transform(scores)
    assert list(table) == list(everything.get_feature_names_out())
    assert {name.partition(":")[0] for name in table} == {"rank", "encoding", "count", "graph"}
    assert np.array_equal(table.filter(like="encoding").iloc[0], SPACE.encode(SPACE.parse(scores.index[0])))
    assert {name.partition(":")[0] for name in Features(SPACE).fit_transform(scores)} == {"rank", "graph"}
    assert {name.partition(":")[0] for name in Features(SPACE).fit_transform(scores[[]])} == {"graph"}
    assert clone(everything).get_params() == everything.get_params()


def test_counts_of_texts_and_sums_of_numbers() -> None:
    table = Features(SPACE, "counts").fit_transform(pool())
    assert (table.sum(axis=1) == 6).all()
    convolutions = [text.count("nor_conv_3x3") for text in table.index]
    assert table["count:nor_conv_3x3"].tolist() == convolutions
    sizes = spaces.get("nats_size")
    widths = Features(sizes, "counts").fit_transform(pd.DataFrame({"snip": [1.0]}, index=["56:48:40:24:8"]))
    assert widths.iloc[0].to_dict() == {"count:cell": 56 + 40 + 8, "count:reduction": 48 + 24}
    with pytest.raises(InputError, match="no choices to count"):
        Features(parts="counts").fit(pool())


def test_a_space_without_cells_has_its_encoding() -> None:
    space = spaces.get("nats_size")
    texts = [str(arch) for arch in spaces.distinct(space, 5, np.random.default_rng(0))]
    table = Features(space).fit_transform(pd.DataFrame({"snip": range(5)}, index=texts))
    assert {name.partition(":")[0] for name in table} == {"rank", "encoding"}
    with pytest.raises(InputError, match="has no cells"):
        Features(space, ("proxies", "graph")).fit(pd.DataFrame({"snip": range(5)}, index=texts))


@pytest.mark.parametrize(
    ("features", "scores", "message"),
    [
        (Features(), pd.DataFrame(index=["a"]), "no features to learn from"),
        (Features(parts="encoding"), pool(), "without a space there is no encoding"),
        (Features(parts="graph"), pool(), "without a space there is no graph"),
        (Features(SPACE, parts="proxies"), pool()[[]], "the scores have no column"),
        (Features(SPACE, parts="graphs"), pool(), "did you mean 'graph'"),
        (Features(SPACE, parts=()), pool(), "but got none"),
        (Features("nasbench2001"), pool(), "did you mean 'nasbench201'"),
        (Features(SPACE), pool().reset_index(drop=True), "reads"),
        (Features(), pool().assign(name="x"), "must be numbers"),
        (Features(), np.zeros((2, 2)), "pandas DataFrame"),
    ],
)
def test_what_cannot_be_used_is_said(features: Features, scores: pd.DataFrame, message: str) -> None:
    with pytest.raises(InputError, match=message):
        features.fit(scores)


def test_a_column_that_is_gone_is_named() -> None:
    features = Features().fit(pool())
    with pytest.raises(InputError, match="lack zen"):
        features.transform(pool()[["snip"]])
