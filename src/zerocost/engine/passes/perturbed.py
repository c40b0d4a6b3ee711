"""Perturbed pass: forward on the batch again, each sample moved by a small Gaussian step."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

from torch import Tensor
from torch.utils._pytree import tree_map

from zerocost.base.seeding import seeded, stream
from zerocost.engine.inputs import clone_tensors, noise_like
from zerocost.engine.observe.observer import Observer
from zerocost.engine.observe.replay import Replay
from zerocost.engine.passes.base import OF_BATCH, PASSES, Pass, add_pass
from zerocost.engine.passes.shared_graph import SharedGraph
from zerocost.engine.signals import Signal
from zerocost.engine.watch.maps import LastFeatures


def _perturbed(graph: SharedGraph) -> dict[str, Any]:
    """Forward on the moved samples; the running statistics go on from the data pass."""
    batch = graph.batch
    step = noise_like(batch.inputs, None, stream(batch.seed, "perturbation"))
    moved = tree_map(
        lambda x, d: x + batch.settings.perturbation * d if d is not x and isinstance(x, Tensor) else x,
        batch.inputs,
        step,
    )
    return _replayed(graph, moved) or _observed(graph, moved)


def _replayed(graph: SharedGraph, moved: Any) -> dict[str, Any]:
    """The signals of a run in which only those calls are looked at that they come from; none where it calls others."""
    replay = Replay(graph.observer)
    if not replay.possible:
        return {}
    _run(graph, _copies(graph), clone_tensors(moved), replay)
    return {"perturbed_features": replay.features, "batch_norm_variances": replay.variances} if replay.same else {}


def _observed(graph: SharedGraph, moved: Any) -> dict[str, Any]:
    """The signals of a run in which each call is shown to watchers."""
    batch, network, tensors = graph.batch, graph.batch.network, _copies(graph)
    weights = {id(tensors[name]): place for place, name in enumerate(network.weight_names)}
    scene = replace(graph.scene, block=0, weights=weights, ran=[], batch_norms=set())
    observer = Observer(scene, batch.watchers(PASSES["perturbed"]), network.originals)
    scene.start(moved, tensors.values())
    _run(graph, tensors, moved, observer.watching())
    return {"perturbed_features": observer.result(LastFeatures)} | observer.signals("perturbed")


def _copies(graph: SharedGraph) -> dict[str, Tensor]:
    """Copies of the parameters and buffers as the data pass left them."""
    return {name: t.detach().clone() for name, t in graph.tensors.items()} | {
        name: t.clone() for name, t in graph.buffers.items()
    }


def _run(graph: SharedGraph, tensors: dict[str, Tensor], inputs: Any, seeing: AbstractContextManager[Any]) -> None:
    """Run the network where its calls are seen."""
    batch, network = graph.batch, graph.batch.network
    with seeded(batch.seed, network.device), seeing:
        network.run(tensors, inputs)


add_pass(
    Pass(
        name="perturbed",
        run=_perturbed,
        order=60,
        description="the batch again, a small step away",
        settings=OF_BATCH | {"perturbation"},
        forwards=1,
        continues=("data",),
        on_graph=True,
        watchers=(LastFeatures,),
    ),
    Signal("perturbed_features", "`features` of the same samples after a small Gaussian step: N×C×…"),
)
