from __future__ import annotations

import json

import pytest

import zerocost as zc
from zerocost.combine import as_combination, default, reduced, tokens
from zerocost.proxies import resolve


@pytest.mark.parametrize("wanted", ["default", default, list(default.proxies)])
def test_at_a_measured_fidelity_fewer_proxies_rank_in_place_of_the_default_alone(wanted):
    found = reduced(wanted, " nasbench201 ")
    assert reduced(wanted, ["nasbench201"]) == found
    if isinstance(wanted, list):
        assert found is wanted
    else:
        assert (found.method, found.made) == ("consensus", {"in_place_of": str(default)})
        assert len(resolve(found.proxies)) < len(default.proxies)


@pytest.mark.parametrize(
    "fidelity", ["width=0.5", "nasbench201 > full", ["nasbench201", "full"], zc.Fidelity(width=0.5), None, "macro"]
)
def test_at_any_other_the_default_ranks(fidelity):
    assert reduced("default", fidelity) == "default"


def test_a_file_ranks_in_place_of_that_which_it_was_calibrated_for(tmp_path):
    own = zc.Combination({"snip": 1.0, "naswot": 0.5, "params": -0.5}, "vote")
    numbers = dict.fromkeys(("kendall", "low", "high", "networks", "cost", "wanted"), 1)
    kept = {"fidelity": "width=0.5", "proxies": ["naswot", "params"], "settings": {"space": "cnn", "score": str(own)}}
    file = tmp_path / "fidelity.json"
    file.write_text(json.dumps(numbers | kept))
    assert reduced(own, str(file)).weights == {"naswot": 0.5, "params": -0.5}
    assert reduced(own, str(file)).method == "vote"
    for other in (default, tokens, as_combination("snip,naswot,params")):
        assert reduced(other, str(file)) is other
    file.write_text(json.dumps(numbers | {name: kept[name] for name in ("fidelity", "settings")}))
    assert reduced(own, str(file)) is own
