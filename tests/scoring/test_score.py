from __future__ import annotations

import re
from collections import UserDict

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import zerocost as zc
from zerocost.base.errors import Failure
from zerocost.engine.losses import cross_entropy
from zerocost.scoring import rank as ranking
from zerocost.scoring.candidates import initialise
from zerocost.scoring.score import score_batches
from zerocost.scoring.table import RankingInterrupted
from zerocost.testing.state import global_state, model_state

EVERY = zc.proxies.names()


def batch(n=8):
    return torch.randn(n, 4, generator=torch.Generator().manual_seed(0)), torch.arange(n) % 3


def mlp(width=8):
    return nn.Sequential(nn.Linear(4, width), nn.ReLU(), nn.Linear(width, 3))


@pytest.fixture
def own(registries):
    """Registers a proxy for one test."""

    def register(formula, **declared):
        zc.proxy(paper="this test", **declared)(formula)
        return formula.__name__

    return register


def test_a_card_is_a_mapping_of_scores_with_failures_passes_and_provenance():
    card = zc.score(mlp(), batch(), "snip, jacob_cov,params")
    assert list(card) == ["snip", "jacob_cov", "params"] and len(card) == 3
    assert all(isinstance(value, float) for value in card.values())
    assert [p.name for p in card.passes] == ["data", "loss", "jacobian"]
    assert card.milliseconds == sum(p.milliseconds for p in card.passes) > 0
    assert card.provenance["inputs"] == (8, 4) and card.provenance["seed"] == 0
    assert card.provenance["zerocost"] == zc.__version__ and card.provenance["torch"] == torch.__version__


def test_asking_for_a_failed_score_gives_its_reason():
    card = zc.score(mlp(), batch()[0], "snip, naswot")
    assert "snip" not in card and card.get("snip") is None
    with pytest.raises(KeyError, match="snip failed: needs labels"):
        card["snip"]
    with pytest.raises(KeyError):
        card["never asked for"]


@pytest.mark.parametrize(
    ("returned", "reason"),
    [
        (torch.ones(2), r"returned a tensor of shape \(2,\), expected one real number"),
        (torch.ones(0), r"shape \(0,\)"),
        (np.ones((2, 2)), r"shape \(2, 2\)"),
        (None, "returned None"),
        ("high", "returned high"),
        (1 + 2j, "one real number"),
        (torch.tensor(1 + 2j), "one real number"),
        (float("nan"), "the value is nan"),
        (torch.tensor(float("inf")), "the value is inf"),
    ],
)
def test_a_proxy_that_returns_no_number_fails_alone_and_clearly(own, returned, reason):
    def mine(weights):
        return returned

    card = zc.score(mlp(), batch(), f"{own(mine)}, snip")
    assert set(card) == {"snip"}
    assert re.search(reason, card.failures["mine"])


@pytest.mark.parametrize("returned", [torch.tensor([[2.0]]), np.float32(2), np.ones((1,)) * 2, 2, True + 1])
def test_a_proxy_may_return_any_kind_of_number(own, returned):
    def mine(weights):
        return returned

    assert zc.score(mlp(), batch(), own(mine))["mine"] == 2.0


@pytest.mark.parametrize("error", [ValueError("no"), ZeroDivisionError("no"), Failure("no"), MemoryError("no")])
def test_a_proxy_that_raises_fails_alone(own, error):
    def mine(weights):
        raise error

    card = zc.score(mlp(), batch(), [own(mine), "snip"])
    assert set(card) == {"snip"} and card.failures["mine"].endswith("no")


def test_lower_is_better_is_turned_around(own):
    def up(weights):
        return 3.0

    def down(weights):
        return 3.0

    card = zc.score(mlp(), batch(), [own(up), own(down, higher_is_better=False)])
    assert dict(card) == {"up": 3.0, "down": -3.0}


def test_formulas_run_without_gradients_and_outside_the_callers_modes(own):
    def mine(weights):
        product = weights[0] @ weights[0].T
        assert not product.requires_grad and product.dtype == torch.float32
        return product.sum()

    with torch.autocast("cpu"):
        assert not zc.score(mlp(), batch(), own(mine)).failures


@pytest.mark.parametrize(
    ("model", "data", "proxies", "message"),
    [
        (mlp, batch(), "snip", "takes a torch.nn.Module, but got function; see rank"),
        (mlp(), batch(), "snipp", "unknown proxy 'snipp'; did you mean 'snip'"),
        (mlp(), batch(), "", "no proxy was named"),
        (mlp(), batch(), [], "no proxy was named"),
        (mlp(), (torch.zeros(0, 4), torch.zeros(0)), "snip", "empty"),
        (mlp(), (torch.full((2, 4), torch.nan), torch.arange(2)), "snip", "(?i)nan|finite"),
        (mlp(), "digits", "snip", "tensors"),
    ],
)
def test_input_that_cannot_be_used(model, data, proxies, message):
    with pytest.raises(zc.InputError, match=message):
        zc.score(model, data, proxies)


def test_batches_in_other_forms():
    x, y = batch()
    expected = dict(zc.score(fixed(), (x, y), "snip,naswot"))
    array = x.numpy().copy()
    array.flags.writeable = False
    for given in (
        [x, y],
        (array, y.numpy()),
        zc.data.Batch(x, y),
        (x.double(), y),
        (np.asfortranarray(array), y.tolist()),
    ):
        assert dict(zc.score(fixed(), given, "snip,naswot")) == pytest.approx(expected, rel=1e-6)
    reversed_rows = array[::-1]
    assert "snip" in zc.score(fixed(), (reversed_rows, y), "snip")


def fixed():
    torch.manual_seed(0)
    return mlp()


def test_any_mapping_of_inputs_is_passed_by_name():
    class Named(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = fixed()

        def forward(self, features, mask=None):
            return self.inner(features if mask is None else features * mask)

    x, y = batch()
    expected = dict(zc.score(fixed(), (x, y), "snip,naswot,synflow"))
    for inputs in ({"features": x}, UserDict(features=x), {"features": x, "mask": torch.ones(4)}):
        assert dict(zc.score(Named(), (inputs, y), "snip,naswot,synflow")) == expected


def test_a_list_of_pairs_is_several_batches_and_a_pair_in_a_list_is_one():
    one, other = batch(), (batch()[0] * 2, batch()[1])
    several = zc.score(fixed(), [one, other], "zico,snip")
    assert several.provenance["batches"] == 2 and several["snip"] == zc.score(fixed(), one, "snip")["snip"]
    assert "the same on every batch" in zc.score(fixed(), [one, one], "zico").failures["zico"]
    assert dict(zc.score(fixed(), [one], "zico,snip")) == dict(zc.score(fixed(), one, "zico,snip"))
    pair = zc.score(fixed(), list(one), "snip")
    assert pair.provenance["batches"] == 1 and pair["snip"] == several["snip"]
    arrays = [(x.numpy(), y.tolist()) for x, y in (one, zc.data.Batch(*other))]
    assert dict(zc.score(fixed(), arrays, "zico,snip")) == dict(several)
    with pytest.raises(zc.InputError, match="empty"):
        zc.score(fixed(), [one, (torch.zeros(0, 4), torch.zeros(0))], "zico")


@pytest.mark.parametrize(
    "form",
    [
        lambda y: y[:, None],
        lambda y: y[:, None].to(torch.uint8).numpy(),
        lambda y: F.one_hot(y, 3),
        lambda y: F.one_hot(y, 3).float(),
    ],
)
def test_labels_in_a_column_and_one_hot(form):
    x, y = batch()
    expected = dict(zc.score(fixed(), (x, y), "snip,epe_nas,zico"))
    assert dict(zc.score(fixed(), (x, form(y)), "snip,epe_nas,zico")) == expected
    assert dict(zc.score(fixed(), [(x, form(y))], "snip,epe_nas,zico")) == expected


def test_another_loss_gets_the_labels_as_they_are():
    x, y = batch()
    seen = []

    def soft(outputs, labels):
        seen.append(labels)
        return F.cross_entropy(outputs, labels)

    zc.score(fixed(), (x, F.one_hot(y, 3).float()), "snip", loss=soft)
    assert seen[0].shape == (len(y), 3)


class Logits(nn.Module):
    """A network of one output as one of two."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        z = self.inner(x)
        return torch.cat([torch.zeros_like(z), z], 1)


def test_one_output_scores_as_two_logits_of_which_the_first_is_0():
    torch.manual_seed(0)
    maps = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    net = nn.Sequential(maps, nn.Linear(8, 1)).double()
    x, y = torch.randn(8, 3, 8, 8, dtype=torch.double), torch.arange(8) % 2
    ours, two = zc.score(net, (x, y), EVERY), zc.score(Logits(net), (x, y), EVERY)
    assert "snip" in ours and "epe_nas" in ours and "gradsign" in ours
    assert dict(ours) == pytest.approx({name: two[name] for name in ours}, rel=1e-9)
    for labels in (y[:, None], y.bool(), y.float(), y[:, None].double().numpy(), F.one_hot(y)):
        assert dict(zc.score(net, (x, labels), EVERY)) == dict(ours)
    vector = nn.Sequential(net, nn.Flatten(0))
    assert zc.score(vector, (x, y), "snip")["snip"] == pytest.approx(ours["snip"])


def test_one_output_takes_labels_0_and_1_only():
    x, y = batch()
    with pytest.raises(zc.InputError, match="1 output, so labels must be 0 or 1; for other targets pass loss="):
        zc.score(nn.Linear(4, 1), (x, torch.full_like(y, 2)), "snip")
    with pytest.raises(zc.InputError, match="needs integer classes"):
        zc.score(nn.Linear(4, 1), (x, torch.rand(len(y), 1)), "snip")


def test_what_yields_batches_is_not_a_batch():
    loader = DataLoader(TensorDataset(*batch()), batch_size=4)
    with pytest.raises(zc.InputError, match=r"got DataLoader; take one batch .*next\(iter\(loader\)\)"):
        zc.score(mlp(), loader, "snip")


def test_the_order_of_axes_in_memory_does_not_matter():
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 3))
    x = torch.randn(8, 3, 8, 8)
    last = x.contiguous(memory_format=torch.channels_last)
    scores = [
        dict(zc.score(net, (given, torch.arange(8) % 3), "snip,zico,fisher")) for given in (x, last, last.numpy())
    ]
    assert scores[0] == scores[1] == scores[2]


def test_uint8_images_become_floats():
    images = torch.randint(256, (6, 3, 8, 8), dtype=torch.uint8)
    model = nn.Sequential(nn.Flatten(), nn.Linear(192, 3))
    assert "snip" in zc.score(model, (images, torch.arange(6) % 3), "snip")


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
    return initialise(build, seed), [drawn], plan, cross_entropy, seed


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

    nets = {
        "good": lambda: mlp(64),
        "raises": lambda: Raises(4, 3),
        "broken": broken,
        "none": lambda: None,
        "two": lambda: nn.Linear(4, 2),
    }
    nets |= {"memory": lambda: NoMemory(4, 3), "lazy": lambda: nn.LazyLinear(3), "tuple": lambda: nn.LSTM(4, 3)}
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
        "tuple": "returned a tuple",
    }.items():
        assert reason in reasons[name]


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


def test_explain_tells_the_runs_of_the_default_proxies():
    plan = zc.explain()
    assert (plan.forwards, plan.backwards) == (2, 4)
    assert "synflow" in str(plan)


def test_batches_as_a_loader_yields_them():
    torch.manual_seed(0)
    data = torch.utils.data.TensorDataset(torch.randn(16, 6), torch.arange(16) % 2)
    pairs = list(torch.utils.data.DataLoader(data, batch_size=8))
    net = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 2))
    assert isinstance(pairs[0], list)
    card = zc.score(net, pairs, "zico,snip")
    assert card.provenance["batches"] == 2
    assert dict(card) == dict(zc.score(net, [tuple(pair) for pair in pairs], "zico,snip"))
    two = Sum()
    assert zc.score(two, [[pairs[0][0], pairs[1][0]], [0, 1] * 4], "snip").provenance["batches"] == 1


class Sum(nn.Module):
    """A network of two inputs."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, 2)

    def forward(self, a, b):
        return self.layer(a + b)
