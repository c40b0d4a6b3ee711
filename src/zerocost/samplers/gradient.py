"""Gradient-based search: the choices of a relaxed super-network follow the gradient of a zero-cost proxy."""

from __future__ import annotations

import itertools
from typing import Any, Unpack

import numpy as np
import torch
from torch import Tensor

from zerocost.base.errors import InputError, unknown
from zerocost.base.fidelity import Fidelity
from zerocost.base.resize import resize
from zerocost.base.seeding import seeded, stream
from zerocost.data import Batch
from zerocost.samplers.base import TRIES, ProposalOptions, SpaceSampler
from zerocost.samplers.history import History
from zerocost.samplers.objectives import EXPLODING, OBJECTIVES
from zerocost.scoring.candidates import initialise
from zerocost.spaces.architecture import Architecture, Value
from zerocost.spaces.base import SearchSpace
from zerocost.spaces.choose import Choose, Options
from zerocost.spaces.mixture import Mixable, Weights

_SMALL_FIDELITY = Fidelity(width=0.25, depth=0.1, resolution=16, batch=32)
_LEARNING_RATE = 0.1
"""Of Adam."""


class GradientSampler(SpaceSampler):
    """Gradient ascent of a proxy over a mixture of all architectures, as NASI does (Shu et al., ICLR 2022).

    The space's mixture weighs the options of each choice by a softmax of logits with Gumbel noise, drawn anew each
    step; the logits follow the gradient of the objective. They are learnt when the first architecture is asked for,
    from `seed` and `batch` alone, not from the trials of the study. The first proposal has the most likely option of
    each choice; each later one is drawn at the lowest temperature that finds something new.

    The objective is the logarithm of one of

    - `log_synflow`, which needs no labels; it grows with every convolution;
    - `gradient_norm`, the norms of the loss's gradients to the operations' weights, summed;
    - `ntk_trace`, the sum of their squares, for the trace of the neural tangent kernel.

    Networks whose gradients explode cannot be trained, so the last two are increased up to their mean over the steps
    so far, and decreased above it.

    Args:
        space: one that can build a mixture, see `zerocost.spaces.mixture.Mixable`.
        batch: `(images, labels)`, or images alone where labels are not needed.
        objective: see above.
        steps: gradient steps.
        fidelity: of the mixture and the batch.
        options: `seed`, `combine`, `guide` and `moves`; see `SpaceSampler`. There is no warm-up.

    Raises:
        InputError: a space without a mixture, an unknown objective, missing labels, or `steps` below 1; and as
            `SpaceSampler` does.

    >>> from zerocost.spaces import get
    >>> sampler = GradientSampler(get("nasbench201"), (torch.ones(1, 3, 8, 8), None), steps=1)
    >>> sorted(sampler.logits())
    ['1<-0', '2<-0', '2<-1', '3<-0', '3<-1', '3<-2']
    """

    def __init__(
        self,
        space: SearchSpace,
        batch: Any,
        *,
        objective: str = "log_synflow",
        steps: int = 25,
        fidelity: Fidelity = _SMALL_FIDELITY,
        **options: Unpack[ProposalOptions],
    ) -> None:
        if "warmup" in options:
            raise InputError("the gradient strategy has no warm-up; remove warmup")
        super().__init__(space, **options)
        if not isinstance(space, Mixable):
            raise InputError(
                "the gradient strategy needs a space with a method mixture(fidelity), which "
                f"{space.name!r} does not have; darts, nasbench201 and transnas_micro have one"
            )
        if objective not in OBJECTIVES:
            raise unknown("objective", objective, OBJECTIVES)
        if steps < 1:
            raise InputError(f"the gradient strategy needs steps >= 1, but got {steps}")
        self.batch = Batch(batch) if isinstance(batch, Tensor) else Batch(*batch)
        self.objective = objective
        self.steps = steps
        self.fidelity = fidelity
        self._mixable: Mixable = space
        self._logits: dict[str, Tensor] | None = None

    def propose(self, history: History, rng: np.random.Generator) -> Architecture:
        logits = self.logits()
        draws = itertools.count()
        return self.best_new(history, lambda: self._draw(logits, rng, next(draws) / TRIES))

    def logits(self) -> dict[str, Tensor]:
        """The learnt logits of each choice, by name: one number an option."""
        if self._logits is None:
            with torch.inference_mode(False), torch.enable_grad(), seeded(self.seed):
                self._logits = self._learn()
        return self._logits

    def _draw(self, logits: dict[str, Tensor], rng: np.random.Generator, temperature: float) -> Architecture:
        """An architecture drawn from the softmax of logits divided by the temperature; 0 gives the most likely one."""

        def pick(name: str, options: Options) -> Value:
            return options[int(np.argmax(logits[name].numpy() + temperature * rng.gumbel(size=len(options))))]

        return self.space.choose(Choose(pick))

    def _learn(self) -> dict[str, Tensor]:
        images, labels = self.batch
        count, resolution = self.fidelity.batch, self.fidelity.resolution
        batch = Batch(resize(images[:count], resolution), None if labels is None else labels[:count])
        mixture: Any = initialise(lambda: self._mixable.mixture(self.fidelity), self.seed)
        logits = {
            name: torch.zeros(len(options), dtype=torch.float32, device="cpu", requires_grad=True)
            for name, options in mixture.options.items()
        }
        optimizer = torch.optim.Adam(logits.values(), lr=_LEARNING_RATE, maximize=True)
        noise, total = stream(self.seed, "gumbel"), 0.0
        for step in range(1, self.steps + 1):
            value = OBJECTIVES[self.objective](mixture, batch, _sample_weights(logits, noise))
            total += value.item()
            exploding = self.objective in EXPLODING and value.item() > total / step
            optimizer.zero_grad()
            goal = -value if exploding else value
            goal.backward(inputs=list(logits.values()))  # type: ignore[no-untyped-call]
            optimizer.step()
        return {name: values.detach() for name, values in logits.items()}


def _sample_weights(logits: dict[str, Tensor], noise: torch.Generator) -> Weights:
    """A sample of the Gumbel-softmax of each choice."""
    return {
        name: (values - torch.empty_like(values).exponential_(generator=noise).log()).softmax(0)
        for name, values in logits.items()
    }
