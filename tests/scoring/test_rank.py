from __future__ import annotations

import asyncio

import numpy as np
import pytest
import torch
from torch import nn

import zerocost as zc
from scoring.small import batch, mlp
from zerocost.scoring import rank as ranking
from zerocost.scoring.candidates import initialise
from zerocost.scoring.score import score_batches
from zerocost.scoring.table import RankingInterrupted
from zerocost.tasks import classification
from zerocost.testing.state import global_state, model_state

EVERY = zc.proxies.names()


def test_rank_initialises_each_candidate_from_the_seed_alone():
    nets = {f"w{w}": lambda w=w: mlp(w) for w in (4, 8, 16)}
    before = global_state()
    table = zc.rank(nets, batch(), EVERY, batch=8)
    assert global_state() == before
    alone = zc.rank({"w8": nets["w8"]}, batch(), EVERY, batch=8)
    assert dict(alone.cards["w8"]) == dict(table.cards["w8"])
    other = zc.rank({"w8": nets["w8"]}, batch(), EVERY, batch=8, seed=1)
    assert other.cards["w8"]["l2_norm"] != alone.cards["w8"]["l2_norm"]
    assert alone.cards["w8"].provenance["initialisation"] == "built with seed 0"


def test_rank_draws_several_batches_for_what_compares_them():
    x, y = torch.randn(32, 4, generator=torch.Generator().manual_seed(0)), torch.arange(32) % 3
    drawn = [zc.data.draw((x, y), 8, seed=seed) for seed in (0, 1)]
    table = zc.rank({"a": mlp}, (x, y), "zico,snip", batch=8, batches=2)
    assert table.cards["a"].provenance["batches"] == 2
    model = initialise(mlp, 0)
    assert dict(table.cards["a"]) == dict(zc.score(model, drawn, "zico,snip,params"))
    assert table.cards["a"]["snip"] == zc.rank({"a": mlp}, (x, y), "snip", batch=8).cards["a"]["snip"]


def test_repeats_initialise_anew_and_give_means_and_spread():
    nets = {"a": lambda: mlp(32), "b": lambda: mlp(64)}
    table = zc.rank(nets, batch(), "snip,naswot,l2_norm", batch=8, repeats=3)
    for name, build in nets.items():
        once = [score_batches(*single(build, seed)) for seed in range(3)]
        for proxy in ("snip", "naswot", "l2_norm"):
            values = [card[proxy] for card in once]
            assert table.frame.at[name, proxy] == pytest.approx(np.mean(values), rel=1e-9)
            assert table.spread.at[name, proxy] == pytest.approx(np.std(values, ddof=1), rel=1e-6)
    assert table.spread["params"].tolist() == [0, 0]
    assert table.cards["a"].provenance["initialisation"] == "built with seeds 0 to 2"
    assert len(table.cards["a"].passes) == 3 * len(zc.explain("snip,naswot").passes)
    assert zc.rank(nets, batch(), "snip", batch=8).spread.empty


def single(build, seed):
    """What rank scores of one candidate and seed: the batch is drawn once, with the first seed."""
    drawn = zc.data.draw(batch(), 8, seed=0)
    plan = zc.explain("snip,naswot,l2_norm")
    return initialise(build, seed), [drawn], plan, classification, seed


def test_one_repeat_that_fails_fails_the_score_and_no_other():
    def sometimes():
        model = mlp()
        if float(torch.rand(())) < 0.7:
            with torch.no_grad():
                model[0].weight[0, 0] = torch.nan
        return model

    card = zc.rank({"a": sometimes}, batch(), "snip", batch=8, repeats=12).cards["a"]
    assert set(card) == {"params"} and "not finite" in card.failures["snip"] and set(card.spread) == {"params"}


def test_one_bad_candidate_never_stops_the_others():
    class Raises(nn.Linear):
        def forward(self, x):
            raise ValueError("no")

    def broken():
        raise RuntimeError("cannot be built")

    class NoMemory(nn.Linear):
        def forward(self, x):
            raise torch.OutOfMemoryError("none left")

    class Nothing(nn.Linear):
        def forward(self, x):
            return None

    nets = {
        "good": lambda: mlp(64),
        "raises": lambda: Raises(4, 3),
        "broken": broken,
        "none": lambda: None,
        "two": lambda: nn.Linear(4, 2),
    }
    nets |= {
        "memory": lambda: NoMemory(4, 3),
        "lazy": lambda: nn.LazyConv2d(3, 3),
        "nothing": lambda: Nothing(4, 3),
    }
    table = zc.rank(nets, batch(), "snip,naswot", batch=8)
    assert table.frame.index[0] == "good" and len(table) == len(nets)
    reasons = table.failures.groupby("candidate")["reason"].first()
    assert "good" not in reasons
    for name, reason in {
        "raises": "ValueError: no",
        "broken": "cannot be built",
        "none": "must build a torch.nn.Module",
        "two": "labels out of range",
        "memory": "out of memory",
        "lazy": "lazy layers",
        "nothing": "returned a NoneType",
    }.items():
        assert reason in reasons[name]


ERRORS = [SystemExit(3), GeneratorExit(), StopIteration(), asyncio.CancelledError(), BaseException("odd")]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("where", ["build", "forward", "train", "proxy"])
def test_whatever_is_raised_costs_one_candidate_alone(error, where, registries):
    class Raises(nn.Linear):
        def forward(self, x):
            if where == "forward":
                raise error
            return super().forward(x)

        def train(self, mode=True):
            if where == "train":
                raise error
            return super().train(mode)

    @zc.proxy(paper="a test")
    def odd(parameter_count):
        if where == "proxy" and parameter_count == 15:
            raise error
        return parameter_count

    def build():
        if where == "build":
            raise error
        return Raises(4, 3)

    table = zc.rank({"a": mlp, "bad": build, "b": mlp}, batch(), "snip,synflow,odd", batch=8)
    assert dict(table.cards["a"]) == dict(table.cards["b"]) and len(table.cards["a"]) == 4
    failed = table.cards["bad"].failures
    assert failed.keys() >= ({"odd"} if where == "proxy" else {"snip"})
    assert all(f"raised {type(error).__name__}" in reason for reason in failed.values())


def test_an_error_nobody_thought_of_is_a_named_failure_too(monkeypatch):
    def sometimes(model, *args):
        if model[0].out_features == 4:
            raise LookupError("never heard of")
        return score_batches(model, *args)

    monkeypatch.setattr(ranking, "score_batches", sometimes)
    table = zc.rank({"a": lambda: mlp(4), "b": lambda: mlp(8)}, batch(), "snip", batch=8)
    assert table.cards["a"].failures["snip"] == "LookupError: never heard of" and "snip" in table.cards["b"]


def test_a_batch_that_no_candidate_can_be_scored_on_is_an_input_error():
    with pytest.raises(zc.InputError, match="labels out of range"):
        zc.rank([mlp, mlp], (batch()[0], batch()[1] + 5), "snip", batch=8)


def test_an_interruption_keeps_what_was_scored():
    class Stops(nn.Linear):
        def forward(self, x):
            raise KeyboardInterrupt

    stopping = Stops(4, 3)
    before = model_state(stopping)
    with pytest.raises(RankingInterrupted) as stopped:
        zc.rank({"a": mlp, "b": mlp, "c": stopping, "d": mlp}, batch(), "snip", batch=8)
    assert set(stopped.value.table.frame.index) == set(stopped.value.table.candidates) == {"a", "b"}
    assert model_state(stopping) == before
    with pytest.raises(RankingInterrupted) as at_once:
        zc.rank({"c": stopping}, batch(), "snip", batch=8)
    assert len(at_once.value.table) == 0


def test_progress_is_told_of_each_candidate():
    seen = []
    zc.rank([mlp, nn.Identity, mlp], batch(), "params", batch=8, progress=lambda *done: seen.append(done))
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_scored_beside_but_not_ranked_by():
    table = zc.rank([mlp, lambda: mlp(4)], batch(), "snip", also="naswot,snip", batch=8)
    assert table.proxies == ["snip"] and set(table.frame) == {"snip", "naswot", "params", "rank_score"}


def test_a_finished_module_keeps_its_place_and_weights():
    model = mlp()
    before = model_state(model)
    table = zc.rank({"m": model}, batch(), "snip", batch=8, device="cpu")
    assert model_state(model) == before and table.candidates["m"] is model
    assert table.cards["m"].provenance["initialisation"] == "as given"


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has the device")
@pytest.mark.parametrize("device", ["cuda", "nonsense"])
def test_a_device_that_is_not_there(device):
    with pytest.raises(zc.InputError, match=f"device '{device}' cannot be used"):
        zc.rank([mlp], batch(), "snip", batch=8, device=device)


def test_no_candidates_or_data_that_is_too_small():
    with pytest.raises(zc.InputError, match="no candidates"):
        zc.rank([], batch(), "snip", batch=8)
    with pytest.raises(zc.InputError, match="holds 8 samples"):
        zc.rank([mlp], batch(), "snip", batch=9)


@pytest.mark.parametrize(
    ("proxy", "first"),
    [
        *((name, "small") for name in ("peak_memory", "flash_int8", "training_memory", "active_params")),
        *((name, "large") for name in ("params", "flops")),
    ],
)
def test_budgets_rank_the_smallest_first_and_the_baselines_of_size_the_largest(proxy, first):
    nets = {"large": lambda: mlp(64), "middle": lambda: mlp(16), "small": lambda: mlp(4)}
    table = zc.rank(nets, batch(), proxy, batch=8)
    assert [table.frame.index[0], table.frame.index[1]] == [first, "middle"]


def test_less_memory_counts_for_a_network_beside_another_proxy():
    nets = {"large": lambda: mlp(64), "small": lambda: mlp(4)}
    table = zc.rank(nets, batch(), "params,peak_memory", batch=8)
    assert table.frame["rank_score"].nunique() == 1
    assert table.ranked_by == "the log-rank sum of params (more is better), peak_memory (less is better)"
