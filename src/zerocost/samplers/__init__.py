"""Search strategies as Optuna samplers: each proposes whole architectures of a space, in any study.

The objective asks for its architecture with `suggest(space, trial)`.
"""

from __future__ import annotations

from zerocost.samplers.base import SpaceSampler
from zerocost.samplers.evolution import EvolutionSampler
from zerocost.samplers.gradient import GradientSampler
from zerocost.samplers.guide import BatchGuide
from zerocost.samplers.local import LocalSampler
from zerocost.samplers.random import RandomSampler
from zerocost.samplers.reinforce import ReinforceSampler
from zerocost.samplers.suggest import suggest

__all__ = [
    "BatchGuide",
    "EvolutionSampler",
    "GradientSampler",
    "LocalSampler",
    "RandomSampler",
    "ReinforceSampler",
    "SpaceSampler",
    "suggest",
]
