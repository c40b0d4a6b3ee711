from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import zerocost as zc
from zerocost.engine.losses import cross_entropy
from zerocost.engine.passes.tangents import inner_products
from zerocost.engine.plan import plan
from zerocost.engine.run import measure
from zerocost.engine.settings import Settings
from zerocost.proxies import resolve

N = 5


def images(n=N):
    return torch.randn(n, 3, 6, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def network():
    torch.manual_seed(0)
    model = nn.Sequential(
        *(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3)),
    ).double()
    model[1].running_var.fill_(2.0)
    return model


def by_hand(model, x):
    """G·Gᵀ with a backward run a sample: gradients of its summed outputs to weights and scales, biases left out."""
    rows = []
    for i in range(len(x)):
        model.zero_grad()
        model(x)[i].sum().backward()
        rows.append(torch.cat([p.grad.reshape(-1) for name, p in model.named_parameters() if name.endswith("weight")]))
    g = torch.stack(rows)
    return g @ g.T


def kernel(mode, x):
    found = measure(network(), [(x, None)], plan(resolve(f"ntk_trace(mode={mode})")), cross_entropy, 0)
    return found.signals[Settings(mode=mode, samples=16)]["tangent_kernel"]


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_the_kernel_is_that_of_a_backward_run_for_each_sample(mode):
    found = kernel(mode, images())
    assert found.dtype == torch.float64
    assert torch.allclose(found, by_hand(network().train(mode == "train"), images()), rtol=1e-10, atol=1e-9)


def test_samples_of_the_setting_are_the_first_and_run_by_themselves():
    few, whole = (zc.score(network(), x, "ntk_trace(samples=2)") for x in (images()[:2], images()))
    assert dict(few) == dict(whole)


def test_only_in_train_mode_batch_norm_ties_a_samples_gradient_to_the_others():
    assert torch.allclose(kernel("eval", images()[:2]), kernel("eval", images())[:2, :2])
    assert not torch.allclose(kernel("train", images()[:2]), kernel("train", images())[:2, :2], rtol=0.01)


def test_the_scores_are_those_of_the_kernel():
    values = torch.linalg.eigvalsh(by_hand(network(), images()))
    card = zc.score(network(), images(), "ntk_condition,ntk_trace")
    assert card["ntk_condition"] == pytest.approx(-float(values[-1] / values[0]), rel=1e-6)
    assert card["ntk_trace"] == pytest.approx(float((values.sum() / N).sqrt()), rel=1e-10)


def test_samples_of_equal_gradients_have_no_condition_number():
    x = images()
    x[1] = x[0]
    assert "singular" in zc.score(network(), x, "ntk_condition").failures["ntk_condition"]


def test_outputs_that_are_not_finite_are_named():
    model = network()
    with torch.no_grad():
        model[0].weight[0, 0, 0, 0] = torch.nan
    assert "outputs are not finite" in zc.score(model, images(), "ntk_trace").failures["ntk_trace"]


def test_no_path_is_a_failure():
    class Detached(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(4, 3)

        def forward(self, x):
            return self.layer(x).detach()

    assert "no path" in zc.score(Detached(), torch.rand(4, 4), "ntk_trace").failures["ntk_trace"]
    assert "no weights" in zc.score(nn.Sequential(nn.Flatten()), torch.rand(4, 4), "ntk_trace").failures["ntk_trace"]


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 4), st.sampled_from([1, 7, 2**14, 2**14 + 3]), st.integers(0, 9))
def test_inner_products_are_summed_over_pieces(rows, columns, seed):
    g = torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))
    assert torch.allclose(inner_products(list(g)), g.double() @ g.double().T, rtol=1e-12)
