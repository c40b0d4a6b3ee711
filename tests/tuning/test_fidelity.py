from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import kendalltau
from torch import nn

import zerocost as zc
from zerocost.base.errors import InputError
from zerocost.base.format import percent
from zerocost.spaces import FULL, Fidelity
from zerocost.statistics.kendall_interval import kendall_interval
from zerocost.tuning import race
from zerocost.tuning.part_sets import PartSet, part_sets

SHORT = {"proxies": "params", "networks": 24, "interval": 0.3}


def net(choose, fidelity):
    """Half the width keeps the order of parameters; a quarter of the depth leaves one width to decide it."""
    widths = [fidelity.channels(choose.int(f"width{i}", 8, 64)) for i in range(fidelity.layers(2))]
    layers, features = [nn.Flatten()], 192
    for width in widths:
        layers += [nn.Linear(features, width), nn.ReLU()]
        features = width
    return nn.Sequential(*layers, nn.Linear(features, 10))


def test_the_cheapest_that_agrees_is_found_and_measured_on_other_networks(monkeypatch):
    asked = []
    monkeypatch.setattr(race.Runner, "full_sizes", lambda self, texts, names: {})  # params of the sibling itself
    scored = race._Scoring.scores

    def spy(self, texts):
        asked.append((self.scorer.job.fidelity, tuple(texts)))
        return scored(self, texts)

    monkeypatch.setattr(race._Scoring, "scores", spy)
    tried = ["width=0.9", "width=0.5", "depth=0.5,width=0.1"]
    found = zc.fidelity.calibrate(net, "digits:8", kendall=0.8, fidelities=tried, **SHORT)
    assert (found.fidelity, list(found.tried.index)) == (Fidelity(width=0.5), ["width=0.1,depth=0.5", "width=0.5"])
    assert found.tried.loc["width=0.1,depth=0.5", "high"] < 0.8 <= found.tried.loc["width=0.5", "low"]
    assert "for" in found.verdict and "do not rely" not in found.verdict
    space = zc.spaces.from_function(net)
    held = asked[-1][1]
    assert not set(held) & {text for _, texts in asked[:-4] for text in texts} and found.networks == len(held)
    params = [
        [sum(p.numel() for p in space.build(space.parse(t), f).parameters()) for t in held]
        for f in (FULL, found.fidelity)
    ]
    assert found.kendall == pytest.approx(kendalltau(*params).statistic)
    assert (found.low, found.high) == kendall_interval(found.kendall, found.networks)
    assert found.parts == {"params": found.kendall}


def test_each_proxy_is_compared_with_itself_at_full_size():
    settings = SHORT | {"proxies": "l2_norm,plain", "fidelities": ["width=0.5"], "kendall": 0.01, "networks": 60}
    found = zc.fidelity.calibrate(net, "digits:8", **settings)
    assert list(found.parts) == ["l2_norm", "plain"]
    assert found.parts["l2_norm"] > found.kendall > found.parts["plain"]


def test_the_same_seed_gives_the_same_fidelity_and_workers_change_nothing(tmp_path):
    settings = SHORT | {"proxies": "snip,params", "fidelities": ["width=0.5,batch=8", "batch=16"], "kendall": 0.5}
    first = zc.fidelity.calibrate(net, "digits:8", store=tmp_path / "a.db", **settings).as_dict()
    again = zc.fidelity.calibrate(net, "digits:8", **settings).as_dict()
    for found in (first, again):
        found.pop("cost")
        for row in found["tried"]:
            row.pop("cost")
    assert first == again


def blocks(choose, fidelity):
    """Kinds of activations and widths, which sizes and forward passes tell apart."""
    width = fidelity.channels(choose.int("width", 8, 64))
    act = {"relu": nn.ReLU, "tanh": nn.Tanh}[choose.one_of("act", ("relu", "tanh"))]
    parts = [nn.Conv2d(3, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()]
    for _ in range(fidelity.layers(choose.int("layers", 1, 3))):
        parts += [nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width), act()]
    return nn.Sequential(*parts, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 10))


def test_fewer_passes_may_rank_in_place_of_the_default_and_do_so_wherever_its_file_is_used(tmp_path):
    settings = {"kendall": 0.2, "networks": 10, "interval": 0.9, "batch": 16, "fidelities": ["width=0.5,batch=8"]}
    found = zc.fidelity.calibrate(blocks, "digits:8", **settings)
    whole = zc.combine.default
    sets = {tuple(one.combination.proxies): one.passes for one in part_sets(whole, 16)}
    assert sets[tuple(found.proxies)] < sets[tuple(whole.proxies)] and set(found.parts) == set(whole.proxies)
    assert found.tried.loc["width=0.5,batch=8", "proxies"] == found.proxies
    file = str(tmp_path / "fidelity.json")
    found.save(file)
    short = {"candidates": 4, "epochs": 0, "batch": 8, "fidelity": file}
    ranked = zc.search(blocks, "digits:8", **short)
    assert ranked.settings["proxies"].split(",") == found.proxies
    assert any(f"in place of {whole}" in note for note in ranked.table.notes)
    own = zc.search(blocks, "digits:8", proxies="snip,naswot", **short)
    assert own.settings["proxies"] == "snip,naswot" and not any("in place of" in note for note in own.table.notes)


def test_a_calibrated_combination_of_ones_own_keeps_its_weights_among_fewer_parts():
    own = zc.Combination({"params": 0.5, "naswot": 1.0, "snip": -0.25}, "rank_mean")
    sets = part_sets(own, 16)
    assert sets == [PartSet(replace(own, weights={"params": 0.5, "naswot": 1.0}), 1), PartSet(own, 2)]
    assert part_sets(replace(own, where="snip > 0"), 16) == [PartSet(replace(own, where="snip > 0"), 2)]


def test_proxies_that_fail_for_all_networks_are_not_among_those_that_rank():
    settings = SHORT | {"proxies": "l2_norm,meco", "fidelities": ["width=0.5"], "kendall": 0.3}
    assert zc.fidelity.calibrate(net, "digits:8", **settings).proxies == ["l2_norm"]


def test_full_size_is_the_answer_where_nothing_cheaper_agrees():
    found = zc.fidelity.calibrate(
        net, "digits:8", kendall=0.99, fidelities=["width=0.05"], **SHORT | {"proxies": "snip"}
    )
    assert (found.fidelity, found.networks, found.cost, len(found.tried), found.parts) == (FULL, 0, 1, 1, {})
    assert math.isnan(found.kendall) and "use full size" in str(found)


def test_its_file_is_what_fidelity_takes(tmp_path):
    found = zc.fidelity.calibrate(net, "digits:8", kendall=0.5, fidelities=["width=0.5"], **SHORT)
    found = replace(found, fidelity=Fidelity(width=0.5, repeats=2))
    found.save(tmp_path / "fidelity.json")
    kept = json.loads((tmp_path / "fidelity.json").read_text())
    assert (kept["fidelity"], kept["kendall"], kept["networks"]) == (
        "width=0.5,repeats=2",
        found.kendall,
        found.networks,
    )
    assert Fidelity.parse(str(tmp_path / "fidelity.json")) == found.fidelity
    result = zc.search(
        net, "digits:8", candidates=4, epochs=0, proxies="snip", fidelity=str(tmp_path / "fidelity.json")
    )
    assert (result.settings["fidelity"], result.settings["repeats"]) == ("width=0.5,repeats=2", 2)


@pytest.fixture(scope="module")
def of_net(tmp_path_factory):
    """The file of a fidelity that was calibrated for the space `net`."""
    file = tmp_path_factory.mktemp("calibrated") / "fidelity.json"
    zc.fidelity.calibrate(net, "digits:8", kendall=0.5, fidelities=["width=0.5"], **SHORT).save(file)
    return str(file)


@pytest.mark.parametrize(
    "use",
    [
        lambda file: zc.search("cnn", "digits:8", candidates=4, epochs=0, fidelity=f"{file} > full"),
        lambda file: zc.search("cnn", "digits:8", candidates=4, epochs=0, fidelity=[file]),
        lambda file: zc.evaluate("digits", "snip", n=3, k=1, seeds=1, fidelity=file),
        lambda file: zc.tune(zc.benchmarks.get("digits"), n=12, fidelities=[file]),
        lambda file: zc.fidelity.calibrate("cnn", "digits:8", fidelities=[file], **SHORT),
    ],
    ids=["search", "search-list", "evaluate", "tune", "calibrate"],
)
def test_a_fidelity_of_another_space_is_refused(of_net, use):
    with pytest.raises(InputError, match=r"fidelity\.json holds a fidelity of the space net, but the space is cnn"):
        use(of_net)


def test_a_fidelity_of_another_space_of_the_same_name_is_refused(of_net, tmp_path):
    def net(choose, fidelity):
        return nn.Sequential(nn.Flatten(), nn.Linear(192, fidelity.channels(choose.int("width", 8, 64))))

    with pytest.raises(InputError, match="of the space net, but the space is another of that name, or was edited"):
        zc.search(net, "digits:8", candidates=4, epochs=0, fidelity=of_net)
    older = json.loads(Path(of_net).read_text("utf-8"))
    del older["settings"]["code"]
    (tmp_path / "older.json").write_text(json.dumps(older))
    settings = {"candidates": 2, "epochs": 0, "proxies": "params"}
    assert zc.search(net, "digits:8", fidelity=f"{tmp_path}/older.json", **settings).settings["fidelity"] == "width=0.5"


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"fidelity": "widht=0.5"}, r"fidelity\.json: unknown fidelity setting 'widht'"),
        ({"fidelity": 0.5}, r"fidelity\.json holds no fidelity"),
        ({"kendall": "high"}, r"fidelity\.json is no file .* its kendall is 'high'"),
        ({"networks": None, "cost": True}, r"fidelity\.json is no file .* its cost is True"),
        ({"settings": {}}, r"fidelity\.json is no file .* its space is missing"),
        ({"proxies": "snip"}, r"fidelity\.json is no file .* its proxies are 'snip'"),
    ],
)
def test_a_file_that_no_calibration_wrote_is_named(of_net, tmp_path, changed, message):
    file = tmp_path / "fidelity.json"
    file.write_text(json.dumps(json.loads(Path(of_net).read_text("utf-8")) | changed))
    with pytest.raises(InputError, match=message):
        Fidelity.parse(str(file))


def test_percentages_are_written_in_one_way():
    found = zc.fidelity.calibrate(net, "digits:8", kendall=0.5, fidelities=["width=0.5"], **SHORT)
    assert f"for {percent(found.cost)} of the cost" in found.verdict
    assert "no cheaper: use full size" in replace(found, cost=1.2).verdict
    assert "no cheaper" not in replace(found, cost=0.9).verdict


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kendall": 1}, "kendall must be between 0 and 1, but got 1"),
        ({"interval": 0}, "interval must be between 0 and 1"),
        ({"networks": 4}, "networks must be at least 8"),
        ({"kendal": 0.5}, "unknown setting 'kendal'; did you mean 'kendall'"),
        ({"fidelities": ["small"]}, "a fidelity reads"),
        ({"fidelities": ["full"]}, "full size is what fidelities are compared with"),
        ({"proxies": "snipp"}, "snip"),
    ],
)
def test_settings_that_cannot_be_used_are_named(settings, message):
    with pytest.raises(InputError, match=message):
        zc.fidelity.calibrate(net, "digits:8", **settings)


def test_a_space_that_is_too_small_or_does_not_run_is_refused():
    with pytest.raises(InputError, match="2 different networks, too few"):
        zc.fidelity.calibrate(lambda choose: nn.Linear(choose.int("width", 1, 2), 1), "digits:8")
    with pytest.raises(InputError, match=r"no network runs at full size, .*; of width=\d+: .*mat1 and mat2 shapes"):
        zc.fidelity.calibrate(lambda choose: nn.Linear(choose.int("width", 1, 50), 1), "digits:8")


def test_the_interval_covers_the_true_correlation():
    rng, inside, true = np.random.default_rng(0), 0, 2 / math.pi * math.asin(0.95)
    for _ in range(400):
        x, noise = rng.standard_normal((2, 40))
        low, high = kendall_interval(kendalltau(x, 0.95 * x + math.sqrt(1 - 0.95**2) * noise).statistic, 40)
        inside += low <= true <= high
    assert 0.92 <= inside / 400 <= 0.99
    assert kendall_interval(1.0, 16)[0] < 0.99 and kendall_interval(1.0, 16)[1] == 1
