"""Fits a batch into memory without changing a score.

Where samples do not influence each other, gradients of the mean loss are the weighted sum of the parts' gradients, and
per-sample signals are the parts' rows: a batch that does not fit whole is run in parts. Where they do (BatchNorm in
train mode), where noise is drawn (dropout), or where the loss need not be a mean over samples, it is never split, and
the failure says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from zerocost.base.errors import Failure, InputError, describe_error
from zerocost.base.seeding import generator_state
from zerocost.engine.inputs import cloned
from zerocost.engine.network import out_of_memory
from zerocost.engine.passes.batch import IGNORED, PASSES, Part, PassInput, cross_entropy
from zerocost.engine.plan import PASSES as STEPS
from zerocost.engine.plan import with_predecessors
from zerocost.engine.rows import sign_agreement
from zerocost.engine.signals import SIGNALS, ChannelSaliency


def rows(parts: Sequence[Tensor], _: Sequence[float]) -> Tensor:
    """Per-sample rows, one part after the other."""
    return torch.cat(list(parts))


def weighted(parts: Sequence[Any], shares: Sequence[float]) -> Any:
    """Sum of tensors, or of lists of tensors, each part weighted by its share of the batch."""
    if isinstance(parts[0], Tensor):
        return sum(share * part for share, part in zip(shares, parts, strict=True))
    return [weighted(tensors, shares) for tensors in zip(*parts, strict=True)]


def channels(parts: Sequence[Sequence[ChannelSaliency]], shares: Sequence[float]) -> list[ChannelSaliency]:
    """Channel saliency of the mean loss over the whole batch: each part's rows, scaled by its share."""
    scaled = [[layer.values * share for layer in part] for part, share in zip(parts, shares, strict=True)]
    return [
        ChannelSaliency(torch.cat(values), layer.fan_in)
        for layer, values in zip(parts[0], zip(*scaled, strict=True), strict=True)
    ]


def kernel(parts: Sequence[Sequence[Tensor]], _: Sequence[float]) -> Tensor:
    """The activation kernel out of the parts' activation codes."""
    return torch.stack([sign_agreement(torch.cat(codes)) for codes in zip(*parts, strict=True)]).sum(0)


MERGE: dict[str, Callable[[Sequence[Any], Sequence[float]], Any]] = {
    "outputs": rows,
    "activation_kernel": kernel,
    "loss": weighted,
    "weight_gradients": weighted,
    "parameter_gradients": weighted,
    "channel_saliency": channels,
    "hessian_gradients": weighted,
    "input_jacobian": rows,
}
"""How a signal of the whole batch is made of its parts; another signal of these passes cannot be had in parts."""
SAMPLEWISE = ("model", "batch", "shape", "flow", "batches", "samples", "information")
IN_PARTS = frozenset(MERGE) | {name for name, signal in SIGNALS.items() if signal.source in SAMPLEWISE}
"""Signals that are the same where a batch has to be run in parts."""


def measure_batch(
    batch: PassInput, passes: Sequence[str], milliseconds: dict[str, float]
) -> tuple[dict[str, Any], int]:
    """The signals of the passes on the batch, and the size of the parts it was run in (usually all of it)."""
    size, refused = batch.samples, None
    while size and refused is None:
        try:
            return in_parts(batch, passes, size, milliseconds), size
        except torch.OutOfMemoryError:
            size //= 2
        except Failure as reason:
            refused = reason
    signals = dict.fromkeys(signals_of(passes), refused or Failure("out of memory on a single sample of the batch"))
    size = batch.samples
    goals = [name for name in passes if batch.wants(name)]
    if len(goals) > 1:  # what does not fit together may fit one pass at a time
        for goal in goals:
            wanted = frozenset(signals_of([goal]))
            alone = [name for name in passes if name in with_predecessors([goal])]
            found, part_size = measure_batch(replace(batch, wanted=wanted), alone, milliseconds)
            signals |= {name: found[name] for name in wanted}
            size = min(size, part_size)
    return signals, size


def in_parts(batch: PassInput, passes: Sequence[str], size: int, milliseconds: dict[str, float]) -> dict[str, Any]:
    """The batch's signals out of parts of `size` samples; Failure where that would change them."""
    if size >= batch.samples:
        return run_part(Part(batch), passes, milliseconds)
    if batch.wants("loss", "curvature") and batch.targets is not None and bool((batch.targets == IGNORED).any()):
        raise Failure(
            f"out of memory at batch {batch.samples}; labels of {IGNORED} are left out of the mean, so that parts "
            f"differ in weight, try batch={size}"
        )
    bounds = [(start, min(start + size, batch.samples)) for start in range(0, batch.samples, size)]
    shares = [(stop - start) / batch.samples for start, stop in bounds]

    def sweep(names: Sequence[str], wanted: frozenset[str], direction: Sequence[Tensor] | None) -> dict[str, Any]:
        found = []
        for start, stop in bounds:
            part = Part(batch.slice(start, stop, wanted), keep_codes=True, direction=direction)
            found.append(run_part(part, names, milliseconds))
            obstacle = why_not_split(part, batch, first=start == 0)
            if obstacle:
                raise Failure(f"out of memory at batch {batch.samples}; {obstacle}, try batch={size}")
        whole_only = Failure(
            f"out of memory at batch {batch.samples}; this cannot be measured in parts, try batch={size}"
        )
        return {
            name: merge(name, [part[name] for part in found], shares) if name in MERGE else whole_only
            for name in found[0]
        }

    if "curvature" not in passes:
        return sweep(passes, batch.wanted, None)
    first = (batch.wanted - {"hessian_gradients"}) | {"weight_gradients"}
    signals = sweep([name for name in passes if name != "curvature"], first, None)
    gradient = signals["weight_gradients"]
    if isinstance(gradient, Failure):
        return signals | {"hessian_gradients": gradient}
    again = sweep(["data", "loss", "curvature"], frozenset({"hessian_gradients"}), gradient)
    return signals | {"hessian_gradients": again["hessian_gradients"]}


def merge(name: str, parts: Sequence[Any], shares: Sequence[float]) -> Any:
    """One signal of a whole batch out of its parts; failed when it failed in any of them."""
    failed = next((part for part in parts if isinstance(part, Failure)), None)
    return failed or attempt(MERGE[name], parts, shares)


def why_not_split(part: Part, batch: PassInput, first: bool) -> str | None:
    """What stands against running a batch in parts, now that one part has been seen."""
    if part.observer.batch_norm:
        return "BatchNorm in train mode cannot be split"
    if part.noisy:
        return "the network draws random numbers (dropout), which differ when the batch is split"
    if part.loss_follows and batch.loss is not cross_entropy:
        return "a loss of your own may not be a mean over samples, so the batch is not split"
    if first and mixes_samples(part, batch):
        return "a sample's output depends on the samples beside it, so the batch cannot be split"
    return None


def mixes_samples(part: Part, batch: PassInput) -> bool:
    """Whether the first samples have other outputs beside fewer samples (for a part of one: beside another)."""
    network, size = batch.network, part.batch.samples
    if not hasattr(part, "outputs"):
        return False
    others = batch.slice(0, size // 2 or 2, batch.wanted)
    try:
        with network.fresh(batch.seed, batch.training), torch.no_grad():
            outputs = network.run(network.copies(), cloned(others.inputs))
    except torch.OutOfMemoryError:
        return False
    both = min(size, others.samples)
    one, other = part.outputs.detach()[:both], outputs[:both]
    return not torch.allclose(one, other, rtol=1e-3, atol=1e-3 * float(one.abs().max()))


def run_part(part: Part, passes: Sequence[str], milliseconds: dict[str, float]) -> dict[str, Any]:
    """Run the passes on one part in order, from the seed. What cannot be had is a Failure among the signals."""
    signals: dict[str, Any] = {}
    failed: dict[str, Failure] = {}
    network = part.batch.network
    with network.fresh(part.batch.seed, part.batch.training):
        for name in passes:
            start, state = network.clock(), generator_state(network.device)
            blocked = next((failed[before] for before in STEPS[name].after if before in failed), None)
            found = blocked or attempt(PASSES[name], part)
            if isinstance(found, Failure):
                failed[name] = found
                found = dict.fromkeys(signals_of([name]), found)
            signals |= found
            part.noisy |= name == "data" and generator_state(network.device) != state
            if name not in failed:
                milliseconds[name] = milliseconds.get(name, 0.0) + 1e3 * (network.clock() - start)
    return signals


def attempt(run: Callable[..., Any], *arguments: Any) -> Any:
    """What `run` returns, or the Failure that says why it returns nothing. Running out of memory is raised."""
    try:
        return run(*arguments)
    except (InputError, torch.OutOfMemoryError):
        raise
    except Failure as failure:
        return failure
    except Exception as error:
        if out_of_memory(error):
            raise torch.OutOfMemoryError(str(error)) from error
        return Failure(describe_error(error))


def or_failure(run: Callable[..., Any], *arguments: Any) -> Any:
    """`attempt` for a step that no splitting could make smaller."""
    try:
        return attempt(run, *arguments)
    except torch.OutOfMemoryError:
        return Failure("out of memory")


def signals_of(passes: Sequence[str]) -> list[str]:
    """Names of the signals that the passes deliver."""
    return [name for name, signal in SIGNALS.items() if signal.source in passes]
