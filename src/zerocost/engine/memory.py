"""Fits a batch into memory without changing a score.

Where samples do not influence each other, gradients of the mean loss are the weighted sum of the parts' gradients, and
per-sample signals are the parts' rows: a batch that does not fit whole is run in parts. Where they do (BatchNorm in
train mode), where noise is drawn (dropout), or where the loss need not be a mean over samples, it is never split, and
the failure says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from zerocost.base.errors import Failure
from zerocost.base.seeding import generator_state
from zerocost.engine.failures import attempt
from zerocost.engine.inputs import clone_tensors
from zerocost.engine.losses import IGNORED, MEANS
from zerocost.engine.passes.base import PASSES, PassInput, with_predecessors
from zerocost.engine.passes.shared_graph import SharedGraph
from zerocost.engine.signals import SIGNALS, Merge, signals_from


def measure_batch(
    batch: PassInput, passes: Sequence[str], milliseconds: dict[str, float]
) -> tuple[dict[str, Any], int]:
    """The wanted signals of the passes on the shared graph of a batch.

    Args:
        batch: the whole batch, and the signals that are wanted.
        passes: names of passes, in the order in which they are run.
        milliseconds: the time each pass takes is added here.

    Returns:
        The signals, and the size of the parts that the batch was run in (usually all of it).
    """
    size, refused = batch.samples, None
    while size and refused is None:
        try:
            return _measure_in_parts(batch, passes, size, milliseconds), size
        except torch.OutOfMemoryError:
            size //= 2
        except Failure as reason:
            refused = reason.without_frames()
    signals = failed_signals(batch, passes, refused or Failure("out of memory on a single sample of the batch"))
    size = batch.samples
    goals = [name for name in passes if wanted_from(batch, [name])]
    if len(goals) > 1:  # what does not fit together may fit one pass at a time
        for goal in goals:
            one = replace(batch, wanted=frozenset(wanted_from(batch, [goal])))
            needed = with_predecessors([goal])
            found, part_size = measure_batch(one, [name for name in passes if name in needed], milliseconds)
            signals |= found
            size = min(size, part_size)
    return signals, size


def _measure_in_parts(
    batch: PassInput, passes: Sequence[str], size: int, milliseconds: dict[str, float]
) -> dict[str, Any]:
    """The batch's signals out of parts of `size` samples; `Failure` where that would change them."""
    if size >= batch.samples:
        return _run_passes(SharedGraph(batch), passes, milliseconds)
    if "loss" in passes and batch.targets is not None and bool((batch.targets == IGNORED).any()):
        raise Failure(
            f"out of memory at batch {batch.samples}; labels of {IGNORED} are left out of the mean, so that parts "
            f"differ in weight, try batch={size}"
        )
    later = [name for name in passes if PASSES[name].whole_first]
    signals_later = wanted_from(batch, later)
    wanted = batch.wanted.difference(signals_later).union(PASSES[name].whole_first for name in later)
    at_once = [name for name in passes if name not in later]
    signals = _merge_parts(replace(batch, wanted=wanted), at_once, size, {}, milliseconds)
    for name in later:
        start = PASSES[name].whole_first
        own = wanted_from(batch, [name])
        if isinstance(signals[start], Failure):
            signals |= dict.fromkeys(own, signals[start])
            continue
        one = replace(batch, wanted=frozenset(own))
        signals |= _merge_parts(one, with_predecessors([name]), size, {start: signals[start]}, milliseconds)
    return signals


def _merge_parts(
    batch: PassInput, passes: Sequence[str], size: int, whole: dict[str, Any], milliseconds: dict[str, float]
) -> dict[str, Any]:
    """Run the passes on each part of `size` samples and merge the signals; `whole` are those of the whole batch."""
    bounds = [(start, min(start + size, batch.samples)) for start in range(0, batch.samples, size)]
    shares = [(stop - start) / batch.samples for start, stop in bounds]
    parts = []
    for start, stop in bounds:
        part = SharedGraph(batch.slice(start, stop, batch.wanted), in_parts=True, whole=whole)
        parts.append(_run_passes(part, passes, milliseconds))
        obstacle = why_not_split(part, batch, first=start == 0)
        if obstacle:
            raise Failure(f"out of memory at batch {batch.samples}; {obstacle}, try batch={size}")
    whole_only = Failure(f"out of memory at batch {batch.samples}; this cannot be measured in parts, try batch={size}")
    return {
        name: merge_signal(merge, [part[name] for part in parts], shares) if merge else whole_only
        for name in parts[0]
        for merge in [SIGNALS[name].merge]
    }


def merge_signal(merge: Merge, parts: Sequence[Any], shares: Sequence[float]) -> Any:
    """One signal of a whole batch out of its parts; failed when it failed in any of them."""
    failed = next((part for part in parts if isinstance(part, Failure)), None)
    return failed or attempt(merge, parts, shares)


def why_not_split(part: SharedGraph, batch: PassInput, first: bool) -> str | None:
    """What stands against running a batch in parts, now that one part has been seen."""
    if part.observer.batch_norm:
        return "BatchNorm in train mode cannot be split"
    if part.draws_random:
        return "the network draws random numbers (dropout), which differ when the batch is split"
    if part.runs("loss") and batch.loss not in MEANS:
        return "a loss of your own may not be a mean over samples, so the batch is not split"
    if first and _mixes_samples(part, batch):
        return "a sample's output depends on the samples beside it, so the batch cannot be split"
    return None


def _mixes_samples(part: SharedGraph, batch: PassInput) -> bool:
    """Whether the first samples have other outputs beside fewer samples (for a part of one: beside another)."""
    network, size = batch.network, part.batch.samples
    if not hasattr(part, "outputs"):
        return False
    others = batch.slice(0, size // 2 or 2, batch.wanted)
    try:
        with network.fresh(batch.seed, batch.training), torch.no_grad():
            outputs = network.run(network.copies(), clone_tensors(others.inputs))
    except torch.OutOfMemoryError:
        return False
    both = min(size, others.samples)
    one, other = part.outputs.detach()[:both], outputs[:both]
    return not torch.allclose(one, other, rtol=1e-3, atol=1e-3 * float(one.abs().max()))


def _run_passes(graph: SharedGraph, passes: Sequence[str], milliseconds: dict[str, float]) -> dict[str, Any]:
    """Run the passes on one graph in order, from the seed: the wanted signals, and a `Failure` for each without one."""
    signals: dict[str, Any] = {}
    failed: dict[str, Failure] = {}
    network = graph.batch.network
    with network.fresh(graph.batch.seed, graph.batch.training):
        for name in passes:
            start, state = network.clock(), generator_state(network.device) if name == "data" else b""
            blocked = next((failed[before] for before in PASSES[name].continues if before in failed), None)
            found = blocked or PASSES[name].obstacle(network) or attempt(PASSES[name].run, graph)
            graph.draws_random |= name == "data" and generator_state(network.device) != state
            if isinstance(found, Failure):
                failed[name] = found
                signals |= failed_signals(graph.batch, [name], found)
                continue
            signals |= {signal: found[signal] for signal in wanted_from(graph.batch, [name])}
            milliseconds[name] = milliseconds.get(name, 0.0) + 1e3 * (network.clock() - start)
    return signals


def wanted_from(batch: PassInput, passes: Sequence[str]) -> list[str]:
    """The wanted signals that the passes deliver."""
    return [name for name in signals_from(passes) if name in batch.wanted]


def failed_signals(batch: PassInput, passes: Sequence[str], failure: Failure) -> dict[str, Any]:
    """The same failure for each wanted signal of the passes."""
    return dict.fromkeys(wanted_from(batch, passes), failure)
