"""Fits a batch into memory without changing a score.

Where samples do not influence each other, gradients of the mean loss are the weighted sum of the parts' gradients, and
per-sample signals are the parts' rows: a batch that does not fit whole is run in parts. Where they do (BatchNorm in
train mode), where noise is drawn (dropout), or where the loss is the caller's own and need not be a mean over samples,
it is never split, and the failure says so.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from zerocost.engine.observe import agreement
from zerocost.engine.passes.batch import PASSES, Batch, Part, cross_entropy
from zerocost.engine.signals import SIGNALS, ChannelSaliency
from zerocost.errors import Failure, InputError
from zerocost.seeding import generator_state, seeded


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
    return torch.stack([agreement(torch.cat(codes)) for codes in zip(*parts, strict=True)]).sum(0)


MERGE: dict[str, Callable[[Sequence[Any], Sequence[float]], Any]] = {
    "outputs": rows,
    "activation_kernel": kernel,
    "loss": weighted,
    "weight_gradients": weighted,
    "channel_saliency": channels,
    "hessian_gradients": weighted,
    "input_jacobian": rows,
}


def measure_batch(batch: Batch, passes: Sequence[str], milliseconds: dict[str, float]) -> tuple[dict[str, Any], int]:
    """The signals of the passes on the batch, and the size of the parts it was run in (usually all of it)."""
    size = batch.samples
    while size:
        try:
            return in_parts(batch, passes, size, milliseconds), size
        except torch.OutOfMemoryError:
            size //= 2
        except Failure as refused:
            return dict.fromkeys(signals_of(passes), refused), size
    return dict.fromkeys(signals_of(passes), Failure("out of memory on a single sample of the batch")), 1


def in_parts(batch: Batch, passes: Sequence[str], size: int, milliseconds: dict[str, float]) -> dict[str, Any]:
    """The batch's signals out of parts of `size` samples; Failure where that would change them."""
    if size >= batch.samples:
        return run_part(Part(batch), passes, milliseconds)
    bounds = [(start, min(start + size, batch.samples)) for start in range(0, batch.samples, size)]
    shares = [(stop - start) / batch.samples for start, stop in bounds]

    def sweep(names: Sequence[str], wanted: frozenset[str], direction: Sequence[Tensor] | None) -> dict[str, Any]:
        found = []
        for start, stop in bounds:
            part = Part(batch.slice(start, stop, wanted), keep_codes=True, direction=direction)
            found.append(run_part(part, names, milliseconds))
            obstacle = why_not_split(part)
            if obstacle:
                raise Failure(f"out of memory at batch {batch.samples}; {obstacle}, try batch={size}")
        return {name: merge(name, [part[name] for part in found], shares) for name in found[0]}

    signals = sweep([name for name in passes if name != "curvature"], batch.wanted - {"hessian_gradients"}, None)
    if "curvature" in passes:
        gradient = signals["weight_gradients"]
        if isinstance(gradient, Failure):
            return signals | {"hessian_gradients": gradient}
        again = sweep(["data", "loss", "curvature"], frozenset({"hessian_gradients"}), gradient)
        signals["hessian_gradients"] = again["hessian_gradients"]
    return signals


def merge(name: str, parts: Sequence[Any], shares: Sequence[float]) -> Any:
    """One signal of a whole batch out of its parts; failed when it failed in any of them."""
    failed = next((part for part in parts if isinstance(part, Failure)), None)
    return failed or MERGE[name](parts, shares)


def why_not_split(part: Part) -> str | None:
    """What stands against running a batch in parts, now that one part has been seen."""
    if part.observer.batch_norm:
        return "BatchNorm in train mode cannot be split"
    if part.noisy:
        return "the network draws random numbers (dropout), which differ when the batch is split"
    if part.batch.loss is not cross_entropy and part.loss_follows:
        return "a loss of your own may not be a mean over samples, so the batch is not split"
    return None


def run_part(part: Part, passes: Sequence[str], milliseconds: dict[str, float]) -> dict[str, Any]:
    """Run the passes on one part in order, from the seed. What cannot be had is a Failure among the signals."""
    signals: dict[str, Any] = {}
    failed: Failure | None = None
    device = part.batch.network.device
    with seeded(part.batch.seed, device):
        for name in passes:
            start, state = time.perf_counter(), generator_state(device)
            found = attempt(PASSES[name], part) if failed is None else failed
            if isinstance(found, Failure):
                failed = found if name in ("data", "loss") else failed
                found = dict.fromkeys(signals_of([name]), found)
            signals |= found
            part.noisy |= name == "data" and generator_state(device) != state
            milliseconds[name] = milliseconds.get(name, 0.0) + 1e3 * (time.perf_counter() - start)
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
        if isinstance(error, RuntimeError) and "can't allocate memory" in str(error):
            raise torch.OutOfMemoryError(str(error)) from error
        return Failure(f"{type(error).__name__}: {(str(error) or 'no message').splitlines()[0]}")


def signals_of(passes: Sequence[str]) -> list[str]:
    """Names of the signals that the passes deliver."""
    return [name for name, signal in SIGNALS.items() if signal.source in passes]
