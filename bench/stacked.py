"""Whether networks of one shape run faster stacked than one by one.

    python bench/stacked.py [--networks 8] [--rounds 5] [--threads 1]

`networks` initialisations of one NAS-Bench-201 cell, as repeats of a score would build them, go forward and backward on
one batch: each alone, and all at once by `torch.func.vmap` over their weights, which makes grouped convolutions of
theirs. CPU time stacked over CPU time one by one, the median and range of rounds in turns; below 1, stacking wins.
"""

from __future__ import annotations

import copy
import statistics
from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
import typer
from torch import Tensor, nn
from torch.func import functional_call, replace_all_batch_norm_modules_, stack_module_state, vmap

from fusion import machine, seconds
from networks import nasbench201

SIZES = {"8 pixels, batch 16": (8, 8, 16), "16 pixels, batch 32": (8, 16, 32), "32 pixels, batch 64": (16, 32, 64)}
"""By name: channels, pixels, samples."""


def gradients(run: Callable[[dict[str, Tensor]], Tensor], weights: dict[str, Tensor]) -> None:
    """Forward and backward, to fresh leaves of the weights."""
    leaves = {name: weight.detach().requires_grad_() for name, weight in weights.items()}
    torch.autograd.grad(run(leaves), list(leaves.values()), allow_unused=True)


def main(networks: int = 8, rounds: int = 5, threads: int = 1) -> None:
    torch.set_num_threads(threads)
    print(machine())
    for title, (channels, pixels, samples) in SIZES.items():
        images, labels = torch.randn(samples, 3, pixels, pixels), torch.arange(samples) % 10
        models: list[nn.Module] = [nasbench201(channels=channels, cells=1) for _ in range(networks)]
        for model in models:
            replace_all_batch_norm_modules_(model)
        stacked, _ = stack_module_state(models)  # type: ignore[arg-type]
        shell = copy.deepcopy(models[0]).to("meta")

        def loss(weights: dict[str, Tensor], module: nn.Module, x: Tensor = images, y: Tensor = labels) -> Tensor:
            return F.cross_entropy(functional_call(module, weights, (x,)), y)

        def all_at_once(weights: dict[str, Tensor], shell: nn.Module = shell) -> Tensor:
            return vmap(partial(loss, module=shell))(weights).sum()

        def one_by_one(models: list[nn.Module] = models) -> None:
            for model in models:
                gradients(partial(loss, module=model), dict(model.named_parameters()))

        together = partial(gradients, all_at_once, stacked)
        one_by_one(), together()
        ratios = [seconds(together) / seconds(one_by_one) for _ in range(rounds)]
        print(f"{title}: {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    typer.run(main)
