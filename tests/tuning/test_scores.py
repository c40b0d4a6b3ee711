from __future__ import annotations

import numpy as np

from zerocost import data, spaces
from zerocost.store import Store
from zerocost.tuning.scores import ScoringSetup, all_settings, score_settings


def test_sizes_are_those_of_the_full_networks_whatever_is_scored():
    space = spaces.get("cnn", resolution=8)
    texts = [str(arch) for arch in spaces.distinct(space, 2, np.random.default_rng(0))]
    small = all_settings(["width=0.25"], [4], [1])
    with Store(None) as store:
        scoring = ScoringSetup(space, data.load("digits:8"), ["params", "naswot"], store)
        found = score_settings(texts, small, scoring)
    expected = [sum(p.numel() for p in space.build(space.parse(text)).parameters()) for text in texts]
    assert found[small[0]]["params"].tolist() == expected


def test_fidelities_may_be_one_text():
    assert all_settings("width=0.25 > full", [4], [1]) == all_settings(["width=0.25", "full"], [4], [1])
