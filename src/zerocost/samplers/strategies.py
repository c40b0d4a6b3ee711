"""The strategies by name: those of zerocost, which propose whole architectures, and Optuna's own."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Unpack

import optuna
from optuna.samplers import BaseSampler, CmaEsSampler, GPSampler, NSGAIISampler, TPESampler

from zerocost.base.errors import InputError, MissingExtraError, unknown
from zerocost.samplers.base import SamplerOptions
from zerocost.samplers.evolution import EvolutionSampler
from zerocost.samplers.local import LocalSampler
from zerocost.samplers.random import RandomSampler
from zerocost.samplers.reinforce import ReinforceSampler
from zerocost.spaces.base import SearchSpace

_SPACE_SAMPLERS: dict[str, Callable[..., BaseSampler]] = {
    "random": RandomSampler,
    "evolution": EvolutionSampler,
    "local": LocalSampler,
    "reinforce": ReinforceSampler,
}
_OPTUNA: dict[str, Callable[[int], BaseSampler]] = {
    "tpe": lambda seed: TPESampler(seed=seed, multivariate=True, group=True),
    "nsga2": lambda seed: NSGAIISampler(seed=seed),
    "cmaes": lambda seed: CmaEsSampler(seed=seed),
    "gp": lambda seed: GPSampler(seed=seed, deterministic_objective=True, warn_independent_sampling=False),
}
_ONE_OBJECTIVE = ("cmaes",)


def names() -> list[str]:
    """The strategies that `make_sampler` knows.

    >>> names()
    ['cmaes', 'evolution', 'gp', 'gradient', 'local', 'nsga2', 'random', 'reinforce', 'tpe']
    """
    return sorted([*_SPACE_SAMPLERS, *_OPTUNA, "gradient"])


def check_strategy(strategy: object) -> None:
    """`InputError` for what is neither the name of a strategy nor a sampler."""
    if isinstance(strategy, BaseSampler):
        return
    if not isinstance(strategy, str):
        raise InputError(f"a strategy is a name or an Optuna sampler, but got {strategy!r}")
    if strategy not in names():
        raise unknown("strategy", strategy, names(), "`zerocost search --help`")


def make_sampler(
    strategy: str | BaseSampler,
    space: SearchSpace,
    *,
    objectives: int = 1,
    batch: Any = None,
    budget: int | None = None,
    **options: Unpack[SamplerOptions],
) -> BaseSampler:
    """The Optuna sampler of a strategy; a sampler is returned as it is.

    Args:
        strategy: a name, see `names`, or a sampler.
        space: the space to search.
        objectives: number of objectives.
        batch: inputs and labels that `gradient` learns on.
        budget: how many architectures are to be tried; of a small one, `evolution` has a smaller population.
        options: `seed`, `combine`, `guide`, `warmup` and `moves`, as in `zerocost.samplers.SpaceSampler`. Without a
            guide, `warmup` and `moves` have no effect. Optuna's own samplers use the values of the trials in place of
            `combine`.

    Raises:
        InputError: an unknown name, several objectives for a strategy of one, or a guide for one that takes none.
        MissingExtraError: `cmaes` without its package.
    """
    check_strategy(strategy)
    if isinstance(strategy, BaseSampler):
        return strategy
    if strategy in _ONE_OBJECTIVE and objectives > 1:
        raise InputError(f"strategy {strategy} has one objective, but got {objectives}; use nsga2, tpe or evolution")
    guide, seed = options.get("guide"), options.get("seed", 0)
    if guide is None:
        options.pop("warmup", None)
        options.pop("moves", None)
    if strategy == "evolution" and budget is not None:
        return EvolutionSampler(space, **_population_for(budget), **options)
    if strategy in _SPACE_SAMPLERS:
        return _SPACE_SAMPLERS[strategy](space, **options)
    if strategy == "gradient" and not options.get("warmup"):
        from zerocost.samplers.gradient import GradientSampler

        return GradientSampler(space, batch, seed=seed, guide=guide, moves=options.get("moves", 1))
    if guide is not None:
        no = "warm-up" if strategy == "gradient" else "warm-up and no moves"
        raise InputError(f"strategy {strategy} takes no {no}; {', '.join(_SPACE_SAMPLERS)} do")
    try:
        with quiet_optuna():
            return _OPTUNA[strategy](seed)
    except ImportError as error:
        raise MissingExtraError(
            f"strategy {strategy} needs the extra {strategy}: pip install 'zerocost[{strategy}]'"
        ) from error


def _population_for(budget: int) -> dict[str, int]:
    """A sixth of the budget, from 4 to 30 architectures, a third of which compete.

    >>> _population_for(1000), _population_for(40)
    ({'population': 30, 'tournament': 10}, {'population': 6, 'tournament': 2})
    """
    population = min(30, max(4, budget // 6))
    return {"population": population, "tournament": max(2, population // 3)}


@contextmanager
def quiet_optuna() -> Iterator[None]:
    """Inside the block, Optuna logs only warnings and errors, and does not say what of it is experimental."""
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(level)
