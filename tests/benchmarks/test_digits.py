"""Benchmark `digits`, which comes with zerocost: what its table holds, and that it can judge proxies."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import spearmanr

import zerocost as zc
from zerocost import benchmarks

ACCURACY = {"dataset": "digits-hard", "metric": "test_accuracy", "epochs": 8}
VALIDATION = ACCURACY | {"metric": "validation_accuracy"}


@pytest.fixture(autouse=True)
def nothing_converted(tmp_path, monkeypatch):
    monkeypatch.setenv("ZEROCOST_BENCHMARKS", str(tmp_path))


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZEROCOST_BENCHMARKS", str(tmp_path_factory.mktemp("home")))
        return benchmarks.get("digits")


def by_seed(digits, query):
    return pd.DataFrame({seed: digits.truth(**query, seed=seed) for seed in digits.seeds})


def test_500_architectures_were_trained_from_three_seeds(digits):
    assert digits.default == benchmarks.Query(**ACCURACY, seed="mean")
    assert digits.seeds == (0, 1, 2)
    assert len({digits.space.canonical(digits.space.parse(text)) for text in digits.architectures()}) == 500
    for query in (ACCURACY, VALIDATION):
        table = by_seed(digits, query)
        assert table.shape == (500, 3)
        assert not table.isna().any(axis=None)
        assert table.min(axis=None) >= 0
        assert table.max(axis=None) <= 100


def test_accuracies_spread(digits):
    low, high = np.percentile(digits.truth(**ACCURACY), [5, 95])
    assert high - low >= 20


def test_seeds_agree_on_the_order_and_so_does_the_validation(digits):
    test, validation = by_seed(digits, ACCURACY), by_seed(digits, VALIDATION)
    for one, other in itertools.combinations(digits.seeds, 2):
        assert spearmanr(test[one], test[other]).statistic > 0.8
        assert spearmanr(validation[one], test[other]).statistic > 0.8


def test_parameters_are_those_of_the_networks(digits):
    for text in digits.architectures()[::100]:
        network = digits.space.build(digits.space.parse(text))
        found = digits.query(text, dataset="digits-hard", metric="params", epochs=0, seed="mean")
        assert found == sum(weights.numel() for weights in network.parameters())


def test_its_data_fits_its_networks(digits):
    inputs, targets = zc.data.draw(zc.data.load(digits.data), 16)
    network = digits.space.build(digits.space.parse(digits.architectures()[0]))
    assert network(inputs).shape == (16, 10)
    assert targets is not None
    assert torch.unique(targets).numel() > 1


def test_proxies_are_evaluated_on_it_with_nothing_but_the_name():
    found = zc.evaluate("digits", "naswot", n=12, seeds=1, k=3, resamples=20)
    assert len(found.truth) == 12
    assert found.settings["data"] == "digits-hard"
    assert found.settings["architectures"] == "12 of 500"
    assert found.query == benchmarks.Query(**ACCURACY, seed="mean")
    assert not found.failures.size


def test_a_csv_of_ones_own_takes_its_place(tmp_path, digits):
    text = digits.architectures()[0]
    (tmp_path / "mine.csv").write_text(f'arch,test_accuracy\n"{text}",71.5\n')
    assert benchmarks.get("digits", tmp_path / "mine.csv").query(text, **ACCURACY, seed="mean") == 71.5
