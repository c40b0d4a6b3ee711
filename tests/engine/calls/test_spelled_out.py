from __future__ import annotations

import pytest
import torch
from torch import nn

import zerocost as zc
from zerocost.engine.calls.spelled_out import spelled_out


def random(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)), dtype=torch.float64)


CALLS = [
    (torch.linalg.multi_dot, ([random(5, 4), random(4, 3), random(3, 6)],), {}),
    (torch.linalg.multi_dot, ([random(4), random(4, 3), random(3)],), {}),
    (torch.addbmm, (random(3), random(4, 5, 2), random(4, 2, 3)), {"beta": 0.5, "alpha": 2}),
    (torch.Tensor.addbmm, (random(5, 3), random(1, 5, 2), random(1, 2, 3)), {}),
    (torch.linalg.vecdot, (random(5, 1, 3), random(4, 3)), {}),
    (torch.linalg.vecdot, (random(3, 5) + 1j, random(3, 5) - 2j), {"dim": 0}),
    (torch.einsum, ("ni,hi,oh->no", random(5, 2), random(3, 2), random(4, 3)), {}),
    (torch.einsum, ("ab, cd, bc -> ", [random(2, 3), random(4, 5), random(3, 4)]), {}),
    (torch.einsum, ("nii,nj,nj,k->kn", random(3, 2, 2), random(3, 4), random(3, 4), random(2)), {}),
]


@pytest.mark.parametrize(("function", "args", "kwargs"), CALLS)
def test_the_products_of_two_give_what_the_call_gives(function, args, kwargs):
    found = spelled_out(function, args, kwargs)(*args, **kwargs)
    expected = function(*args, **kwargs)
    assert found.shape == expected.shape and torch.allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("function", "args", "kwargs"),
    [
        (torch.einsum, ("ij,kj->ik", random(2, 3), random(4, 3)), {}),
        (torch.einsum, ("...j,kj,k->...", random(2, 3), random(4, 3), random(4)), {}),
        (torch.einsum, ("ij,kj,k", random(2, 3), random(4, 3), random(4)), {}),
        (torch.linalg.vecdot, (random(3), random(3)), {"out": random()}),
        (torch.matmul, (random(2, 3), random(3)), {}),
    ],
)
def test_other_calls_are_left_to_torch(function, args, kwargs):
    assert spelled_out(function, args, kwargs) is None


ATEN = torch.ops.aten
MAPS, VECTOR = random(2, 4, 5, 5), random(4)
DECOMPOSED = [
    (ATEN.convolution.default, (MAPS, random(6, 2, 3, 3), None, [2, 1], [1, 0], [1, 1], False, [0, 0], 2)),
    (ATEN.convolution.default, (MAPS, random(4, 6, 3, 3), random(6), [2, 1], [1, 1], [1, 1], True, [1, 0], 1)),
    (ATEN.convolution.default, (MAPS.flatten(2), random(6, 4, 3), random(6), [1], [1], [2], False, [0], 1)),
    (ATEN.native_layer_norm.default, (MAPS, [5], random(5), None, 1e-5)),
    (ATEN.native_group_norm.default, (MAPS, VECTOR, VECTOR, 2, 4, 25, 2, 1e-5)),
    (ATEN._native_batch_norm_legit_no_training.default, (MAPS, VECTOR, None, VECTOR, VECTOR.abs(), 0.1, 1e-5)),
    (ATEN._native_batch_norm_legit_functional.default, (MAPS, None, None, VECTOR, VECTOR.abs(), True, 0.1, 1e-5)),
]


@pytest.mark.parametrize(("function", "args"), DECOMPOSED)
def test_a_decomposed_layer_is_the_layer(function, args):
    found, expected = (call(*args) for call in (spelled_out(function, args, {}), function))
    for one, other in zip(*([r] if isinstance(r, torch.Tensor) else r for r in (found, expected)), strict=True):
        assert one is None or torch.allclose(one, other, rtol=1e-10)


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")  # torch's own, as it exports
def test_a_decomposed_network_scores_as_the_one_it_was():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.LayerNorm(16))
    model = nn.Sequential(model, nn.Linear(16, 3)).eval()
    x = torch.randn(6, 3, 4, 4, generator=torch.Generator().manual_seed(1))
    exported = torch.export.export(model, (x,), dynamic_shapes=({0: torch.export.Dim("n", min=1, max=99)},))
    proxies = "synflow,log_synflow,depth,flops,fisher,lnwot"
    found, expected = (
        zc.score(m, (x, torch.arange(6) % 3), proxies) for m in (exported.run_decompositions().module(), model)
    )
    names = ("synflow", "log_synflow", "depth", "flops", "lnwot")
    assert [found[name] for name in names] == pytest.approx([expected[name] for name in names])
