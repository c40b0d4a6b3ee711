from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import zerocost as zc
from zerocost.engine.rows import sign_agreement
from zerocost.engine.watch.activations import count_columns, pack_columns


def data(n, *shape, seed=0):
    return torch.randn(n, *shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 9), nn.GELU(), nn.Linear(9, 3))


def codes(network, x):
    """Signs at both activations, N×units, by running the layers before them."""
    first = network[0](x)
    return [(first > 0).flatten(1), network[3](network[2](network[1](first))) > 0]


@pytest.mark.parametrize("n", [1, 2, 5, 48, 49, 63, 64, 65, 130])
def test_patterns_are_the_different_columns_of_the_matrix_of_signs(watched, network, n):
    x = data(n, 3, 4, 4)
    signs = torch.cat(codes(network, x), dim=1).numpy()
    assert watched("pattern_count", network, x) == np.unique(signs, axis=1).shape[1]


def test_patterns_that_differ_in_one_late_sample_are_two(watched):
    for n in (49, 97):
        x = torch.ones(n, 2)
        x[-1, 1] = -1
        assert watched("pattern_count", nn.ReLU(), x) == 2
        assert watched("pattern_count", nn.ReLU(), x[:-1]) == 1


def test_units_of_one_pattern_count_once_over_all_activations(watched):
    x = data(8, 5)
    assert watched("pattern_count", nn.Sequential(nn.ReLU(), nn.ReLU(), nn.ReLU()), x.abs() * torch.ones(5)) == 1
    once, twice = (watched("pattern_count", nn.Sequential(*[nn.LeakyReLU() for _ in range(k)]), x) for k in (1, 2))
    assert once == twice == np.unique((x > 0).numpy(), axis=1).shape[1]


def test_the_kernel_is_the_sum_over_activations(watched, network):
    x = data(6, 3, 4, 4)
    expected = sum((c[:, None] == c[None]).sum(2) for c in codes(network, x))
    assert torch.equal(watched("activation_kernel", network, x), expected.double())


def test_an_activation_of_a_parameter_has_no_pattern(watched):
    x, gate = data(6, 5), torch.ones(6, 5)

    class Gated(nn.Module):
        def forward(self, x):
            return torch.relu(x) * torch.relu(gate)

    constants = (gate,)
    signs = np.unique((x > 0).numpy(), axis=1).shape[1]
    assert watched("pattern_count", Gated(), x, constants=constants) == signs
    assert torch.equal(watched("activation_kernel", Gated(), x, constants=constants), sign_agreement(x > 0))


def test_no_activation_is_a_failure_of_each(watched):
    for signal in ("activation_kernel", "pattern_count"):
        assert "no activation was seen" in str(watched(signal, nn.Linear(5, 3), data(4, 5)))


@given(st.integers(1, 150), st.integers(1, 30), st.integers(0, 9))
def test_columns_are_packed_one_to_one(rows, columns, seed):
    code = torch.rand(rows, columns, generator=torch.Generator().manual_seed(seed)) < 0.5
    words = pack_columns(code)
    unpacked = torch.stack([(words[row // 64] >> (row % 64)) & 1 for row in range(rows)]).bool()
    assert torch.equal(unpacked, code)


@given(st.integers(1, 4), st.integers(1, 30), st.integers(0, 9))
def test_different_columns_are_counted(rows, columns, seed):
    words = torch.randint(-2, 3, (rows, columns), generator=torch.Generator().manual_seed(seed))
    assert count_columns(words) == np.unique(words.numpy(), axis=1).shape[1]


def test_swap_grows_with_the_samples_up_to_all_patterns():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 256), nn.ReLU(), nn.Linear(256, 3))
    values = [zc.score(model, (data(n, 4), torch.arange(n) % 3), "swap")["swap"] for n in (1, 2, 3, 20, 60)]
    assert values == sorted(values) and values[:3] == [2, 4, 8] and values[-1] <= 256


def test_patterns_and_kernel_are_exact_where_the_network_turns_autocast_on(watched):
    class InHalfPrecision(nn.Module):
        def forward(self, x):
            with torch.autocast("cpu", dtype=torch.bfloat16):
                return torch.relu(x)

    x = data(30, 1001)
    for signal in ("pattern_count", "activation_kernel"):
        assert torch.as_tensor(watched(signal, InHalfPrecision(), x) == watched(signal, nn.ReLU(), x)).all()
