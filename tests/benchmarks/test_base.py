"""Queries: what they answer, and what they say when they cannot."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zerocost import spaces
from zerocost.base.errors import InputError
from zerocost.benchmarks import Benchmark, Query
from zerocost.benchmarks.table import Row, table_from_rows

SPACE = spaces.get("macro")
ACCURACY = Query("cifar10", "test_accuracy", 50, "mean")
PARAMS = Query("cifar10", "params", 0, "mean")
CODES = ("00000000", "11111111", "22222222")
SEEDED = [ACCURACY._replace(seed=seed) for seed in (0, 1)]


def benchmark(*rows: Row, twins: bool = False) -> Benchmark:
    key = (lambda text: SPACE.canonical(SPACE.parse(text))) if twins else None
    return Benchmark("macro", SPACE, table_from_rows(rows, key), ACCURACY)


TRUTH = benchmark(
    Row(CODES[0], {SEEDED[0]: 90.0, SEEDED[1]: 91.0, PARAMS: 1000.0}),
    Row(CODES[1], {SEEDED[0]: 80.0, PARAMS: 2000.0}),
    Row(CODES[2], {ACCURACY._replace(dataset="cifar100", metric="loss", epochs=12): 0.5}),
)


def test_what_can_be_asked():
    assert (TRUTH.name, TRUTH.space, TRUTH.default) == ("macro", SPACE, ACCURACY)
    assert (TRUTH.datasets, TRUTH.metrics) == (("cifar10", "cifar100"), ("test_accuracy", "params", "loss"))
    assert (TRUTH.epochs, TRUTH.seeds) == ((0, 12, 50), (0, 1))
    assert tuple(TRUTH.architectures()) == CODES
    assert repr(TRUTH) == "Benchmark('macro', 3 architectures, cifar10, cifar100)"


def test_a_seed_and_the_mean_over_those_that_there_are():
    assert TRUTH.query(CODES[0], **SEEDED[1]._asdict()) == 91
    assert TRUTH.query(CODES[0], **ACCURACY._asdict()) == 90.5
    assert TRUTH.query(CODES[1], **ACCURACY._asdict()) == 80
    assert TRUTH.query(SPACE.parse(CODES[1]), **PARAMS._asdict()) == 2000


def test_what_a_query_leaves_out_is_that_of_the_default():
    assert TRUTH.query(CODES[0]) == 90.5
    assert TRUTH.query(CODES[0], seed=1) == 91
    assert TRUTH.query(CODES[1], metric="params", epochs=0) == 2000
    pd.testing.assert_series_equal(TRUTH.truth(), TRUTH.truth(**ACCURACY._asdict()))
    with pytest.raises(InputError, match=r"unknown macro epochs \(cifar10, params\) 50. Known: 0\."):
        TRUTH.query(CODES[0], metric="params")


def test_a_mean_that_the_source_states_stands():
    stated = benchmark(Row(CODES[0], {SEEDED[0]: 90.0, SEEDED[1]: 91.0, ACCURACY: 90.4}))
    assert stated.query(CODES[0], **ACCURACY._asdict()) == 90.4
    assert stated.truth(**ACCURACY._asdict()).tolist() == [90.4]


def test_truth_is_a_series_of_those_that_have_it():
    expected = pd.Series([90.5, 80.0], pd.Index(CODES[:2], name="architecture"), name="test_accuracy")
    pd.testing.assert_series_equal(TRUTH.truth(dataset="cifar10", metric="test_accuracy", epochs=50), expected)
    assert TRUTH.truth(**SEEDED[1]._asdict()).to_dict() == {CODES[0]: 91}


@given(st.lists(st.lists(st.none() | st.floats(0, 100), min_size=3, max_size=3), min_size=1, max_size=6))
def test_query_and_truth_agree(trainings):
    queries = [ACCURACY._replace(seed=seed) for seed in range(3)]
    rows = [
        Row(
            code,
            {query: value for query, value in zip(queries, values, strict=True) if value is not None} | {PARAMS: 1},
        )
        for code, values in zip(map(str, SPACE), trainings, strict=False)
    ]
    made = benchmark(*rows, Row("22222222", dict.fromkeys(queries, 1.0)))
    for query in (*queries, ACCURACY):
        truth = made.truth(**query._asdict())
        for row in rows:
            if row.text in truth:
                assert made.query(row.text, **query._asdict()) == truth[row.text]
            else:
                with pytest.raises(InputError, match="macro has no test_accuracy on cifar10"):
                    made.query(row.text, **query._asdict())
    means = made.truth(**ACCURACY._asdict())
    for row in rows:
        known = [value for query, value in row.values.items() if query != PARAMS]
        assert math.isclose(means.get(row.text, np.nan), np.mean(known)) if known else row.text not in means


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dataset": "cifar"}, r"macro dataset 'cifar'; did you mean 'cifar10'\? Known: cifar10, cifar100"),
        ({"metric": "accuracy"}, r"metric \(cifar10\) 'accuracy'; .* Known: params, test_accuracy"),
        ({"epochs": 12}, r"epochs \(cifar10, test_accuracy\) 12\. Known: 50\."),
        ({"metric": "params"}, r"epochs \(cifar10, params\) 50\. Known: 0\."),
        ({"seed": 777}, r"seed \(cifar10, test_accuracy, 50\) 777\. Known: 0, 1, mean\."),
        ({"seed": "average"}, r"seed \(cifar10, test_accuracy, 50\) 'average'\. Known: 0, 1, mean\."),
    ],
)
def test_an_unknown_name_is_answered_with_those_there_are(change, message):
    asked = ACCURACY._asdict() | change
    with pytest.raises(InputError, match=message):
        TRUTH.query(CODES[0], **asked)
    with pytest.raises(InputError, match=message):
        TRUTH.truth(**asked)


def test_an_architecture_without_truth_says_so():
    with pytest.raises(
        InputError, match=r"macro has no truth for 12121212; architectures\(\) lists the 3 that have it"
    ):
        TRUTH.query("12121212", **ACCURACY._asdict())
    with pytest.raises(InputError, match=r"no test_accuracy .* seed 1 for 11111111; it has seeds 0"):
        TRUTH.query(CODES[1], **SEEDED[1]._asdict())
    with pytest.raises(InputError, match=r"no params .* for 22222222; others have"):
        TRUTH.query(CODES[2], **PARAMS._asdict())
    with pytest.raises(InputError, match="is 8 digits"):
        TRUTH.query("3", **ACCURACY._asdict())


def test_a_twin_answers_only_where_twins_were_trained_as_one():
    rows = [Row("01102020", {ACCURACY: 90.0}), Row("01120020", {ACCURACY: 91.0})]
    assert benchmark(*rows, twins=True).query("01102002", **ACCURACY._asdict()) == 90
    assert benchmark(*rows, twins=True).query("01120020", **ACCURACY._asdict()) == 91
    with pytest.raises(InputError, match="no truth for 01102002"):
        benchmark(*rows).query("01102002", **ACCURACY._asdict())
