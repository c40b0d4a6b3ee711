from __future__ import annotations

import pytest

import zerocost as zc
from zerocost.base.errors import Failure, InputError, MissingExtraError, unknown


def test_every_error_can_be_caught_as_one_and_as_what_it_is():
    for error, builtin in ((InputError, ValueError), (MissingExtraError, ImportError), (Failure, Exception)):
        assert issubclass(error, zc.ZerocostError) and issubclass(error, builtin)


def test_an_unknown_name_gets_the_nearest_and_the_few_that_there_are():
    assert str(unknown("proxy", "synflw", ["snip", "synflow"])) == (
        "unknown proxy 'synflw'; did you mean 'synflow'? Known: snip, synflow"
    )
    assert str(unknown("proxy", "xyz", iter(["b", "a"]))) == "unknown proxy 'xyz'. Known: a, b"
    assert str(unknown("proxy", 3, [])) == "unknown proxy 3. Known: none"
    with pytest.raises(InputError, match="unknown thing 3"):
        raise unknown("thing", 3, [])


def test_of_many_names_three_are_proposed_and_it_says_where_the_others_are():
    names = ["snip", "snr_snip", "synflow", "zen", "grasp", "fisher", "Plain"]
    assert str(unknown("proxy", "SNIPP", names, "zc.proxies.names()")) == (
        "unknown proxy 'SNIPP'; did you mean 'snip', 'snr_snip' or 'grasp'? zc.proxies.names() lists all 7"
    )
    assert str(unknown("proxy", "qqq", names, "this")).startswith("unknown proxy 'qqq'; the nearest are '")
    assert "'Plain'" in str(unknown("proxy", "plane", names, "this"))


@pytest.mark.parametrize(
    "refused",
    [
        lambda: zc.proxies.get("snipp"),
        lambda: zc.spaces.get("cmn"),
        lambda: zc.benchmarks.get("nasbench20"),
        lambda: zc.data.load("digit"),
        lambda: zc.Pipeline("cnn", strategy="evolutoin"),
        lambda: zc.Pipeline("cnn", objectives="sore"),
        lambda: zc.Pipeline("cnn", where="parms < 3"),
        lambda: zc.search("cnn", "digits", epoch=3),
        lambda: zc.presets.paper("zenn"),
    ],
)
def test_every_kind_of_name_is_refused_alike(refused):
    with pytest.raises(InputError, match=r"; did you mean '\w+', '[\w-]+' or '[\w-]+'\? .+ lists all \d+") as raised:
        refused()
    assert len(str(raised.value)) < 300
