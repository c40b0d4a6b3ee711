from __future__ import annotations

import pytest
from torch import nn

from run.small import job
from zerocost import spaces
from zerocost.proxies.registry import resolve
from zerocost.run.fingerprint import code_checksum, fingerprints, proxy_identity
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


def test_checksums_of_code_see_functions_inside_it():
    one, two = (f"def f():\n    return [g(x) for x in y if x in {{1, 2}} and h(lambda: {n})]" for n in "12")
    scope, other, same = {"__name__": "a"}, {"__name__": "a"}, {"__name__": "a"}
    exec(compile(one, "<cell>", "exec"), scope)
    exec(compile(one, "<another cell>", "exec"), same)
    exec(compile(two, "<cell>", "exec"), other)
    assert code_checksum(scope["f"]) == code_checksum(same["f"]) != code_checksum(other["f"])
    assert code_checksum(nn.Linear.forward) != ""
