from __future__ import annotations

from functools import partial

import pytest
from torch import nn

from zerocost import spaces
from zerocost.spaces.own_code import own_code


def line(choose, bias=True):
    return nn.Linear(3, choose.int("width", 1, 3), bias=bias)


class Mine(spaces.ChoiceSpace):
    """A shipped space but for its class."""


@pytest.mark.parametrize("name", spaces.names())
def test_shipped_spaces_have_none_of_the_users_code(name):
    assert own_code(spaces.get(name)) == ""


def test_own_spaces_differ_by_what_they_build():
    functions = [line, partial(line, bias=False), lambda choose: nn.Sequential(line(choose))]
    own = [*(spaces.from_function(one, "line") for one in functions), Mine("line", print, nn.Linear)]
    codes = {own_code(space) for space in own}
    assert len(codes) == 4
    assert "" not in codes
    assert own_code(spaces.from_function(line, "line")) in codes
