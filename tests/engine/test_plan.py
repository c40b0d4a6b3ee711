from __future__ import annotations

import pytest

from zerocost.engine.plan import PASSES, plan, with_predecessors
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
        assert all(order.index(before) < order.index(step.name) for before in step.after)
        assert with_predecessors(step.after) <= set(step.after)  # so that one level of `after` is enough


def test_the_plan_reads_as_what_runs_and_for_whom():
    text = str(plan(resolve("snip,naswot,l2_norm")))
    assert text.splitlines()[0] == "3 proxies: 1 forward and 1 backward runs"
    assert "weight_gradients for snip" in text and "activation_kernel for naswot" in text
    assert "weights for snip, l2_norm" in text
    every = str(plan(resolve(names())))
    assert all(name in every for name in names())
