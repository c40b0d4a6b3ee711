"""Graph features, on cells whose paths can be counted by hand, and on every space with cells."""

from __future__ import annotations

import numpy as np
import pytest

from zerocost import spaces
from zerocost.base.errors import InputError
from zerocost.predict.graph import VIEWS, graph_features


def of(space: str, text: str) -> dict[str, float]:
    return dict(graph_features(spaces.get(space), [text]).iloc[0])


def test_a_cell_of_nasbench201_by_hand() -> None:
    row = of("nasbench201", "|nor_conv_3x3~0|+|skip_connect~0|nor_conv_1x1~1|+|none~0|nor_conv_3x3~1|skip_connect~2|")
    assert row["count(nor_conv_3x3)"] == 2
    assert row["shortest(nor_conv_3x3)"] == 2
    assert row["shortest(skip_connect)"] == 2
    assert row["shortest(nor_conv_1x1)"] == 4  # there is no such way: as many as there are nodes
    assert row["longest(nor_conv_1x1|nor_conv_3x3)"] == 2
    assert row["longest(skip_connect|nor_conv_1x1|nor_conv_3x3|avg_pool_3x3)"] == 3
    assert (row["leaving(nor_conv_3x3)"], row["arriving(nor_conv_3x3)"]) == (1, 1)


def test_what_leads_nowhere_does_not_count() -> None:
    row = of("nasbench201", "|nor_conv_3x3~0|+|none~0|none~1|+|skip_connect~0|none~1|nor_conv_1x1~2|")
    assert row["count(nor_conv_3x3)"] == row["count(nor_conv_1x1)"] == 0
    assert row["count(skip_connect)"] == 1


def test_a_cell_through_which_nothing_passes() -> None:
    row = of("nasbench201", "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|")
    assert {value for name, value in row.items() if not name.startswith("shortest")} == {0.0}
    assert {value for name, value in row.items() if name.startswith("shortest")} == {4.0}


def test_operations_on_nodes() -> None:
    row = of("nasbench101", "conv3x3~0|maxpool3x3~01|output~02")
    assert row["count(conv3x3)"] == 1
    assert row["count(maxpool3x3)"] == 2  # of edges that lead to it
    assert row["shortest(conv3x3)"] == 0  # the input leads to the output
    assert row["longest(conv3x3|maxpool3x3)"] == 2


def test_stages_of_macro() -> None:
    row = of("macro", "01111202")
    assert [row[f"stage{i}:count(mb3_k3)"] for i in (1, 2, 3)] == [1, 3, 0]
    assert [row[f"stage{i}:count(mb6_k5)"] for i in (1, 2, 3)] == [0, 0, 2]


def test_two_cells_and_two_inputs() -> None:
    cell = [("sep_conv_3x3", 0), ("skip_connect", 1)] + 3 * [("skip_connect", 2), ("max_pool_3x3", 1)]
    text = f"Genotype(normal={cell}, normal_concat=range(2, 6), reduce={cell}, reduce_concat=range(2, 6))"
    row = of("darts", text)
    assert row["normal:count(sep_conv_3x3)"] == row["reduce:count(sep_conv_3x3)"] == 1
    assert row["normal:shortest(sep_conv_3x3) of input 0"] == 1
    assert row["normal:longest(sep_conv_3x3) of input 1"] == 0
    assert row["normal:leaving(max_pool_3x3) of input 1"] == 3


@pytest.mark.parametrize("name", VIEWS)
def test_every_space_with_cells(name: str) -> None:
    space = spaces.get(name)
    texts = [str(arch) for arch in spaces.distinct(space, 20, np.random.default_rng(0))]
    table = graph_features(space, texts)
    assert list(table.index) == texts
    assert np.isfinite(table.to_numpy()).all()
    assert len(table.drop_duplicates()) > 15
    assert table.iloc[[3]].equals(graph_features(space, [texts[3]]))


def test_twins_look_the_same() -> None:
    space = spaces.get("nasbench201")
    pair = [
        "|nor_conv_3x3~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|",
        "|avg_pool_3x3~0|+|none~0|nor_conv_1x1~1|+|skip_connect~0|none~1|none~2|",
    ]
    assert space.canonical(space.parse(pair[0])) == space.canonical(space.parse(pair[1]))
    assert len(graph_features(space, pair).drop_duplicates()) == 1


@pytest.mark.parametrize("name", sorted(set(spaces.names()) - set(VIEWS)))
def test_a_space_without_cells_says_so(name: str) -> None:
    with pytest.raises(InputError, match=f"'{name}' has no cells .* leave out the part 'graph'"):
        graph_features(spaces.get(name), [])
