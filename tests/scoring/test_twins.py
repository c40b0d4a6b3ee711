from __future__ import annotations

from functools import partial

import pandas as pd
import torch
from torch import nn

import zerocost as zc
from zerocost import spaces

SMALL = spaces.Fidelity(width=0.25, depth=0.2)
SPACE = spaces.get("nasbench201")
CELLS = {
    "plain": "|none~0|+|none~0|none~1|+|nor_conv_1x1~0|none~1|none~2|",
    "other": "|none~0|+|none~0|none~1|+|nor_conv_3x3~0|none~1|none~2|",
    "by way of a node": "|skip_connect~0|+|none~0|none~1|+|none~0|nor_conv_1x1~1|none~2|",
    "dead convolution": "|none~0|+|nor_conv_3x3~0|none~1|+|nor_conv_1x1~0|none~1|none~2|",
}


def builders(fidelity=SMALL):
    return {name: partial(SPACE.build, SPACE.parse(text), fidelity) for name, text in CELLS.items()}


def test_twins_of_the_same_size_share_the_score_of_the_first():
    batch = torch.randn(4, 3, 8, 8), torch.arange(4)
    done = []
    table = zc.rank(builders(), batch, "snip,log_synflow", batch=4, progress=lambda n, _: done.append(n))
    frame = table.frame
    pd.testing.assert_series_equal(frame.loc["plain"], frame.loc["by way of a node"], check_names=False)
    assert table.cards["by way of a node"].provenance["twin of"] == "plain"
    assert frame.loc["dead convolution", "params"] > frame.loc["plain", "params"]
    assert table.notes[0] == "4 candidates are 3 different networks; twins share their scores"
    assert done == [1, 2, 3, 4]
    alone = zc.rank({"plain": builders()["plain"]}, batch, "snip,log_synflow", batch=4)
    assert alone.cards["plain"].scores == table.cards["plain"].scores


def test_other_fidelities_spaces_and_builders_are_no_twins():
    network = nn.Sequential(nn.Flatten(), nn.Linear(192, 10))
    elsewhere = spaces.get("nasbench201", classes=5)
    pool = {
        "one": builders()["plain"],
        "wider": builders(spaces.Fidelity(width=0.5, depth=0.2))["plain"],
        "fewer classes": partial(elsewhere.build, elsewhere.parse(CELLS["plain"]), SMALL),
        "module": network,
        "function": lambda: network,
        "refused": partial(SPACE.build, SPACE.parse(CELLS["plain"]), "small"),
    }
    batch = torch.randn(4, 3, 8, 8), torch.arange(4)
    table = zc.rank(pool, batch, "log_synflow", batch=4)
    assert not any("twin" in note for note in table.notes)
    assert table.cards["refused"].failures
