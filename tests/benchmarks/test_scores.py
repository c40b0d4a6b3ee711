from __future__ import annotations

import pytest
from torch import nn

from benchmarks.tiny import DATA, SMALL, benchmark
from zerocost import scoring, spaces
from zerocost.benchmarks import scores
from zerocost.benchmarks.cache import Cache
from zerocost.errors import InputError
from zerocost.proxies.registry import REGISTRY, resolve
from zerocost.spaces import FULL

MINE = """
from zerocost import proxy


@proxy(paper="a test")
def largest_weight(weights):
    "The largest weight."
    return {factor} * max(w.abs().max() for w in weights)
"""


def job(*proxies, fidelity=SMALL, seeds=(0, 1), space=None, data=DATA, batches=1, batch=8):
    made = scores.batches_of(data, seeds, batch, batches, False, fidelity)
    return scores.Job(space or benchmark().space, proxies, made, fidelity, None)


@pytest.fixture
def mine(tmp_path):
    file = tmp_path / "my_proxy.py"
    file.write_text(MINE.format(factor=1))
    yield file
    REGISTRY.pop("largest_weight", None)


@pytest.fixture
def texts():
    return list(benchmark().architectures())[:3]


def all_of(given, texts, path=None, **options):
    with Cache(path) as cache:
        return scores.scored(given, texts, workers=1, cache=cache, **options)


def counting(monkeypatch):
    calls = []

    def counted(*args, **kwargs):
        calls.append(([*args[0]], [p.name for p in args[2]], kwargs["seed"]))
        return scoring.rank_batch(*args, **kwargs)

    monkeypatch.setattr(scores, "rank_batch", counted)
    return calls


def test_each_seed_builds_and_draws_anew(texts):
    found = all_of(job("snip", "params"), texts)
    assert list(found) == [(text, seed) for seed in (0, 1) for text in texts]
    for text in texts:
        assert found[text, 0]["snip"] != found[text, 1]["snip"]
        assert found[text, 0]["params"] == found[text, 1]["params"]


def test_several_batches_follow_each_other_from_the_seed():
    made = job("snip", batches=2, seeds=(0, 1)).batches
    assert [len(made[seed]) for seed in (0, 1)] == [2, 2]
    assert (made[0][1][0] == made[1][0][0]).all()
    assert not (made[0][0][0] == made[0][1][0]).all()


def test_worker_processes_give_the_same_in_the_same_order(texts, mine):
    given = job("snip", f"{mine}:largest_weight")
    serial = all_of(given, texts)
    with Cache(None) as cache:
        steps = []
        spread = scores.scored(
            given, texts, workers=2, cache=cache, progress=lambda done, total: steps.append((done, total))
        )
    assert list(spread) == list(serial)
    assert steps == [(i, 6) for i in range(1, 7)]
    for key, values in serial.items():
        for name, score in values.items():
            assert spread[key][name].value == pytest.approx(score.value, rel=1e-5)


def test_what_cannot_be_sent_to_a_process_is_bad_input(texts):
    space = spaces.from_function(lambda choose: nn.Linear(choose.int("width", 1, 3), 1), "local")
    given = job("params", space=space)
    with pytest.raises(InputError, match="workers=1"), Cache(None) as cache:
        scores.scored(given, [str(arch) for arch in space], workers=2, cache=cache)


def test_a_broken_run_goes_on_where_it_stopped(texts, tmp_path, monkeypatch):
    def stop(done, _total):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match="2 of 6 networks were scored, and kept in"):
        all_of(job("snip"), texts, tmp_path / "scores.db", progress=stop)
    calls = counting(monkeypatch)
    found = all_of(job("snip"), texts, tmp_path / "scores.db")
    assert len(calls) == 4
    assert found == all_of(job("snip"), texts)


def test_only_what_is_missing_is_computed(texts, tmp_path, monkeypatch):
    all_of(job("snip"), texts, tmp_path / "scores.db")
    calls = counting(monkeypatch)
    all_of(job("snip", "naswot"), texts, tmp_path / "scores.db")
    assert {tuple(names) for _, names, _ in calls} == {("naswot",)}


@pytest.mark.parametrize(
    "changed",
    [{"fidelity": FULL}, {"data": "digits:8", "batch": 9}, {"space": spaces.get("cnn", classes=11, resolution=8)}],
)
def test_the_cache_knows_other_settings_apart(texts, tmp_path, monkeypatch, changed):
    all_of(job("snip", seeds=(0,)), texts, tmp_path / "scores.db")
    calls = counting(monkeypatch)
    all_of(job("snip", seeds=(0,), **changed), texts, tmp_path / "scores.db")
    assert len(calls) == 3


def test_a_proxy_whose_file_changed_is_computed_again(texts, tmp_path, mine):
    name = f"{mine}:largest_weight"
    first = all_of(job(name, seeds=(0,)), texts, tmp_path / "scores.db")
    mine.write_text(MINE.format(factor=2))
    second = all_of(job(name, seeds=(0,)), texts, tmp_path / "scores.db")
    for key in first:
        assert second[key]["largest_weight"].value == pytest.approx(2 * first[key]["largest_weight"].value)


def test_failures_are_kept_with_their_reasons(texts, tmp_path):
    given = job("epe_nas", "params", data="noise:3x8x8", seeds=(0,))
    found = all_of(given, texts, tmp_path / "scores.db")
    assert all("labels" in values["epe_nas"].reason for values in found.values())
    assert all_of(given, texts, tmp_path / "scores.db") == found


def test_identity_is_the_name_alone_only_for_what_is_shipped(mine):
    assert scores.identity(resolve("zico(parts=4)")[0]) == "zico(parts=4)"
    assert scores.identity(resolve(f"{mine}:largest_weight")[0]).startswith("largest_weight ")
