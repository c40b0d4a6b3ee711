from __future__ import annotations

import pytest

import zerocost as zc
from zerocost.base.errors import Failure, InputError, MissingExtraError, unknown


def test_every_error_can_be_caught_as_one_and_as_what_it_is():
    for error, builtin in ((InputError, ValueError), (MissingExtraError, ImportError), (Failure, Exception)):
        assert issubclass(error, zc.ZerocostError) and issubclass(error, builtin)


def test_an_unknown_name_gets_the_nearest_and_all_known_ones():
    assert str(unknown("proxy", "synflw", ["snip", "synflow"])) == (
        "unknown proxy 'synflw'; did you mean 'synflow'? Known: snip, synflow."
    )
    assert str(unknown("proxy", "xyz", iter(["b", "a"]))) == "unknown proxy 'xyz'. Known: a, b."
    with pytest.raises(InputError, match="unknown thing 3"):
        raise unknown("thing", 3, [])
