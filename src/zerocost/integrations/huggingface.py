"""Models of Hugging Face transformers from their configurations, with random weights."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.data import Dataset

from zerocost.base.errors import InputError, MissingExtraError, describe_nearest, unknown
from zerocost.base.seeding import stream
from zerocost.data import Batch
from zerocost.data.tokens import Tokens
from zerocost.scoring.candidates import Builder

TASKS = {
    "causal-lm": "AutoModelForCausalLM",
    "seq2seq-lm": "AutoModelForSeq2SeqLM",
    "masked-lm": "AutoModelForMaskedLM",
    "sequence-classification": "AutoModelForSequenceClassification",
    "token-classification": "AutoModelForTokenClassification",
    "image-classification": "AutoModelForImageClassification",
}
"""By task, the class of transformers that builds its models."""

FUSED = {"gelu_new": "gelu_pytorch_tanh", "gelu_fast": "gelu_pytorch_tanh", "gelu_python": "gelu"}
"""Activations that transformers computes in several calls, and the equal one that takes a single call."""

_NO_TOKEN = -1
"""A padding id that no text has."""

_EXPECTED = "a configuration of transformers, a mapping with model_type, or the path of a JSON file that holds one"


def candidates(configs: Any, task: str | None = None) -> dict[str, Builder]:
    """Builders of untrained models, for `zerocost.rank`. Nothing is downloaded.

    Args:
        configs: a configuration, a mapping from name to configuration, or the path of a JSON file or of a folder of
            them. A configuration is one of transformers, a mapping with `model_type`, or the path of a JSON file.
        task: what the model is for, a key of `TASKS`. By default that of the class which a saved configuration names in
            `architectures`, else "causal-lm".

    Returns:
        Name (of a file, its path in the folder, without `.json`; of a single configuration, its type) to builder.

    Raises:
        InputError: an unknown task, a task without a model, no such file, or a configuration that transformers does
            not know.
        MissingExtraError: transformers is not installed.
    """
    chosen = _configurations_and_tasks(configs, task)
    return {name: partial(build, config, its_task) for name, (config, its_task) in chosen.items()}


def _configurations_and_tasks(configs: Any, task: str | None) -> dict[str, tuple[Any, str]]:
    """Configurations and their tasks, by name."""
    if task is not None and task not in TASKS:
        raise unknown("task", task, TASKS, "zerocost.integrations.huggingface.TASKS")
    found = {name: read_configuration(config, name) for name, config in _configurations_by_name(configs).items()}
    return {name: (config, _choose_task(config, name, task)) for name, config in found.items()}


def _configurations_by_name(configs: Any) -> dict[str, Any]:
    """Configurations by name."""
    if isinstance(configs, _import_transformers().PretrainedConfig):
        return {configs.model_type: configs}
    if isinstance(configs, str | Path):
        return dict(_find_files(configs))
    if not isinstance(configs, Mapping):
        raise InputError(
            f"got a {type(configs).__name__}; give a configuration of transformers, a mapping from name to "
            "configuration, or the path of a JSON file or of a folder of them"
        )
    kind = configs.get("model_type")
    return {kind: configs} if isinstance(kind, str) else {str(name): config for name, config in configs.items()}


def _choose_task(config: Any, name: str, task: str | None) -> str:
    """The task to build a model for; `InputError` if transformers has no model for it."""
    saved = _saved_task(config)
    if _model_classes(config, task or saved):
        return task or saved
    others = [each for each in TASKS if _model_classes(config, each)]
    hint = f"name another task, {' or '.join(others)}, as in hf:{others[0]}:PATH" if others else "nor for another task"
    raise InputError(f"{name}: {config.model_type} has no model for {task or saved}; {hint}")


def _saved_task(config: Any) -> str:
    """The task of the model that a configuration was saved for, else "causal-lm"."""
    return next((each for each in TASKS if {*(config.architectures or ())} & _model_classes(config, each)), "causal-lm")


def _model_classes(config: Any, task: str) -> set[str]:
    """The names of transformers' models of this configuration for a task."""
    models = getattr(_import_transformers(), TASKS[task])._model_mapping
    found = models.get(type(config), ())
    return {model.__name__ for model in (found if isinstance(found, tuple) else (found,))}


def candidates_and_data(target: str, source: Dataset[Any]) -> tuple[dict[str, Builder], Dataset[Any]]:
    """The candidates of a text and the data to score them on.

    Args:
        target: PATH or TASK:PATH.
        source: the data; tokens without a vocabulary get the smallest of the models'.

    Raises:
        InputError: as `candidates` does, and for data that some model cannot take.
    """
    if "," in target and not Path(target).exists():
        raise InputError(f"hf: takes one file or one folder, but got {target!r}; put the configurations in a folder")
    first, colon, rest = target.partition(":")
    task, place = (first, rest) if colon and not Path(target).exists() else (None, target)
    found = _configurations_and_tasks(place, task)
    builders: dict[str, Builder] = {name: partial(build, *both) for name, both in found.items()}
    if isinstance(source, Tokens):
        tokens = _fit_tokens(source, {name: config for name, (config, _) in found.items()})
        if tokens.classes is None and {its_task for _, its_task in found.values()} == {"causal-lm"}:
            tokens.task = "next_token"
        return builders, tokens
    languages = sorted({task for _, task in found.values()} - {"image-classification"})
    if languages and not _holds_ids(source):
        raise InputError(
            f"models for {', '.join(languages)} take token ids, the data holds other numbers; "
            "give tokens, as in tokens:64"
        )
    return builders, source


def _holds_ids(source: Dataset[Any]) -> bool:
    """Whether the inputs of a dataset are whole numbers."""
    first = source[0]
    sample = first[0] if isinstance(first, tuple | list) else first
    return isinstance(sample, torch.Tensor) and not sample.is_floating_point()


def _fit_tokens(tokens: Tokens, configs: Mapping[str, Any]) -> Tokens:
    """Tokens of a length and a vocabulary that every model takes; `InputError` if the given ones are not."""
    sizes = {name: _vocabulary_size(config, name) for name, config in configs.items()}
    lengths = {
        name: getattr(config, "max_position_embeddings", None) or tokens.length for name, config in configs.items()
    }
    least, short = min(sizes, key=lambda name: sizes[name]), min(lengths, key=lambda name: lengths[name])
    size, length = sizes[least], lengths[short]
    if tokens.length > length:
        raise InputError(f"{short} takes {length} tokens, but got {tokens.length}; write tokens:{length}")
    if tokens.vocabulary and tokens.vocabulary > size:
        raise InputError(
            f"{least} has a vocabulary of {size}, but got one of {tokens.vocabulary}; "
            f"write tokens:{tokens.length}:{size}, or leave it out"
        )
    return Tokens(tokens.length, tokens.vocabulary or size, classes=tokens.classes)


def _find_files(place: str | Path) -> dict[str, Path]:
    """The JSON files at a path, by name."""
    path = Path(place)
    folder = path if path.is_dir() else path.parent
    inside = filter(_is_configuration, path.rglob("*.json")) if place and path.is_dir() else ()
    found = sorted(inside) or ([path] if path.is_file() else [])
    if not found:
        raise InputError(f"no configuration is at {str(place)!r}; give a JSON file or a folder of them")
    return {_configuration_name(file, folder): file for file in found}


def _configuration_name(file: Path, folder: Path) -> str:
    """The name of a configuration: its path in the folder, or for a `config.json` that of the folder it is in."""
    if file.name != "config.json":
        return str(file.relative_to(folder).with_suffix(""))
    return folder.resolve().name if file.parent == folder else str(file.parent.relative_to(folder))


def _is_configuration(file: Path) -> bool:
    """Whether a JSON file is a configuration, not a file that `save_pretrained` writes beside `config.json`."""
    return file.name == "config.json" or not file.with_name("config.json").exists()


def read_configuration(config: Any, name: str = "the configuration") -> Any:
    """A configuration of transformers, from one, a mapping or the path of a JSON file."""
    if isinstance(config, _import_transformers().PretrainedConfig):
        return copy.deepcopy(config)
    if isinstance(config, str | Path):
        name, config = str(config), _read_json(Path(config))
    if not isinstance(config, Mapping):
        raise InputError(f"{name} is no configuration: got a {type(config).__name__}, expected {_EXPECTED}")
    values = dict(config)
    kind = values.pop("model_type", None)
    if not isinstance(kind, str):
        raise InputError(f"{name} has no model_type: got {kind!r}, expected a text such as 'gpt2' or 'bert'")
    known = _import_transformers().CONFIG_MAPPING
    if kind not in known:
        hint = describe_nearest(kind, known, "transformers.CONFIG_MAPPING")
        raise InputError(f"{name}: transformers has no model_type {kind!r}; {hint}")
    try:
        return _import_transformers().AutoConfig.for_model(kind, **values)
    except Exception as error:
        raise InputError(f"{name} is no configuration of {kind}: {error}") from error


def _read_json(file: Path) -> Any:
    """The contents of a JSON file, or of the `config.json` of a folder."""
    file = file / "config.json" if file.is_dir() else file
    try:
        return json.loads(file.read_text())
    except OSError as error:
        raise InputError(f"cannot read {file}: {error.strerror}; expected {_EXPECTED}") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{file} is no JSON: {error}") from error


def build(config: Any, task: str = "causal-lm") -> nn.Module:
    """A model with random weights, set up so that proxies can observe its operations.

    Attention is computed step by step, experts one by one, activations in one call, and nothing is cached. A decoder
    without ids of its own takes the encoder's. A classifier without a padding id reads the last token.
    """
    config = copy.deepcopy(config)
    for key, value in vars(config).items():
        if isinstance(value, str) and value in FUSED:
            setattr(config, key, FUSED[value])
    if hasattr(config, "use_cache"):
        config.use_cache = False
    config._experts_implementation = "eager"
    model: nn.Module = getattr(_import_transformers(), TASKS[task]).from_config(config, attn_implementation="eager")
    for name, module in list(model.named_modules()):
        if type(module).__name__ == "BloomGelu":
            model.set_submodule(name, nn.GELU("tanh"))
    if task == "seq2seq-lm":
        model.register_forward_pre_hook(_add_decoder_inputs, with_kwargs=True)
    settings: Any = model.config
    if task == "sequence-classification" and getattr(settings, "pad_token_id", None) is None:
        settings.pad_token_id = _NO_TOKEN
    return model


def _add_decoder_inputs(
    model: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of a call, with the encoder's ids for a decoder that gets none."""
    ids = inputs[0] if inputs else named.get("input_ids")
    return inputs, {"decoder_input_ids": ids, **named}


def tokens(config: Any, size: int = 16, length: int = 32, *, task: str | None = None, seed: int = 0) -> Batch:
    """Random token ids, size×length, below the configuration's vocabulary size.

    For "causal-lm" they are their own labels, and the loss of the task next_token shifts them; else there are none.

    Args:
        config: a configuration; of candidates with several vocabularies, that with the smallest.
        size: number of texts.
        length: of each text.
        task: what the model is for, a key of `TASKS`; by default as for `candidates`.
        seed: of the draw.

    Raises:
        InputError: a configuration without a vocabulary.

    >>> tokens({"model_type": "gpt2", "vocab_size": 50}, size=2, length=3).inputs["input_ids"].shape
    torch.Size([2, 3])
    """
    found = read_configuration(config)
    highest = _vocabulary_size(found, f"a configuration of {found.model_type}")
    drawn = torch.randint(highest, (size, length), generator=stream(seed, "tokens"))
    causal = (task or _saved_task(found)) == "causal-lm" and bool(_model_classes(found, "causal-lm"))
    return Batch({"input_ids": drawn}, drawn if causal else None)


def _vocabulary_size(config: Any, name: str) -> int:
    """The number of tokens that a configuration has; `InputError` if it has none."""
    size: int | None = getattr(config.get_text_config(), "vocab_size", None)
    if size is None:
        raise InputError(f"{name} has no vocab_size: {config.model_type} takes no tokens; give other data")
    if size < 1:
        raise InputError(f"{name} has a vocab_size of {size}; give it one of at least 1")
    return size


def _import_transformers() -> Any:
    """The package transformers; `MissingExtraError` without it."""
    try:
        import transformers
    except ImportError as error:
        extra = "pip install 'zerocost[transformers]'"
        raise MissingExtraError(f"configurations of Hugging Face need the extra transformers: {extra}") from error
    return transformers
