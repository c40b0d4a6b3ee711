from __future__ import annotations

import pytest

from zerocost.engine.passes.base import PASSES, with_predecessors
from zerocost.engine.plan import plan
from zerocost.engine.settings import DEFAULT, Settings
from zerocost.proxies import names, resolve


@pytest.mark.parametrize(
    ("proxies", "passes", "runs"),
    [
        ("params", [], (0, 0)),
        ("flops", ["shape"], (0, 0)),
        ("naswot", ["data"], (1, 0)),
        ("snip,plain,grad_norm,fisher", ["data", "loss"], (1, 1)),
        ("jacob_cov", ["data", "jacobian"], (1, 1)),
        ("grasp", ["data", "loss", "curvature"], (1, 2)),
        ("synflow,log_synflow", ["flow"], (1, 1)),
        ("zen", ["data", "perturbed"], (2, 0)),
        ("az_trainability,wrcor", ["data", "loss", "blocks"], (1, 2)),
        ("zico,gradsign", ["batches", "samples"], (2, 2)),
        ("ntk_condition,ntk_trace", ["tangents"], (1, 0)),  # backward once a sample, which is not counted
        ("vkdnw,vkdnw_single", ["information"], (1, 0)),
        ("snip,snip(mode=eval)", ["data", "loss", "data", "loss"], (2, 2)),
        ("snip,snip(parts=4),l2_norm(mode=eval)", ["data", "loss"], (1, 1)),
        ("naswot(repeats=3)", ["data"] * 3, (3, 0)),
        ("grasp,jacob_cov,naswot,synflow", ["data", "loss", "curvature", "jacobian", "flow"], (2, 4)),
    ],
)
def test_the_fewest_passes_deliver_what_is_asked(proxies, passes, runs):
    steps = plan(resolve(proxies))
    assert [step.name for step in steps.passes] == passes
    assert (steps.forwards, steps.backwards) == runs


def test_a_pass_comes_after_those_whose_graph_it_continues():
    order = list(PASSES)
    for step in PASSES.values():
        assert all(order.index(before) < order.index(step.name) for before in step.continues)
        assert set(with_predecessors(step.continues)) <= set(step.continues)  # one level is enough


def test_the_plan_reads_as_what_runs_and_for_whom():
    text = str(plan(resolve("snip,naswot,l2_norm")))
    assert text.splitlines()[0] == "3 proxies: 1 forward and 1 backward passes"
    assert "weight_gradients for snip" in text and "activation_kernel for naswot" in text
    assert "weights for snip, l2_norm" in text
    every = str(plan(resolve(names())))
    assert all(name in every for name in names())


def test_passes_are_grouped_by_the_settings_they_heed():
    steps = plan(resolve("snip,fisher(mode=eval),synflow(mode=eval),zico(parts=3),l2_norm(samples=2)"))
    groups = {group.settings: ([p.name for p in group.passes], group.signals) for group in steps.groups}
    assert groups == {
        DEFAULT: (["data", "loss", "flow"], {"weights", "weight_gradients", "flow_weights", "flow_gradients"}),
        Settings(mode="eval"): (["data", "loss"], {"channel_saliency"}),
        Settings(parts=3): (["batches"], {"batch_gradients"}),
    }
    assert steps.groups[0].settings == DEFAULT  # what most share comes first


def test_requests_are_kept_apart_by_their_settings():
    steps = plan(resolve("snip,plain(mode=eval),grad_norm,grad_norm(repeats=2)"))
    assert steps.requests("loss", DEFAULT) == {"weight_gradients": ["snip", "grad_norm", "grad_norm(repeats=2)"]}
    assert steps.requests("loss", Settings(mode="eval")) == {"weight_gradients": ["plain(mode=eval)"]}
    assert steps.requests("loss", Settings(repeat=1)) == {"weight_gradients": ["grad_norm(repeats=2)"]}
    assert steps.requests("flow", DEFAULT) == {}


def test_a_graph_is_done_with_before_the_network_runs_on_other_inputs():
    """Checkpointed parts run once more in a backward pass, on what the network held at its last run."""
    order = list(PASSES)
    assert all(
        order.index("perturbed") > order.index(p.name)
        for p in PASSES.values()
        if "data" in p.continues[:1] and p.name != "perturbed"
    )
