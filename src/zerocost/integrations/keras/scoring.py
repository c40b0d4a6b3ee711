"""Scores of a Keras model: in this process if Keras runs on torch, else in a helper process."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar
from zipfile import ZipFile

from zerocost.base.errors import Failure, InputError, describe_error
from zerocost.data import Batch
from zerocost.engine.plan import Plan
from zerocost.integrations.keras.helper import REMEDY, ask_helper
from zerocost.integrations.keras.inputs import batches_channels_first, build_weights, check_inputs
from zerocost.integrations.keras.library import import_keras
from zerocost.integrations.keras.module import as_module, final_activation
from zerocost.scoring.card import ScoreCard, failed_card
from zerocost.scoring.score import score_batches as evaluate_module
from zerocost.tasks import Task

_Found = TypeVar("_Found")


def evaluate(model: Any, batches: Sequence[Batch], steps: Plan, task: Task, seed: int) -> ScoreCard:
    """Run a plan on a Keras model and compute its proxies; if it cannot be run, each fails for that reason.

    Images may be channels last, as the model takes them, or channels first, as in torch. A model without weights gets
    them from one pass on one sample.
    """
    keras = import_keras()
    score = _score_on_torch if keras.backend.backend() == "torch" else _score_in_helper
    with _unfiltered_errors(keras):
        try:
            made = build_weights(keras, model, batches[0].inputs, seed)
            for batch in batches:
                check_inputs(model, batch.inputs)
            card = score(keras, model, batches, steps, task, seed)
        except Failure as reason:
            return failed_card(steps.proxies, reason)
    if made:
        card.provenance["initialisation"] = f"weights made on one sample, seed {seed}"
    return card


def _score_on_torch(keras: Any, model: Any, batches: Sequence[Batch], steps: Plan, task: Task, seed: int) -> ScoreCard:
    """Score the model as a torch module, in this process."""
    module = _read_model(as_module, model, task.name)
    card = evaluate_module(module, batches_channels_first(model, batches), steps, task, seed)
    ending = final_activation(module)
    card.provenance["keras"] = keras.__version__
    card.provenance["keras_backend"] = "torch"
    card.provenance["outputs"] = f"logits, before the final {ending}" if ending else "as returned"
    return card


def _score_in_helper(keras: Any, model: Any, batches: Sequence[Batch], steps: Plan, task: Task, seed: int) -> ScoreCard:
    """Score a saved copy of the model, on the torch backend in another process."""
    backend = keras.backend.backend()
    for layer in model._flatten_layers():
        if getattr(getattr(layer, "function", None), "__name__", "") == "<lambda>":
            raise Failure(
                f"the session's Keras runs on {backend}, so the model is scored in another process, where the lambda "
                f"of its layer {layer.name!r} cannot be sent; write a layer instead {REMEDY}"
            )
    with TemporaryDirectory(prefix="zerocost-") as folder:
        path = Path(folder) / "model.keras"
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "__array__ implementation")  # Keras reads its variables as numpy 1 did
            _read_model(keras.saving.save_model, model, path)
        card: ScoreCard = ask_helper(
            backend, (str(path), _user_modules(keras, model, path), list(batches), steps, task, seed)
        )
    card.provenance["keras_backend"] = f"torch, in a helper process; the session runs on {backend}"
    return card


def _user_modules(keras: Any, model: Any, path: Path) -> dict[str, str | None]:
    """The user's modules that define layers of a model or registered objects in its file, by name, with their files.

    The session's main program is not among them, for it cannot be imported.
    """
    with ZipFile(path) as saved:
        config = saved.read("config.json").decode()
    registered = {v.__module__ for name, v in keras.saving.get_custom_objects().items() if f'"{name}"' in config}
    modules = registered | {type(layer).__module__ for layer in model._flatten_layers()}
    own = {name for name in modules - {"__main__"} if name.partition(".")[0] != "keras"}
    return {name: getattr(sys.modules.get(name), "__file__", None) for name in sorted(own)}


def _read_model(step: Callable[..., _Found], *arguments: Any) -> _Found:
    """The result of a step that reads the model; `Failure` with what it raised."""
    try:
        return step(*arguments)
    except (Failure, InputError, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise Failure(f"the Keras model cannot be read: {describe_error(error)}") from error


@contextmanager
def _unfiltered_errors(keras: Any) -> Iterator[None]:
    """Inside the block, the first line of Keras's errors says what is wrong, not where it happened."""
    filtered = keras.config.is_traceback_filtering_enabled()
    keras.config.disable_traceback_filtering()
    try:
        yield
    finally:
        if filtered:
            keras.config.enable_traceback_filtering()
