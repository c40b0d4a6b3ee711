"""Candidates as the shell names them: of the user's own file, of timm, of Hugging Face transformers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer
from torch import nn

from zerocost.base.errors import InputError, describe_error
from zerocost.base.seeding import seeded
from zerocost.base.user_code import load_object
from zerocost.data import load as open_data
from zerocost.integrations import huggingface, timm
from zerocost.integrations.huggingface import TASKS
from zerocost.scoring.candidates import Builder, as_builders, is_network

_TARGET_FORMS = "FILE.py:NAME[,…]|timm:NAMES|hf:[TASK:]PATH"
_CANDIDATES_HELP = (
    "In your own file: a mapping from name to a function that builds a network, a list of such functions, a function "
    "that returns one of these, or one that builds a network; several names are joined by commas. Or models of timm, "
    "as in 'timm:resnet1*,vit_tiny_*'; or models of Hugging Face transformers from a JSON configuration or a folder "
    f"of them, as in 'hf:configs/' or 'hf:masked-lm:configs/', for a task of {', '.join(TASKS)}. By default the task "
    "is that of the saved model, else the first."
)
Target = Annotated[str, typer.Argument(metavar=_TARGET_FORMS, help=_CANDIDATES_HELP)]


def load_candidates(target: str, data: str, task: str | None = None) -> tuple[Any, Any]:
    """The candidates, and the data to score or train them on.

    Raises:
        InputError: a file, name or model that cannot be used.
    """
    collection, _, names = target.partition(":")
    source = open_data(data, task=task)
    if collection == "timm":
        return timm.candidates(names, source), source
    if collection == "hf":
        return huggingface.candidates_and_data(names, source)
    return _own_candidates(target), source


def load_builder(target: str) -> Any:
    """The function of FILE.py:NAME that builds a network; `InputError` for anything else."""
    found = load_object(target)
    if not callable(found):
        raise InputError(f"{target} is of type {type(found).__name__}, not a function that builds a network")
    return found


def _own_candidates(target: str) -> dict[str, Builder | nn.Module]:
    """The candidates that the names in the user's file stand for."""
    path, colon, names = target.rpartition(":")
    found: dict[str, Builder | nn.Module] = {}
    for name in names.split(","):
        for candidate, build in _candidates_of(load_object(f"{path}{colon}{name}"), name).items():
            if candidate in found:
                raise InputError(f"two candidates of {target} have the name {candidate!r}; give each its own")
            found[candidate] = build
    return found


def _candidates_of(value: Any, name: str) -> dict[str, Builder | nn.Module]:
    """The candidates that one name stands for."""
    if isinstance(value, type) and issubclass(value, nn.Module):
        return {name: value}
    called = callable(value) and not isinstance(value, Mapping | nn.Module)
    try:
        with seeded(0):
            made = value() if called else value
            return {name: value} if is_network(made) else as_builders(made)
    except (KeyboardInterrupt, InputError):
        raise
    except BaseException as error:
        raise InputError(f"{name}{'()' * called} raised {describe_error(error)}") from error
