"""Space `mlp`: its size, its networks, categories among the columns."""

from __future__ import annotations

import itertools
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_diabetes
from torch import Tensor
from torch.nn import functional as F

from zerocost import score
from zerocost.base.errors import InputError
from zerocost.scoring.candidates import initialise
from zerocost.spaces import Fidelity, distinct, get
from zerocost.testing.spaces import check_space

CATEGORIES = (3, 5)


def rows(n: int) -> tuple[Tensor, Tensor]:
    """Four numbers and the codes of two categories."""
    random = torch.Generator().manual_seed(0)
    codes = [torch.randint(count, (n,), generator=random) for count in CATEGORIES]
    return torch.randn(n, 4, generator=random), torch.stack(codes, 1)


@pytest.mark.parametrize("categories", [(), CATEGORIES])
def test_contract(categories: tuple[int, ...]) -> None:
    space = get("mlp", features=4, outputs=2, categories=categories)
    inputs = rows(4) if categories else rows(4)[0]
    check_space(space, inputs, samples=8, fidelities=(Fidelity(width=0.5), Fidelity(depth=0.5), Fidelity(0.25, 0.25)))


@pytest.mark.parametrize("categories", [(), CATEGORIES])
def test_size_is_the_number_of_architectures(categories: tuple[int, ...]) -> None:
    space = get("mlp", features=4, categories=categories)
    assert len({space.canonical(arch) for arch in space}) == space.size


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    features=st.integers(1, 9),
    outputs=st.integers(1, 4),
    width=st.sampled_from([0.1, 0.5, 1.0]),
    depth=st.sampled_from([0.1, 0.5, 1.0]),
)
def test_every_member_runs_at_any_fidelity(seed: int, features: int, outputs: int, width: float, depth: float) -> None:
    space = get("mlp", features=features, outputs=outputs)
    network = initialise(partial(space.build, space.sample(np.random.default_rng(seed)), Fidelity(width, depth)), 0)
    found = network(torch.randn(3, features))
    assert found.shape == (3, outputs)
    found.square().sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in network.parameters())


def test_no_two_neighbours_compute_the_same() -> None:
    """Dead choices would show as equal outputs of networks that share a seed; dropout is seen in training alone."""
    space = get("mlp", features=4, categories=CATEGORIES)
    inputs = rows(4)
    for arch in distinct(space, 3, np.random.default_rng(0)):
        outputs = []
        for near in itertools.chain([arch], space.neighbors(arch)):
            network = initialise(partial(space.build, near), 0).train()
            torch.manual_seed(0)
            outputs.append(network(*inputs))
        for a, b in itertools.combinations(outputs, 2):
            assert not torch.allclose(a, b, atol=1e-7)


def test_a_code_chooses_its_embedding_and_numbers_pass() -> None:
    space = get("mlp", features=2, categories=[4])
    network = initialise(partial(space.build, space.sample(np.random.default_rng(0))), 0)
    columns = network.columns(torch.tensor([[0.5, -1.0]]), torch.tensor([[2]]))
    assert columns[0, :2].tolist() == [0.5, -1.0]
    assert torch.equal(columns[0, 2:], network.columns.embeddings[0].weight[2])


def test_taper_halves_each_layer() -> None:
    space = get("mlp", features=3)
    arch = space.parse("depth=4,width=32,taper=True,norm=none,activation=relu,residual=True,dropout=0.1")

    def widths(fidelity: Fidelity) -> list[int]:
        return [block.linear.out_features for block in space.build(arch, fidelity).blocks]

    assert widths(Fidelity()) == [32, 16, 8, 8]
    assert widths(Fidelity(width=0.5)) == [16, 8, 4, 4]
    assert widths(Fidelity(depth=0.5)) == [32, 16]


def test_proxies_score_a_member_with_categories() -> None:
    space = get("mlp", features=4, outputs=3, categories=CATEGORIES)
    arch = space.parse("depth=2,width=32,taper=False,norm=layer,activation=relu,residual=True,dropout=0.1,embedding=8")
    network = initialise(partial(space.build, arch), 0)
    card = score(
        network, (rows(8), torch.arange(8) % 3), proxies=["jacob_cov", "log_synflow", "snip", "params", "flops"]
    )
    assert not card.failures
    assert card["params"] == sum(p.numel() for p in network.parameters())


def test_members_learn_a_regression_and_differ_in_how_well() -> None:
    table, targets = load_diabetes(return_X_y=True, scaled=True)
    inputs = torch.tensor(table, dtype=torch.float32) * 21
    wanted = torch.tensor((targets - targets.mean()) / targets.std(), dtype=torch.float32)[:, None]
    space = get("mlp", features=10, outputs=1)
    errors = []
    for arch in distinct(space, 6, np.random.default_rng(0)):
        network = initialise(partial(space.build, arch, Fidelity(width=0.5)), 0)
        optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
        for start in [*range(0, 320, 32)] * 4:
            batch = slice(start, start + 32)
            optimizer.zero_grad()
            F.mse_loss(network(inputs[batch]), wanted[batch]).backward()
            optimizer.step()
        with torch.no_grad():
            errors.append(F.mse_loss(network.eval()(inputs[320:]), wanted[320:]).item())
    assert min(errors) < 0.75 < 1.5 * max(errors)
    assert max(errors) - min(errors) > 0.03


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"features": 0}, r"at least one feature or category, .* but got features=0, categories=\[\], outputs=1"),
        ({"outputs": 0}, "an output, but got features=8"),
        ({"features": 3, "categories": [0]}, r"a code in each category .* categories=\[0\]"),
        ({"classes": 3}, "space mlp has no classes; its sizes are features, outputs, categories"),
    ],
)
def test_refuses_rows_it_cannot_serve(sizes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        get("mlp", **sizes)


def test_a_table_of_categories_alone() -> None:
    space = get("mlp", features=0, categories=[2, 3])
    network = initialise(partial(space.build, space.sample(np.random.default_rng(1))), 0)
    assert network(torch.tensor([[0, 1], [1, 2]])).shape == (2, 1)
