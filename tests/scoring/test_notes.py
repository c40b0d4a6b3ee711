from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from zerocost.base.fidelity import FULL, Fidelity
from zerocost.combine import Combination
from zerocost.engine.proxy import REGISTRY, proxy
from zerocost.scoring.notes import fidelity_notes, pool_notes

RNG = np.random.default_rng(0)
NOISE = pd.DataFrame(RNG.normal(size=(200, 5)), columns=[*"abcd", "params"])


def notes(frame: pd.DataFrame, **weights: float) -> list[str]:
    combination = Combination(weights)
    return pool_notes(frame.assign(rank_score=combination(frame)), combination)


def test_noise_is_said_to_disagree():
    (note,) = notes(NOISE, a=1, b=1, c=1, d=1)
    assert note.startswith("the 4 proxies hardly agree (mean agreement 0.0")


def test_parts_that_agree_and_are_not_size_need_no_note():
    truth = NOISE["a"]
    alike = pd.DataFrame({name: truth + 0.3 * NOISE[name] for name in "bcd"}).assign(params=NOISE["params"])
    assert notes(alike, b=1, c=1, d=1) == []


def test_a_reversed_part_agrees_as_its_weight_turns_it():
    truth = NOISE["a"]
    turned = pd.DataFrame({"b": truth, "c": truth, "d": -truth, "params": NOISE["params"]})
    assert notes(turned, b=1, c=1, d=-1) == []


@pytest.mark.parametrize("sign", [1, -1])
def test_size_is_named_when_the_score_follows_it(sign):
    frame = NOISE.assign(a=sign * NOISE["params"] ** 3)
    assert [note.startswith("the order is nearly that of size") for note in notes(frame, a=1)] == [True] * (sign > 0)


def test_nothing_is_said_of_size_itself_of_few_candidates_or_of_failed_scores():
    assert notes(NOISE, params=1) == []
    assert notes(NOISE.head(9), a=1, b=1, c=1) == []
    assert notes(NOISE.assign(a=np.nan, b=np.nan), a=1, b=1, c=1) == []


def test_a_fidelity_is_noted_from_the_size_down_that_a_proxy_declares():
    names = ["jacob_cov(repeats=2)", "paper:az_trainability", "naswot"]
    assert fidelity_notes(names, Fidelity(depth=0.5, batch=16), 64) == [
        "at depth=0.5 jacob_cov(repeats=2) and paper:az_trainability lose the order that they have at full size"
    ]
    assert fidelity_notes(["jacob_cov"], Fidelity(width=0.25), 8) == [
        "at width=0.25 jacob_cov loses the order that it has at full size",
        "at batch=8 jacob_cov loses the order that it has at full size",
    ]
    assert fidelity_notes(["jacob_cov", "naswot"], Fidelity(width=0.5, resolution=8), 64) == []
    assert fidelity_notes(["jacob_cov", "somebody_elses"], FULL, 64) == []


def test_a_proxy_of_ones_own_can_declare_it():
    @proxy(paper="mine", shrinks_badly=Fidelity(resolution=16))
    def of_small_images(weights):
        """The number of weights."""
        return len(weights)

    try:
        assert len(fidelity_notes(["of_small_images"], Fidelity(resolution=16, width=0.1), 64)) == 1
        assert fidelity_notes(["of_small_images"], Fidelity(resolution=17, width=0.1), 64) == []
    finally:
        del REGISTRY["of_small_images"]
