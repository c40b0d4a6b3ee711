"""suggest(): an architecture whose choices an Optuna trial answers."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from optuna import Trial, TrialPruned

from zerocost.base.errors import InputError
from zerocost.spaces.architecture import Architecture, Value
from zerocost.spaces.base import SearchSpace
from zerocost.spaces.choose import Choose, Options

if TYPE_CHECKING:
    from optuna.trial import BaseTrial

ARCHITECTURE = "architecture"
"""The attribute of a trial that holds its architecture's text."""
REJECTED = "rejected"
"""The attribute of a trial that holds the reason why it was pruned before scoring."""


class _NoArchitecture(InputError, TrialPruned):
    """The answers make no architecture; Optuna prunes a trial whose objective raises it."""


def suggest(space: SearchSpace, trial: BaseTrial, *, numeric: bool = False) -> Architecture:
    """The architecture that a trial's sampler proposes, its text kept as the trial's attribute "architecture".

    Whole numbers are asked with `suggest_int`, other choices with `suggest_categorical`, under the names they have in
    the space, so every sampler of Optuna can search every space. Optuna does not allow a choice to have other options
    than in earlier trials; such a choice is asked as `name=option|option`.

    Args:
        space: the space of the architecture.
        trial: an Optuna trial, which answers the choices.
        numeric: ask every choice as a whole number, the place of the option, for samplers such as CMA-ES that handle
            only numbers.

    Raises:
        InputError: the answers make no architecture, which can happen in space `nasbench101` to samplers that do not
            know its rules. It is a `TrialPruned` as well, so `study.optimize` prunes the trial and goes on. The reason
            is the trial's attribute "rejected".

    >>> import optuna
    >>> from torch import nn
    >>> from zerocost.spaces import from_function
    >>> space = from_function(lambda choose: nn.Linear(choose.int("width", 8, 64, step=8), 1), "linear")
    >>> str(suggest(space, optuna.trial.FixedTrial({"width": 16})))
    'width=16'
    """
    try:
        arch = space.choose(Choose(partial(_answer_by_place if numeric else _answer, trial)))
    except InputError as error:
        trial.set_user_attr(REJECTED, str(error))
        raise _NoArchitecture(str(error)) from error
    trial.set_user_attr(ARCHITECTURE, str(arch))
    return arch


def choice_name(parameter: str) -> str:
    """The name of the choice that a trial's parameter answers; choices have no equals sign in their names."""
    return parameter.partition("=")[0]


def _answer_by_place(trial: BaseTrial, name: str, options: Options) -> Value:
    return options[trial.suggest_int(name, 0, len(options) - 1)]


def _answer(trial: BaseTrial, name: str, options: Options) -> Value:
    try:
        return _ask(trial, name, options)
    except ValueError as error:
        if isinstance(trial, Trial) and not isinstance(options, range):  # it had other options in an earlier trial
            return trial.suggest_categorical(f"{name}={'|'.join(map(str, options))}", options)
        raise InputError(f"the trial does not answer choice {name!r}: {error}") from error


def _ask(trial: BaseTrial, name: str, options: Options) -> Value:
    if isinstance(options, range):
        return trial.suggest_int(name, options[0], options[-1], step=options.step)
    return trial.suggest_categorical(name, options)
