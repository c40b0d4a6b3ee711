from __future__ import annotations

import json
import math
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.data import TensorDataset

import zerocost as zc
from zerocost.base.errors import InputError
from zerocost.combine import Combination, as_combination, default, for_inputs, load, log_rank, rank_mean, tokens, vote
from zerocost.engine.proxy import REGISTRY
from zerocost.proxies import get

whole = st.integers(-50, 50).map(float)
cells = st.one_of(whole, st.just(math.nan))
tables = st.lists(st.lists(cells, min_size=3, max_size=3), min_size=1, max_size=8).map(
    lambda rows: pd.DataFrame(rows, columns=["a", "b", "c"])
)
weights = st.fixed_dictionaries({name: st.sampled_from([-1.0, -0.5, 0.0, 0.25, 1.0]) for name in "abc"}).filter(
    lambda found: any(found.values())
)
methods = pytest.mark.parametrize("method", ["log_rank", "rank_mean", "vote"])
fewer = settings(max_examples=35)  # for each of three methods
SCORES = pd.DataFrame({"a": [1.0, 2, 3, 4], "b": [4.0, 1, 3, 2]}, index=list("wxyz"))


@methods
@fewer
@given(tables, weights)
def test_a_missing_score_is_a_number_for_who_has_others_and_last_for_who_has_none(method, scores, weights):
    used = [name for name, weight in weights.items() if weight]
    combined = Combination(weights, method)(scores)
    assert (np.isfinite(combined) == scores[used].notna().any(axis=1)).all()


@methods
@fewer
@given(tables, weights)
def test_a_negative_weight_is_the_score_turned_round(method, scores, weights):
    turned = scores * [math.copysign(1, weights[name]) for name in scores]
    sizes = {name: abs(weight) for name, weight in weights.items()}
    pd.testing.assert_series_equal(Combination(weights, method)(scores), Combination(sizes, method)(turned))


@methods
@fewer
@given(tables, weights)
def test_a_weight_of_nothing_is_a_proxy_left_out(method, scores, weights):
    rest = {name: weight for name, weight in weights.items() if weight}
    pd.testing.assert_series_equal(Combination(weights, method)(scores), Combination(rest, method)(scores[list(rest)]))


@methods
@fewer
@given(tables, tables)
def test_with_a_reference_a_candidate_is_worth_the_same_alone_and_among_others(method, scores, reference):
    assume(reference.notna().any(axis=None))
    fixed = Combination(dict.fromkeys("abc", 1.0), method).against(reference)
    together = fixed(scores)
    for place in range(len(scores)):
        assert fixed(scores.iloc[[place]]).iloc[0] == pytest.approx(together.iloc[place])


@given(tables, weights)
def test_terms_add_up_where_nothing_failed(scores, weights):
    whole = scores.dropna()
    combination = Combination(weights)
    assert combination.terms(whole).sum(axis=1).to_numpy() == pytest.approx(combination(whole).to_numpy())


def test_equal_weights_are_the_plain_functions():
    both = {"a": 1.0, "b": 1.0}
    for method, function in (("log_rank", log_rank), ("rank_mean", rank_mean), ("vote", vote)):
        pd.testing.assert_series_equal(Combination(both, method)(SCORES), function(SCORES))


def test_a_heavier_proxy_decides():
    assert Combination({"a": 1.0, "b": 0.1})(SCORES).idxmax() == "z"
    assert Combination({"a": 0.1, "b": 1.0})(SCORES).idxmax() == "w"


def test_a_vote_worked_by_hand():
    scores = pd.DataFrame({"a": [1.0, 2, 3], "b": [2.0, 1, 3], "c": [2.0, math.nan, 1]}, index=["x", "y", "z"])
    # x-y: one vote each and no third: a half; x-z: z by two of three; y-z: z by both
    assert vote(scores).to_dict() == {"x": 0.25, "y": 0.25, "z": 1.0}


def test_a_vote_of_many_candidates_is_that_of_all_pairs():
    values = np.random.default_rng(0).normal(size=(600, 3))
    wins = np.sign(np.sign(values[:, None] - values[None]).sum(-1)).sum(1)
    assert vote(pd.DataFrame(values)).to_numpy() == pytest.approx((wins / 599 + 1) / 2)


def test_a_vote_has_no_terms():
    with pytest.raises(InputError, match="leave proxies out one at a time"):
        Combination({"a": 1}, "vote").terms(SCORES)


def test_it_is_written_and_read_whole(tmp_path):
    reference = pd.DataFrame({"snip": [1.0, math.nan, 3.0], "naswot": [1e-300, 2.5, 7.0]})
    made = Combination(
        {"snip": -0.25, "naswot": 1.0},
        "rank_mean",
        batch=32,
        repeats=2,
        fidelity="width=0.5",
        where="params > 10",
        reference=reference,
        made={"kendall": 0.5},
    )
    made.save(tmp_path / "made.json")
    read = load(tmp_path / "made.json")
    pd.testing.assert_frame_equal(read.reference, reference)
    assert read == made and hash(read) == hash(made)
    assert replace(read, batch=64) != made != made.weights
    assert read.against(pd.DataFrame({"snip": [1.0], "naswot": [2.0]})) != made
    assert as_combination(str(tmp_path / "made.json")).weights == made.weights


@pytest.fixture
def own(tmp_path):
    """A file with a proxy of the user's own, `own_sum`."""
    file, before = tmp_path / "own.py", set(REGISTRY)
    file.write_text("""
import zerocost

@zerocost.proxy(paper="ours")
def own_sum(weights, *, power=1):
    return sum(float((weight**power).sum()) for weight in weights)
""")
    yield file
    for name in REGISTRY.keys() - before:
        del REGISTRY[name]


@pytest.mark.parametrize(
    "given",
    [
        lambda name: f"{name},l2_norm",
        lambda name: {name: 1.0, "l2_norm": 0.5},
        lambda name: Combination({name: 1.0, "l2_norm": 0.5}),
    ],
    ids=["text", "weights", "combination"],
)
def test_a_proxy_of_a_file_is_named_with_it_also_in_what_is_saved(given, own, tmp_path):
    name, where = "own_sum(power=2)", f"{own}:own_sum(power=2)"
    made = as_combination(given(where))
    assert made.proxies == [name, "l2_norm"]
    made.save(tmp_path / "made.json")
    del REGISTRY["own_sum"]
    table = zc.rank({"one": lambda: nn.Linear(3, 2)}, (torch.rand(4, 3), torch.arange(4) % 2), tmp_path / "made.json")
    assert table.frame[[name, "l2_norm"]].notna().all(axis=None)
    assert table.combination.files == {name: where}


def test_a_proxy_that_a_file_does_not_have_is_refused_at_once(own):
    with pytest.raises(InputError, match=r"unknown name .*'mine'. Known: own_sum"):
        Combination({f"{own}:mine": 1.0})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "is no combination"),
        ("{", "is not JSON"),
        ('{"weights": {"snip": 1}}', 'lacks "zerocost combination"'),
        ('{"zerocost combination": 2, "weights": {"snip": 1}}', "has format 2, but this version"),
        ('{"zerocost combination": true, "weights": {"snip": 1}}', "has format True"),
        ('{"zerocost combination": 1}', "it has no weights"),
        ('{"zerocost combination": 1, "wieghts": {"snip": 1}}', "unknown setting 'wieghts'; did you mean 'weights'"),
        ('{"zerocost combination": 1, "weights": {"snip": 1}, "method": ["vote"]}', "unknown method"),
        ('{"zerocost combination": 1, "weights": {"snip": 1}, "reference": {"snip": 3}}', "map each proxy to a list"),
        ('{"zerocost combination": 1, "weights": {"snip": 2}}', "between -1 and 1"),
        ('{"zerocost combination": 1, "weights": {"snip": 1}, "colour": 3}', "colour"),
        ('{"zerocost combination": 1, "weights": {"snip": 1}, "reference": {"fisher": [1]}}', "no scores of snip"),
        ('{"zerocost combination": 1, "weights": {"snip": 1}, "reference": {"snip": ["x"]}}', "is no combination"),
    ],
)
def test_a_bad_file_says_what_is_wrong(tmp_path, text, message):
    (tmp_path / "bad.json").write_text(text)
    with pytest.raises(InputError, match=message):
        load(tmp_path / "bad.json")


def test_a_missing_file_and_a_folder_are_errors(tmp_path):
    with pytest.raises(InputError, match="cannot read"):
        load(tmp_path / "none.json")
    with pytest.raises(InputError, match="cannot write"):
        (tmp_path / "folder.json").mkdir()
        default.save(tmp_path / "folder.json")


@pytest.mark.parametrize(
    ("weights", "settings", "message"),
    [
        ({}, {}, "weights must map"),
        ({"a": 0.0}, {}, "all weights are 0"),
        ({"a": math.nan}, {}, "between -1 and 1"),
        ({"a": 1}, {"method": "mean"}, "unknown method 'mean'"),
        ({"a": 1}, {"batch": 0}, "batch must be a whole number"),
        ({"a": 1}, {"reference": pd.DataFrame({"a": []})}, "reference has no scores"),
        ({"a": 1}, {"reference": pd.DataFrame({"a": [math.nan]})}, "reference has no scores"),
        ({"a": 1}, {"where": 7}, "where must be of type str"),
        ({"a": 1}, {"where": "params <"}, "cannot read the condition"),
        ({"a": 1}, {"fidelity": "widht=0.5"}, "widht"),
        ({"a": 1}, {"made": [1]}, "made must be"),
    ],
)
def test_settings_out_of_range(weights, settings, message):
    with pytest.raises(InputError, match=message):
        Combination(weights, **settings)


def test_options_of_a_proxy_may_be_in_any_order():
    scores = pd.DataFrame({"zico(parts=4,mode=eval)": [1.0, 2.0]})
    combination = Combination({"zico(parts=4,mode=eval)": 1.0}, files={"a(c=1,b=2)": "x"}, reference=scores)
    assert combination.proxies == list(combination.reference) == ["zico(mode=eval, parts=4)"]
    assert combination.files == {"a(b=2, c=1)": "x"}


@pytest.mark.parametrize("wanted", ["tuned.json,snip", "snip, tuned.json", ["tuned.json", "snip"]])
def test_a_file_among_proxies_is_told_to_stand_alone(wanted):
    with pytest.raises(InputError, match=r"^tuned\.json is the file of a combination, which stands alone"):
        as_combination(wanted)


def test_a_file_may_have_a_comma_in_its_name(tmp_path):
    Combination({"snip": 1.0}).save(tmp_path / "snip,tuned.json")
    assert as_combination(f"{tmp_path}/snip,tuned.json") == Combination({"snip": 1.0})


def test_scores_that_are_not_there_are_named():
    with pytest.raises(InputError, match="no scores of c; the columns are a, b"):
        Combination({"a": 1, "c": 1})(SCORES)


def test_what_it_says_of_itself():
    assert str(as_combination("snip,naswot")) == "the log-rank sum of snip, naswot"
    assert str(Combination({"a": -0.5, "b": 1, "c": 0}, "rank_mean")) == "the mean rank of -0.5 a, +1 b"
    assert str(Combination({"a": 1}, "vote").against(SCORES)) == "the vote of a among 4 reference networks"


def test_proxies_are_named_in_every_way_that_rankings_take():
    assert as_combination([get("snip"), "zico(parts=4)"]).proxies == ["snip", "zico(parts=4)"]
    assert as_combination("default").weights == default.weights
    assert as_combination("az_nas").proxies == ["az_expressivity", "az_progressivity", "az_trainability", "flops"]


def test_rank_takes_a_combination_and_its_settings(tmp_path, monkeypatch):
    import torch

    nets = {f"w{w}": lambda w=w: torch.nn.Sequential(torch.nn.Linear(4, w), torch.nn.ReLU()) for w in (2, 4, 8)}
    data = (torch.rand(16, 4), torch.arange(16) % 2)
    small_first = Combination({"params": -1.0, "naswot": 0.1}, batch=8, repeats=2)
    table = zc.rank(nets, data, small_first)
    assert list(table.frame.index) == ["w2", "w4", "w8"]
    assert (table.combination.batch, table.combination.repeats) == (8, 2)
    assert table.combination.weights == small_first.weights
    assert not table.spread.empty
    fixed = small_first.against(table.frame)
    alone = zc.rank({"w4": nets["w4"]}, data, fixed)
    assert alone.frame.rank_score["w4"] == pytest.approx(zc.rank(nets, data, fixed).frame.rank_score["w4"])


def test_search_takes_a_combination_and_its_settings(tmp_path):
    tuned = Combination({"params": 1.0, "naswot": 0.5}, batch=8, repeats=2, fidelity="width=0.5", where="params < 1e5")
    tuned.save(tmp_path / "tuned.json")
    settings = {"candidates": 4, "keep": 2, "epochs": 0}
    found = zc.search("cnn", "digits:8", proxies=str(tmp_path / "tuned.json"), **settings)
    assert found.settings["fidelity"] == "width=0.5"
    assert (found.settings["batch"], found.settings["repeats"], found.settings["where"]) == (8, 2, "params < 1e5")
    assert (found.kept.frame.params < 1e5).all()
    assert json.loads((tmp_path / "tuned.json").read_text())["weights"] == dict(found.combination.weights)
    other = zc.search("cnn", "digits:8", proxies=tuned, fidelity="width=0.25", batch=4, repeats=1, **settings)
    assert (other.settings["fidelity"], other.settings["batch"], other.settings["repeats"]) == ("width=0.25", 4, 1)


def test_a_proxy_without_a_reference_abstains():
    reference = pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": [math.nan] * 3})
    fixed = Combination({"a": 1, "b": 1}).against(reference)
    assert fixed(pd.DataFrame({"a": [1.0, 1.0], "b": [5.0, math.nan]})).nunique() == 1


def test_weights_by_name_and_paths_are_taken_where_proxies_are(tmp_path):
    assert as_combination({"snip": 0.5, "meco": -1}).weights == {"snip": 0.5, "meco": -1}
    default.save(tmp_path / "d.json")
    assert as_combination(tmp_path / "d.json").weights == default.weights


def test_it_keeps_what_it_was_given():
    weights, reference = {"a": 1.0}, pd.DataFrame({"a": [1.0, math.inf]})
    made = Combination(weights, reference=reference)
    weights["a"], reference.loc[:, "a"] = -1.0, 100.0
    assert made.weights == {"a": 1.0}
    assert made.reference["a"].fillna(0).tolist() == [1.0, 0.0]


def test_numbers_of_numpy_are_numbers(tmp_path):
    made = Combination({"a": np.float32(0.5)}, batch=np.int64(8), made={"kendall": np.float32(0.25)})
    made.save(tmp_path / "made.json")
    assert (load(tmp_path / "made.json").weights, load(tmp_path / "made.json").batch) == ({"a": 0.5}, 8)


@pytest.mark.parametrize(("name", "made"), [("a.txt", {}), ("a.json", {"x": math.nan}), ("a.json", {"x": object()})])
def test_what_cannot_be_written_is_an_input_error(tmp_path, name, made):
    with pytest.raises(InputError):
        Combination({"a": 1}, made=made).save(tmp_path / name)


def test_a_reference_of_another_fidelity_is_refused():
    import torch

    small = Combination({"params": 1}, fidelity="width=0.5").against(pd.DataFrame({"params": [1.0]}))
    with pytest.raises(InputError, match=r"scored at fidelity width=0\.5"):
        zc.rank({"a": lambda: torch.nn.Linear(2, 2)}, (torch.rand(64, 2), torch.arange(64) % 2), small)


def test_it_is_shown_in_one_line():
    scores = pd.DataFrame({"snip": [1.0, 2.0]})
    assert repr(Combination({"snip": 1}).against(scores)) == (
        "<Combination: the log-rank sum of snip among 2 reference networks>"
    )


def embedded(width: int) -> nn.Module:
    return nn.Sequential(nn.Embedding(20, width), nn.Flatten(), nn.ReLU(), nn.Linear(4 * width, 3))


IDS = torch.arange(64).reshape(16, 4) % 20, torch.arange(16) % 3


def test_the_default_for_whole_numbers_is_that_for_tokens():
    ids, numbers = IDS[0], torch.rand(4, 3)
    assert for_inputs("default", {"ids": ids, "mask": ids > 3}) is for_inputs(default, ids) is tokens
    assert for_inputs(default, (ids, numbers)) is for_inputs(default, numbers) is default
    assert for_inputs("default", torch.ones(2, 3, dtype=torch.complex64)) == "default"
    assert for_inputs("snip", ids) == "snip"
    assert as_combination("tokens") is tokens


def test_the_default_named_among_others_is_that_for_tokens():
    ids, numbers = IDS[0], torch.rand(4, 3)
    assert for_inputs("default, zico(parts=4)", ids) == "tokens,zico(parts=4)"
    assert for_inputs(["snip", "default"], ids) == ["snip", "tokens"]
    assert for_inputs("default,params", numbers) == "default,params"
    assert for_inputs({"snip": 1.0}, ids) == {"snip": 1.0}


def test_a_mask_of_floats_leaves_token_ids_what_they_are():
    ids = IDS[0]
    assert for_inputs(default, {"ids": ids, "mask": (ids > 3).float()}) is tokens
    assert for_inputs(default, {"ids": ids, "mask": torch.where(ids > 3, 0.0, -1e9)}) is tokens
    assert for_inputs(default, (ids > 3).float()) is default


def test_the_default_on_token_ids_is_that_for_tokens_in_scores_and_profiles():
    card = zc.score(embedded(4), IDS, "default")
    assert {*card.scores, *card.failures} == {*tokens.proxies}
    found = zc.profile(partial(embedded, 4), IDS, rounds=1)
    assert "jacob_cov" not in {*found.table["name"], *found.failures}


def test_rankings_searches_and_calibrations_of_ids_use_it():
    table = zc.rank({f"w{n}": partial(embedded, n) for n in (4, 8)}, IDS)
    assert list(table.combination.proxies) == list(tokens.proxies)
    assert table.combination.method == "consensus"

    def space(choose):
        return embedded(choose.int("width", 4, 30))

    data = TensorDataset(*IDS)
    found = zc.search(space, data, candidates=3, epochs=0)
    assert list(found.combination.proxies) == list(tokens.proxies)
    small = zc.fidelity.calibrate(
        space, data, kendall=0.1, networks=8, interval=0.9, fidelities=["batch=8"], batch=16, seed=0
    )
    assert small.settings["score"] == str(tokens)
