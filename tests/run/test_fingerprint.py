from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest
from torch import nn

from run.small import job
from zerocost import spaces
from zerocost.proxies.registry import resolve
from zerocost.run.fingerprint import describe, fingerprints, proxy_identity
from zerocost.spaces import FULL

SPACE = (
    "from torch import nn\ndef mine(choose):\n    return nn.Sequential(nn.Linear(choose.int('w', 1, 3), 1), nn.{})\n"
)


def test_the_same_job_has_the_same_fingerprint_for_each_seed():
    assert fingerprints(job("snip")) == fingerprints(job("naswot"))
    assert len(set(fingerprints(job("snip")).values())) == 2
    assert fingerprints(job("snip"))[1] == fingerprints(job("snip", seeds=(1,)))[1]


@pytest.mark.parametrize(
    "changed",
    [
        {"fidelity": FULL},
        {"data": "digits:8", "batch": 9},
        {"batches": 2},
        {"space": spaces.get("cnn", classes=11, resolution=8)},
        {"space": spaces.get("macro")},
    ],
)
def test_other_settings_have_another(changed):
    assert fingerprints(job("snip"))[0] != fingerprints(job("snip", **changed))[0]


def test_a_job_is_told_apart_in_words_by_its_loss_too():
    made = job("snip")
    other = replace(made.task, loss=nn.functional.multi_margin_loss)
    assert ", classification, batch 8; " in describe(made)
    assert ", classification, loss multi_margin_loss, batch 8; " in describe(made._replace(task=other))


@pytest.mark.parametrize("in_file", [True, False])
def test_a_space_of_the_user_is_known_by_its_code(tmp_path, in_file):
    made = []
    for layer in ("ReLU()", "GELU()", "Softplus(2)", "Softplus(3)"):
        file, scope = tmp_path / "space.py", {}
        file.write_text(SPACE.format(layer))
        exec(compile(file.read_text(), str(file) if in_file else "<cell>", "exec"), scope)
        scope["mine"].__module__ = "__main__"
        made.append(fingerprints(job("params", space=spaces.from_function(scope["mine"]), fidelity=FULL))[0])
    assert len(set(made)) == len(made)


def test_identity_is_the_name_alone_only_for_what_is_shipped(noted):
    assert proxy_identity(resolve("zico(parts=4)")[0]) == "zico(parts=4)"
    assert proxy_identity(resolve(noted.name)[0]).startswith("noted ")


def strided(stride):
    return lambda choose: nn.Sequential(nn.Conv2d(1, choose.int("w", 1, 3), 3, stride=stride), nn.Flatten())


def dilated(choose, dilation=1):
    return nn.Sequential(nn.Conv2d(1, choose.int("w", 1, 3), 3, dilation=dilation), nn.Flatten())


@pytest.mark.parametrize("make", [strided, lambda dilation: partial(dilated, dilation=dilation)])
def test_a_space_is_known_by_the_values_that_its_function_holds(make):
    found = [
        fingerprints(job("params", space=spaces.from_function(make(by), "mine"), fidelity=FULL))[0] for by in (1, 2, 1)
    ]
    assert found[0] == found[2] != found[1]


class _Held(nn.Module):
    """A layer whose stride no function of the space shows."""

    stride = 1

    def __init__(self, choose):
        super().__init__()
        self.conv = nn.Conv2d(1, choose.int("w", 1, 3), 3, stride=read_stride())


def read_stride(path=[]):  # noqa: B006
    return int(path[0].read_text())


def test_a_space_is_known_by_the_settings_of_the_layers_that_it_builds(tmp_path):
    read_stride.__defaults__[0][:] = [tmp_path / "stride"]
    found = []
    for stride in "121":
        (tmp_path / "stride").write_text(stride)
        found.append(fingerprints(job("params", space=spaces.from_function(_Held), fidelity=FULL))[0])
    assert found[0] == found[2] != found[1]
