from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import zerocost as zc
from zerocost.base.errors import Failure
from zerocost.engine.memory import merge_signal
from zerocost.engine.merging import concatenate, weighted_sum
from zerocost.engine.plan import plan
from zerocost.engine.rows import sign_agreement
from zerocost.engine.signals import SIGNALS, ChannelSaliency, measured_signals
from zerocost.engine.watch.activations import ActivationSigns, merge_signs
from zerocost.engine.watch.channels import merge_channels
from zerocost.proxies import resolve
from zerocost.testing.proxies import Rationed

NOT_FOR_AN_MLP = {
    *("apd", "meco", "meco_modules", "meco_opt", "az_progressivity", "az_trainability"),  # maps and blocks
    *("dss", "head_confidence", "w_pca"),  # attention and tokens
}
EVERY = [*(set(zc.proxies.names()) - NOT_FOR_AN_MLP - {"swap_regularised"}), "swap_regularised(mu=1, sigma=1)"]
IN_PARTS_TOO = {p.name for p in resolve(EVERY) if all(SIGNALS[s].in_parts for s in measured_signals(p.signals))}
WHOLE_ONLY = set(EVERY) - IN_PARTS_TOO
ON_THE_BATCH = {"snip", "plain", "grad_norm", "fisher", "grasp", "jacob_cov", "naswot"}


def batch(n=7, seed=0):
    x = torch.randn(n, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return x, torch.arange(n) % 3


def mlp(*middle):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 16), *middle, nn.ReLU(), nn.Linear(16, 3)).double()


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 6, 7])
def test_parts_of_any_size_give_the_scores_of_the_whole(limit):
    whole, parts = zc.score(mlp(), batch(), EVERY), zc.score(Rationed(mlp(), limit), batch(), EVERY)
    assert not whole.failures
    pairs = {"training_memory"} if limit == 1 else set()  # it runs two samples
    assert set(parts.failures) == ((WHOLE_ONLY | pairs) if limit < 7 else set())
    assert dict(parts) == pytest.approx({name: whole[name] for name in parts}, rel=1e-10)
    assert parts.provenance["part_size"] <= limit and whole.provenance["part_size"] == 7


def test_most_proxies_can_be_had_in_parts():
    assert ON_THE_BATCH | {"zico", "gradsign", "knas", "epe_nas", "vkdnw", "linear_regions"} <= IN_PARTS_TOO
    assert {"ntk_condition", "wrcor", "lnwot", "swap", "zen", "near"} <= WHOLE_ONLY


@pytest.mark.parametrize("name", sorted(EVERY))
def test_each_proxy_alone_is_the_same_in_parts_or_says_what_fits(name):
    whole, parts = zc.score(mlp(), batch(), name), zc.score(Rationed(mlp(), 4), batch(), name)
    if name in WHOLE_ONLY:
        assert "out of memory at batch 7; this cannot be measured in parts, try batch=3" in parts.failures[name]
    else:
        assert parts[name] == pytest.approx(whole[name], rel=1e-10)


def test_batches_to_compare_are_run_in_parts_each():
    halves = [(x, y) for x, y in zip(*(t.split(4) for t in batch(8)), strict=True)]
    whole, parts = (zc.score(model, halves, "zico,snip") for model in (mlp(), Rationed(mlp(), 3)))
    assert not parts.failures and dict(parts) == pytest.approx(dict(whole), rel=1e-10)


def test_memory_that_python_cannot_get_is_out_of_memory_too():
    class Large(nn.Module):
        def __init__(self, limit):
            super().__init__()
            self.model, self.limit = mlp(), limit

        def forward(self, x):
            return self.model(x) if len(x) <= self.limit else bytearray(2**60)

    parts = zc.score(Large(3), batch(), "snip, naswot")
    assert parts.provenance["part_size"] == 3
    assert dict(parts) == pytest.approx(dict(zc.score(mlp(), batch(), "snip, naswot")), rel=1e-10)
    reasons = zc.score(Large(0), batch(), "snip, naswot").failures
    assert set(reasons.values()) == {"out of memory on a single sample of the batch"}


def test_no_room_for_a_single_sample():
    card = zc.score(Rationed(mlp(), 0), batch(), EVERY)
    assert all("out of memory" in reason for reason in card.failures.values())
    assert set(card) == {"params", "l2_norm", "layer_count", "non_embedding_params", "embedding_params"}


def test_memory_of_the_cpu_allocator_counts_too():
    class Huge(nn.Module):
        def __init__(self):
            super().__init__()
            self.model = mlp()

        def forward(self, x):
            if len(x) > 4:
                torch.empty(10**15)
            return self.model(x)

    card, whole = zc.score(Huge(), batch(), EVERY), zc.score(mlp(), batch(), EVERY)
    assert set(card) == IN_PARTS_TOO
    assert dict(card) == pytest.approx({name: whole[name] for name in card}, rel=1e-10)


class Mean(nn.Module):
    """Subtracts the batch's mean, as a hand-written BatchNorm would."""

    def forward(self, x):
        return x - x.mean(0)


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (lambda: mlp(nn.BatchNorm1d(16)), "BatchNorm in train mode cannot be split"),
        (lambda: mlp(nn.Dropout(0.5)), "draws random numbers"),
        (lambda: mlp(Mean()), "depends on the samples beside it"),
    ],
)
def test_a_batch_whose_parts_would_score_differently_is_not_split(model, reason):
    card = zc.score(Rationed(model(), 4), batch(), EVERY)
    assert set(card.failures) >= ON_THE_BATCH | WHOLE_ONLY
    assert all("try batch=3" in card.failures[name] for name in WHOLE_ONLY)
    for name in ON_THE_BATCH:
        assert reason in card.failures[name] and "out of memory at batch 7" in card.failures[name]
        assert "try batch=3" in card.failures[name]


def test_batch_norm_by_running_statistics_can_be_split():
    class Frozen(nn.BatchNorm1d):
        def train(self, mode=True):
            return super().train(False)

    whole, parts = (zc.score(wrap(mlp(Frozen(16))), batch(), EVERY) for wrap in (lambda m: m, lambda m: Rationed(m, 4)))
    assert set(parts) == IN_PARTS_TOO
    assert dict(parts) == pytest.approx({name: whole[name] for name in parts}, rel=1e-10)


def test_batch_norm_in_eval_mode_can_be_split():
    names = ["snip(mode=eval)", "grasp(mode=eval)", "zico(mode=eval)", "naswot(mode=eval)", "vkdnw"]
    whole, parts = (
        zc.score(wrap(mlp(nn.BatchNorm1d(16))), batch(), names) for wrap in (lambda m: m, lambda m: Rationed(m, 4))
    )
    assert not parts.failures and dict(parts) == pytest.approx(dict(whole), rel=1e-10)


def test_samples_tied_together_are_noticed_at_parts_of_one():
    class Scaled(nn.Module):
        def forward(self, x):
            return x * (1 + x.mean())

    class OneWithGraph(Rationed):
        def forward(self, x):
            return self.model(x) if not torch.is_grad_enabled() else super().forward(x)

    card = zc.score(OneWithGraph(mlp(Scaled()), 1), batch(), "snip")
    assert "depends on the samples beside it" in card.failures["snip"]


@pytest.mark.parametrize(
    ("targets", "loss", "reason"),
    [
        (torch.rand(7, 3, dtype=torch.float64), F.mse_loss, "a loss of your own"),
        (torch.tensor([0, 1, 2, -100, 0, 1, 2]), None, "-100 are left out of the mean"),
    ],
)
def test_a_loss_that_is_no_mean_over_samples_is_not_split(targets, loss, reason):
    given = {} if loss is None else {"loss": loss}
    card = zc.score(Rationed(mlp(), 4), (batch()[0], targets), EVERY, **given)
    by_the_mean = {p.name for p in resolve(EVERY) if "loss" in {s.name for s in plan([p]).passes}}
    by_the_mean &= IN_PARTS_TOO
    assert by_the_mean > ON_THE_BATCH - {"jacob_cov", "naswot"}
    whole = zc.score(mlp(), (batch()[0], targets), EVERY, **given)
    own = set(whole.failures)  # what a sample or its class is needed for
    assert set(card.failures) == own | WHOLE_ONLY | by_the_mean
    assert all(reason in card.failures[name] for name in by_the_mean - own)
    assert {name: card[name] for name in card} == pytest.approx({name: whole[name] for name in card}, rel=1e-10)


def test_what_fits_alone_is_scored_though_all_together_does_not_fit():
    class Graph(nn.Module):
        """Fits as long as no graph to the weights is kept."""

        def __init__(self):
            super().__init__()
            self.model = mlp(nn.BatchNorm1d(16))

        def forward(self, x):
            if len(x) > 4 and any(p.requires_grad for p in self.parameters()):
                raise torch.OutOfMemoryError("no room for the graph")
            return self.model(x)

    card = zc.score(Graph(), batch(), EVERY)
    by_the_graph = {p.name for p in resolve(EVERY) if {"loss", "tangents"} & {s.name for s in plan([p]).passes}}
    assert set(zc.score(mlp(nn.BatchNorm1d(16)), batch(), EVERY).failures) == {"synflow_bn"}
    assert set(card.failures) == by_the_graph | {"synflow_bn"}
    for name in ("naswot", "jacob_cov", "epe_nas", "zen", "swap", "near", "lnwot"):
        assert card[name] == zc.score(Graph(), batch(), name)[name]


def test_only_the_pass_that_runs_out_fails():
    class Curved(torch.autograd.Function):
        """Has no room for a second derivative."""

        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, gradient):
            if gradient.requires_grad:
                raise torch.OutOfMemoryError("no room for a second derivative")
            return gradient

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.norm, self.last = nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 3)

        def forward(self, x):
            return self.last(torch.relu(Curved.apply(self.norm(self.first(x)))))

    torch.manual_seed(0)
    model = Net().double()
    card = zc.score(model, batch(), "snip, grasp, fisher")
    assert set(card.failures) == {"grasp"} and "BatchNorm" in card.failures["grasp"]
    assert card["snip"] == zc.score(model, batch(), "snip")["snip"]


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError(), MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory")]
)
def test_a_watcher_that_runs_out_of_memory_has_the_batch_run_in_parts(monkeypatch, error):
    whole, after = zc.score(mlp(), batch(), "naswot"), ActivationSigns.after

    def hungry(watcher, call, result):
        if len(result) > 4:
            raise error
        return after(watcher, call, result)

    monkeypatch.setattr(ActivationSigns, "after", hungry)
    parts = zc.score(mlp(), batch(), "naswot")
    assert parts.provenance["part_size"] <= 4
    assert parts["naswot"] == pytest.approx(whole["naswot"], rel=1e-10)


@pytest.mark.parametrize("error", [torch.OutOfMemoryError, MemoryError])
def test_a_proxy_that_runs_out_of_memory_fails_alone(registries, error):
    def hungry(weights):
        raise error("no")

    zc.proxy(paper="this test")(hungry)
    card = zc.score(mlp(), batch(), "hungry, snip")
    assert card.failures == {"hungry": "out of memory"} and "snip" in card


def test_a_network_that_routes_samples_differently_in_each_part_fails_with_a_reason():
    class Experts(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.experts, self.last = nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 4)]), nn.Linear(4, 3)

        def forward(self, x):
            expert = self.experts[0] if float(x.detach().sum()) > 0 else self.experts[1]
            return self.last(torch.relu(expert(x)) if expert is self.experts[0] else expert(x))

    card = zc.score(Rationed(Experts().double(), 3), batch(), "fisher, naswot, snip")
    assert set(card) | set(card.failures) == {"fisher", "naswot", "snip"}
    assert all(reason.strip() for reason in card.failures.values())


def test_merging():
    a, b = torch.ones(2), torch.full((2,), 3.0)
    assert torch.equal(weighted_sum([a, b], [0.25, 0.75]), torch.full((2,), 2.5))
    assert torch.equal(weighted_sum([[a], [b]], [0.5, 0.5])[0], torch.full((2,), 2.0))
    joined = merge_channels(
        [[ChannelSaliency(torch.ones(1, 2), 3.0)], [ChannelSaliency(torch.ones(3, 2), 3.0)]], [0.25, 0.75]
    )
    assert joined[0].values[:, 0].tolist() == [0.25, 0.75, 0.75, 0.75] and joined[0].fan_in == 3
    codes = torch.rand(5, 7, generator=torch.Generator().manual_seed(0)) < 0.5
    assert torch.equal(merge_signs([[codes[:2]], [codes[2:]]], [0.4, 0.6]), sign_agreement(codes))
    assert merge_signal(concatenate, [a, Failure("one part failed")], [0.5, 0.5]).args == ("one part failed",)
    assert isinstance(merge_signal(merge_channels, [[ChannelSaliency(a[None], 1.0)], []], [0.5, 0.5]), Failure)
