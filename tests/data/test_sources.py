from __future__ import annotations

import pytest

from zerocost.base.errors import InputError
from zerocost.data.sources import SOURCES, open_source


def test_each_source_says_how_it_is_written():
    assert list(SOURCES) == [
        "digits", "digits-hard", "cifar10", "cifar10-test", "cifar100", "cifar100-test", "images", "masks", "labels",
        "csv", "parquet", "series", "text", "npz", "noise", "tokens",
    ]  # fmt: skip
    for name, source in SOURCES.items():
        assert source.usage.partition(":")[0].partition("[")[0] == name
        assert source.summary
        assert "\n" not in source.summary


def test_what_follows_the_first_colon_reaches_the_source():
    assert open_source("digits:8").images.shape == (1797, 3, 8, 8)
    assert open_source("noise:1x2x3:4")[5][1] == 1
    assert open_source("tokens:3:1")[5].tolist() == [0, 0, 0]


@pytest.mark.parametrize("name", [name for name, source in SOURCES.items() if ":PATH" in source.usage])
def test_a_source_of_files_asks_for_its_path(name):
    with pytest.raises(InputError, match=f"path is missing; write {name}:PATH"):
        open_source(name)
    with pytest.raises(InputError, match="no such file or folder: /no/such/place"):
        open_source(f"{name}:/no/such/place")


@pytest.mark.parametrize("spec", ["", "cifar", "photos/cats", "Digits"])
def test_an_unknown_source_lists_the_known(spec):
    with pytest.raises(InputError, match=f"unknown data source '{spec}'.*zc.data.SOURCES lists all"):
        open_source(spec)
