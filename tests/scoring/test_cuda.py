"""Scores on a GPU are those on the processor, and what was moved there comes back whole."""

import itertools
import math
from functools import partial

import pytest
import torch

import zerocost as zc
from zerocost.proxies import names
from zerocost.scoring.candidates import initialise
from zerocost.testing.state import model_state
from zerocost.testing.zoo import ZOO

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA device")

TOLERANCE = {torch.float64: 1e-6, torch.float32: 2e-2}
"""Relative: sums are taken in another order, and thresholds at zero fall otherwise where a sum cancels."""


def card(specimen, device, dtype):
    model = initialise(specimen.build).to(dtype).to(device)
    before = model_state(model)
    found = zc.score(model, specimen.batch(7, seed=0), names())
    assert model_state(model) == before
    return found


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", [name for name in ZOO if name != "dropout"])  # draws from the device's own generator
def test_a_network_scores_alike_on_both(name, dtype):
    cpu, cuda = (card(ZOO[name], device, dtype) for device in ("cpu", "cuda"))
    assert cuda.provenance["device"] == "cuda:0"
    assert set(cuda.scores) == set(cpu.scores), (cuda.failures, cpu.failures)
    off = {
        proxy: (value, cuda.scores[proxy])
        for proxy, value in cpu.scores.items()
        if not math.isclose(value, cuda.scores[proxy], rel_tol=TOLERANCE[dtype], abs_tol=TOLERANCE[dtype])
    }
    assert not off


def test_random_networks_repeat_themselves():
    assert card(ZOO["dropout"], "cuda", torch.float32).scores == card(ZOO["dropout"], "cuda", torch.float32).scores


@pytest.mark.parametrize("workers", [1, 2])
def test_a_ranking_is_the_same_on_both(workers):
    space = zc.spaces.get("nasbench201")
    small = zc.Fidelity(width=0.25, depth=0.2, resolution=8)
    candidates = {str(a): partial(space.build, a, small) for a in itertools.islice(space, 0, 15000, 2500)}
    on = {
        device: zc.rank(candidates, "digits:8", batch=16, device=device, workers=workers).frame
        for device in ("cpu", "cuda")
    }
    assert list(on["cuda"].index) == list(on["cpu"].index)


def test_a_search_trains_on_the_gpu():
    result = zc.search(
        "cnn", "digits:8", candidates=8, keep=2, epochs=1, seed=0, device="cuda", fidelity="width=.25,depth=.3"
    )
    assert result.best is not None and len(result.survivors) == 2
