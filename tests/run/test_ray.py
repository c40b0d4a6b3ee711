"""A Ray cluster of two nodes of one core each: scores and runs are those without it, also when a node is lost."""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import closing
from dataclasses import replace
from itertools import repeat

import pandas as pd
import pytest
import torch
from torch import nn

import zerocost as zc
from run.small import TEXTS, job, scores
from zerocost.base.errors import InputError, MissingExtraError
from zerocost.base.pool import Pool
from zerocost.base.ray_worker import RayWorkers
from zerocost.base.worker import Function
from zerocost.base.workers import Workers

DATA = (torch.rand(8, 6, generator=torch.Generator().manual_seed(0)), torch.arange(8) % 3)


@pytest.fixture(scope="module")
def cluster():
    ray = pytest.importorskip("ray", reason="the extra ray is not installed")
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": 100 * 2**20, "include_dashboard": False}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_worker_niceness", "0")  # else all other tests come first
        made = Cluster(initialize_head=True, head_node_args=node)
        made.second = made.add_node(num_cpus=1, object_store_memory=node["object_store_memory"])
        yield made
        ray.shutdown()
        made.shutdown()


def network(width: int) -> nn.Module:
    return nn.Sequential(nn.Linear(6, width), nn.ReLU(), nn.Linear(width, 3))


def killed() -> nn.Module:
    os.kill(os.getpid(), signal.SIGKILL)
    return network(2)


def test_rankings_and_trainings_are_those_without_ray(cluster):
    candidates = {f"w{n}": lambda n=n: network(n) for n in range(4, 12)} | {"misfit": lambda: nn.Linear(5, 3)}
    alone = zc.rank(candidates, DATA, "snip,synflow")
    table = zc.rank(candidates | {"killed": killed}, DATA, "snip,synflow", ray=cluster.address)
    columns = ["snip", "synflow", "params"]
    pd.testing.assert_frame_equal(table.frame.loc[alone.frame.index, columns], alone.frame[columns], check_exact=True)
    assert "died twice" in table.cards["killed"].failures["snip"]
    assert table.cards["misfit"].failures == alone.cards["misfit"].failures

    few = {name: candidates[name] for name in ("w4", "w5")}
    data = torch.utils.data.TensorDataset(*(part.repeat(4, *[1] * (part.ndim - 1)) for part in DATA))
    runs = [zc.train(few, train=data, epochs=1, **where) for where in ({}, {"ray": cluster.address})]
    one, other = ([[replace(epoch, seconds=0.0) for epoch in run.epochs] for run in each] for each in runs)
    assert one == other


@pytest.mark.usefixtures("one_thread")
def test_what_is_tuned_and_calibrated_is_that_without_ray(cluster):
    where = [{}, {"ray": cluster.address}]
    digits, small = zc.benchmarks.get("digits"), {"batches": [4], "repeats": [1], "fidelities": ["width=0.1,depth=0.2"]}
    effort = {"n": 8, "trials": 3, "folds": 2, "rounds": 1}
    one, other = (zc.tuning.tune(digits, proxies="params,log_synflow", **small, **effort, **place) for place in where)
    assert (one.combination.as_dict(), one.gain) == (other.combination.as_dict(), other.gain)

    settings = {"proxies": "params,snip", "kendall": 0.6, "fidelities": ["width=0.5"], "networks": 8}
    one, other = (zc.fidelity.calibrate("cnn", "digits:8", **settings, **place) for place in where)
    assert one.tried.drop(columns="cost").equals(other.tried.drop(columns="cost"))


def visible() -> str:
    time.sleep(0.2)
    return os.environ["CUDA_VISIBLE_DEVICES"]


def test_for_cuda_each_worker_asks_for_a_gpu(cluster):
    """Ray takes a node's word for its GPUs; whether they can be used, torch says."""
    import ray

    call = {"data": DATA, "proxies": "snip", "ray": cluster.address, "device": "cuda"}
    with pytest.raises(InputError, match="the Ray cluster has no GPU; add a node that has one, or choose another"):
        zc.rank({"a": lambda: network(2)}, **call)
    node = cluster.add_node(num_cpus=3, num_gpus=2, object_store_memory=100 * 2**20)
    try:
        assert Workers(ray=cluster.address, device="cuda").count == 2
        made = RayWorkers(Function.of(lambda: visible), "cuda")
        made.sent = ray.put(ray.get(made.sent)._replace(device=None))  # torch is not asked
        with closing(Pool(made.start, 3)) as pool:
            seen = set()
            for gpu in pool.each(repeat((), 200)):  # until both have started
                seen.add(gpu)
                if len(seen) == 2:
                    break
        assert seen == {"0", "1"}
        if not torch.cuda.is_available():
            with pytest.raises(InputError, match="device 'cuda' cannot be used: "):
                zc.rank({"a": lambda: network(2)}, **call)
    finally:
        cluster.remove_node(node)


@pytest.mark.usefixtures("one_thread")
def test_a_lost_node_costs_only_what_it_was_computing(cluster, noted):
    given = job("snip", noted.name)
    alone = scores(given, TEXTS)
    noted.log.unlink()
    noted.write(pause=0.2)

    def lose(done, _total):
        if done == 6:
            cluster.remove_node(cluster.second, allow_graceful=False)

    found = scores(given, TEXTS, ray=cluster.address, progress=lose)
    computed = noted.by_process()
    assert found == alone
    assert len(computed) == 2
    assert len(alone) <= computed.total() <= len(alone) + 3


def test_without_ray_or_a_cluster_what_to_do_is_said(monkeypatch):
    with pytest.raises(InputError, match="Ray gives each worker a GPU; use device='cuda'"):
        zc.rank({"a": lambda: network(2)}, DATA, "snip", ray="auto", device="cuda:1")
    with pytest.raises(InputError, match="ray must be 'auto', 'local' or HOST:PORT, but got 5"):
        zc.rank({"a": lambda: network(2)}, DATA, "snip", ray=5)
    pytest.importorskip("ray", reason="the extra ray is not installed").shutdown()
    for address, why in (("127.0.0.1:9", "ConnectionRefusedError"), ("here", "it is not HOST:PORT")):
        with pytest.raises(InputError, match=f"no Ray cluster at '{address}': {why}.*ray start --head"):
            zc.rank({"a": lambda: network(2)}, DATA, "snip", ray=address)
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'zerocost\[ray\]'"):
        zc.rank({"a": lambda: network(2)}, DATA, "snip", ray="auto")
