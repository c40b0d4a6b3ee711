from __future__ import annotations

import dataclasses
import json

import pandas as pd
import pytest

import zerocost as zc
from zerocost import combine
from zerocost.base.errors import InputError
from zerocost.tuning import Tuned, tune
from zerocost.tuning.scores import ScoringSetup, Setting, all_settings, score_settings

DIGITS = zc.benchmarks.get("digits")
SMALL = {"fidelities": ["width=0.1,depth=0.2"], "batches": [4], "repeats": [1], "trials": 12, "folds": 2, "rounds": 1}
PROXIES = "params,depth,log_synflow"


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    steps: list[tuple[str, int, int]] = []
    store = tmp_path_factory.mktemp("scores") / "scores.db"
    settings = SMALL | {"repeats": [1, 2], "trials": 8}
    tuned = tune(
        DIGITS, proxies=PROXIES, n=10, pool=4, store=store, progress=lambda *step: steps.append(step), **settings
    )
    return tuned, steps, store


def test_a_tuning_of_real_networks_reports_what_it_is_worth_on_others(found):
    tuned, steps, _ = found
    assert tuned.low <= tuned.gain <= tuned.high
    assert tuned.gain == pytest.approx(tuned.kendall - tuned.baseline)
    assert tuned.better is (tuned.low > 0)
    assert len(tuned.parts) == 2
    assert set(tuned.table.index) >= {"params", "depth", "log_synflow"}
    assert {name: w for name, w in tuned.table["weight"].items() if w} == dict(tuned.combination.weights)
    assert ("score", 20, 20) in steps
    assert steps[-1][0] in ("tune", "score")
    assert f"{tuned.gain:+.3f}".replace("-", "−") in str(tuned)
    assert "held-out" in tuned.verdict


def test_it_is_a_combination_that_a_file_and_at_its_fidelity_rank_take(found, tmp_path):
    tuned, _, _ = found
    assert len(tuned.combination.reference) == 4
    tuned.save(tmp_path / "tuned.json")
    assert combine.load(tmp_path / "tuned.json").weights == tuned.combination.weights
    made = json.loads((tmp_path / "tuned.json").read_text())["made"]
    assert made["trained"] == 10
    assert made["measured"]["gain"] == [tuned.gain, tuned.low, tuned.high]
    space = DIGITS.space
    builders = {str(a): (lambda a=a: space.build(a)) for a in list(space)[:2]}
    with pytest.raises(InputError, match="give it to search"):
        zc.rank(builders, "digits:8", str(tmp_path / "tuned.json"))
    dataclasses.replace(tuned.combination, fidelity=None).save(tmp_path / "full.json")
    table = zc.rank(builders, "digits:8", str(tmp_path / "full.json"))
    assert set(table.proxies) == set(tuned.combination.proxies)


def test_again_it_finds_the_same_and_scores_nothing(found, monkeypatch):
    tuned, _, store = found
    monkeypatch.setattr("zerocost.run.job.score_candidate", None)
    again = tune(DIGITS, proxies=PROXIES, n=10, pool=4, store=store, **(SMALL | {"repeats": [1, 2], "trials": 8}))
    assert again.combination.weights == tuned.combination.weights
    assert (again.gain, again.low, again.high) == (tuned.gain, tuned.low, tuned.high)


def test_failed_scores_do_not_stop_it():
    texts = [str(arch) for arch in list(DIGITS.space)[:9]]
    known = {text: 0.5 + i / 100 for i, text in enumerate(texts)}
    tuned = tune(known, DIGITS.space, "noise:3x8x8", proxies="snip,params", **SMALL)
    assert "snip" not in tuned.combination.weights
    assert tuned.combination.weights


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"trials": 1}, "trials must be at least 2"),
        ({"pool": -1}, "pool must be at least 0"),
        ({"methods": ["mean"]}, "unknown method 'mean'"),
        ({"methods": 3}, "methods must be a list of log_rank, rank_mean, .*, but got 3"),
        ({"batches": 64}, "batches must be a list of whole numbers, but got 64"),
        ({"batches": [0]}, "batches must be whole numbers from 1, but got 0"),
        ({"fidelities": []}, "at least one fidelity"),
        ({"fidelities": ["width=2"]}, "width"),
        ({"proxies": "snpi"}, "did you mean 'snip'"),
        ({"n": 7}, "train at least 8"),
    ],
)
def test_what_cannot_be_used_is_refused(settings, message):
    with pytest.raises(InputError, match=message):
        tune(DIGITS, **(SMALL | settings))


def test_accuracies_alone_need_a_space_and_data():
    with pytest.raises(InputError, match="name the space"):
        tune({"a": 0.5})
    with pytest.raises(InputError, match="name the data"):
        tune({"a": 0.5}, "cnn")


def test_where_nothing_can_be_scored_the_reason_is_given():
    from zerocost.store import Store

    with Store(None) as store, pytest.raises(InputError, match="no network could be scored"):
        text = str(next(iter(DIGITS.space)))
        score_settings([text], [Setting("full", 4, 1)], ScoringSetup(DIGITS.space, "noise:7x8x8:10", ["snip"], store))


def test_settings_are_ordered_from_cheap_to_dear_and_repeats_share_their_scores():
    made = all_settings(["full", "resolution=4"], [8, 4], [2, 1])
    assert made[0] == Setting("resolution=4", 4, 1)
    assert made[-1] == Setting("full", 8, 2)
    assert len(made) == 8


@pytest.mark.parametrize(
    ("low", "high", "words"), [(0.1, 0.3, "better"), (-0.1, 0.3, "no difference is certain"), (-0.3, -0.1, "worse")]
)
def test_the_verdict_follows_the_interval(low, high, words):
    table = pd.DataFrame()
    tuned = Tuned(combine.default, (low + high) / 2, low, high, 0.5, 0.9, 0.4, 0.3, table, table)
    assert words in tuned.verdict
    assert dataclasses.replace(tuned, low=0.01).better
