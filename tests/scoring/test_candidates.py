from __future__ import annotations

from functools import partial

import pytest
from torch import nn

from zerocost.base.errors import InputError
from zerocost.scoring.candidates import as_builders


def build():
    return nn.Linear(2, 2)


MODULE = nn.Linear(1, 1)


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ({"a": build, "b": MODULE}, ["a", "b"]),
        ({1: build}, ["1"]),
        ([build, MODULE], ["build", "Linear"]),
        ((build for _ in range(2)), ["build-1", "build-2"]),
        (lambda: {"a": build}, ["a"]),
        (lambda: [build], ["build"]),
        ([nn.Linear, lambda: MODULE, partial(build)], ["Linear", "network", "build"]),
        (
            [nn.Identity(), type("Identity-1", (nn.Identity,), {})(), nn.Identity()],
            ["Identity-2", "Identity-1", "Identity-3"],
        ),
        (nn.ModuleList([MODULE]), None),
        (nn.ModuleDict({"a": MODULE}), None),
    ],
)
def test_candidates_in_whatever_form_they_come(given, names):
    if names is None:
        with pytest.raises(InputError, match="candidates must be a mapping"):
            as_builders(given)
    else:
        assert list(as_builders(given)) == names


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "no candidates"),
        ({}, "no candidates"),
        (MODULE, "but got Linear"),
        (build, "but got Linear"),
        ("snip", "but got str"),
        (3, "but got int"),
        ({"a": 3}, "candidate 'a' is a int"),
        ([build, None], "candidate 'NoneType' is a NoneType"),
        ({1: build, "1": build}, "same name"),
    ],
)
def test_what_is_no_candidate_is_refused(given, message):
    with pytest.raises(InputError, match=message):
        as_builders(given)
