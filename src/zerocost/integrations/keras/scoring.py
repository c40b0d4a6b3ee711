"""Scores of a Keras model: here where Keras runs on torch, in a helper process where it does not."""

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
from zerocost.engine.losses import Loss
from zerocost.engine.plan import Plan
from zerocost.integrations.keras.helper import REMEDY, ask
from zerocost.integrations.keras.inputs import build, channels_first, check
from zerocost.integrations.keras.library import library
from zerocost.integrations.keras.module import as_module, closing
from zerocost.scoring.card import ScoreCard
from zerocost.scoring.score import score_batches as evaluate_module

Found = TypeVar("Found")


def evaluate(model: Any, batches: Sequence[Batch], steps: Plan, loss: Loss, seed: int) -> ScoreCard:
    """Run a plan on a Keras model and compute the proxies of it; where it cannot be run, each fails for that reason.

    Images may be channels last, as the model takes them, or channels first, as torch does. A model without weights gets
    them from one run on one sample.
    """
    keras = library()
    score = here if keras.backend.backend() == "torch" else elsewhere
    with plain_errors(keras):
        try:
            made = build(keras, model, batches[0].inputs, seed)
            for batch in batches:
                check(model, batch.inputs)
            card = score(keras, model, batches, steps, loss, seed)
        except Failure as reason:
            return ScoreCard({}, {p.name: str(reason) for p in steps.proxies})
    if made:
        card.provenance["initialisation"] = f"weights made on one sample, seed {seed}"
    return card


def here(keras: Any, model: Any, batches: Sequence[Batch], steps: Plan, loss: Loss, seed: int) -> ScoreCard:
    """The scores of the model as a torch module, in this process."""
    module = read(as_module, model)
    card = evaluate_module(module, channels_first(model, batches), steps, loss, seed)
    ending = closing(module)
    card.provenance["keras"] = keras.__version__
    card.provenance["keras_backend"] = "torch"
    card.provenance["outputs"] = f"logits, before the final {ending}" if ending else "as returned"
    return card


def elsewhere(keras: Any, model: Any, batches: Sequence[Batch], steps: Plan, loss: Loss, seed: int) -> ScoreCard:
    """The scores of a saved copy of the model, on the torch backend in a process of its own."""
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
            read(keras.saving.save_model, model, path)
        card: ScoreCard = ask(backend, (str(path), own(keras, model, path), list(batches), steps, loss, seed))
    card.provenance["keras_backend"] = f"torch, in a helper process; the session runs on {backend}"
    return card


def own(keras: Any, model: Any, path: Path) -> dict[str, str | None]:
    """The modules that define the layers of a model, and the registered objects that its file names, with their files.

    What is defined in the session's main program has no module to import.
    """
    with ZipFile(path) as saved:
        config = saved.read("config.json").decode()
    registered = {v.__module__ for name, v in keras.saving.get_custom_objects().items() if f'"{name}"' in config}
    modules = registered | {type(layer).__module__ for layer in model._flatten_layers()}
    own = {name for name in modules - {"__main__"} if name.partition(".")[0] != "keras"}
    return {name: getattr(sys.modules.get(name), "__file__", None) for name in sorted(own)}


def read(step: Callable[..., Found], *arguments: Any) -> Found:
    """What a step makes of the model; `Failure` with what it raised."""
    try:
        return step(*arguments)
    except (Failure, InputError):
        raise
    except Exception as error:
        raise Failure(f"the Keras model cannot be read: {describe_error(error)}") from error


@contextmanager
def plain_errors(keras: Any) -> Iterator[None]:
    """Errors inside Keras say what is wrong in their first line, not where they were met."""
    filtered = keras.config.is_traceback_filtering_enabled()
    keras.config.disable_traceback_filtering()
    try:
        yield
    finally:
        if filtered:
            keras.config.enable_traceback_filtering()
