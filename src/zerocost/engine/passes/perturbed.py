"""Perturbed pass: forward on the batch again, each sample moved by a small Gaussian step."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from torch import Tensor
from torch.utils._pytree import tree_map

from zerocost.base.seeding import seeded, stream
from zerocost.engine.inputs import noise_like
from zerocost.engine.observe import Observer
from zerocost.engine.passes.base import OF_BATCH, PASSES, Pass, add_pass
from zerocost.engine.passes.shared_graph import SharedGraph
from zerocost.engine.signals import Signal
from zerocost.engine.watch.maps import LastFeatures


def _perturbed(graph: SharedGraph) -> dict[str, Any]:
    """Forward on the moved samples; the running statistics go on from the data pass."""
    batch, network = graph.batch, graph.batch.network
    tensors = {name: t.detach().clone() for name, t in graph.tensors.items()} | graph.buffers
    scene = replace(graph.scene, block=0, weights={id(tensors[n]): i for i, n in enumerate(network.weight_names)})
    observer = Observer(scene, batch.watchers(PASSES["perturbed"]), network.originals)
    step = noise_like(batch.inputs, None, stream(batch.seed, "perturbation"))
    moved = tree_map(
        lambda x, d: x + batch.settings.perturbation * d if d is not x and isinstance(x, Tensor) else x,
        batch.inputs,
        step,
    )
    scene.start(moved, tensors.values())
    with seeded(batch.seed, network.device), observer.watching():
        network.run(tensors, moved)
    return {"perturbed_features": observer.result(LastFeatures)} | observer.signals("perturbed")


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
