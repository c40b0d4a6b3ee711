from __future__ import annotations

import pytest

from run.small import SMALL, TEXTS, job
from zerocost import spaces
from zerocost.base.errors import Failure
from zerocost.run import Scorer
from zerocost.search.costs import accuracy_function
from zerocost.search.measure import measure_function
from zerocost.store import Store


@pytest.mark.parametrize("workers", [1, 2])
def test_scores_and_costs_come_in_the_order_asked(workers):
    space = spaces.get("cnn", resolution=8)
    archs = [space.parse(text) for text in reversed(TEXTS[:3])]
    given = job("epe_nas", "log_synflow", seeds=(0,), data="noise:3x8x8", fidelity=SMALL)
    length = {"length": lambda arch: float(len(str(arch))), "none": lambda arch: Failure("nobody knows")}
    with Store(None) as store, Scorer(given, store=store, workers=workers) as scorer:
        found = list(measure_function(scorer, length)(archs))
        scored = scorer(TEXTS[:3])
    for arch, one in zip(archs, found, strict=True):
        assert set(one.scores) == {"length", "log_synflow"}
        assert one.scores["log_synflow"] == scored[str(arch), 0]["log_synflow"].value
        assert one.failures["none"] == "nobody knows"
        assert "labels" in one.failures["epe_nas"]


def test_an_accuracy_is_asked_once_and_may_fail():
    asked = []

    def measured(arch):
        asked.append(arch)
        if str(arch) == TEXTS[1]:
            raise Failure("diverged")
        return 0.5

    space = spaces.get("cnn", resolution=8)
    one, two = space.parse(TEXTS[0]), space.parse(TEXTS[1])
    accuracy = accuracy_function(measured)
    assert [accuracy(one), accuracy(one)] == [0.5, 0.5]
    assert isinstance(accuracy(two), Failure)
    assert len(asked) == 2
