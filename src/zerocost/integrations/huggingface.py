"""Models of Hugging Face transformers from their configurations, with random weights."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn
from torch.utils.data import Dataset

from zerocost.data import Batch
from zerocost.data.tokens import Tokens
from zerocost.errors import InputError, MissingExtraError, unknown
from zerocost.seeding import Builder, stream

TASKS = {
    "causal-lm": "AutoModelForCausalLM",
    "masked-lm": "AutoModelForMaskedLM",
    "seq2seq-lm": "AutoModelForSeq2SeqLM",
    "sequence-classification": "AutoModelForSequenceClassification",
    "token-classification": "AutoModelForTokenClassification",
    "image-classification": "AutoModelForImageClassification",
}
"""What transformers calls the class that builds a model for a task."""

FUSED = {"gelu_new": "gelu_pytorch_tanh", "gelu_fast": "gelu_pytorch_tanh", "gelu_python": "gelu"}
"""Activations that transformers writes out of several calls, and the one that computes the same in a single call."""


def candidates(configs: Any, task: str = "causal-lm") -> dict[str, Builder]:
    """Builders of untrained models, for `zerocost.rank`. Nothing is downloaded.

    Args:
        configs: a mapping from name to configuration, or the path of a JSON file or of a folder of them. A
            configuration is one of transformers, a mapping with `model_type`, or the path of a JSON file.
        task: what the model is for, a key of `TASKS`; causal language models by default.

    Returns:
        Name (of a file, its path in the folder, without `.json`) to builder.

    Raises:
        InputError: an unknown task, no such file, or a configuration that transformers does not know.
        MissingExtraError: transformers is not installed.
    """
    library()
    if task not in TASKS:
        raise unknown("task", task, TASKS)
    found = configs if isinstance(configs, Mapping) else files(configs)
    return {str(name): partial(build, read(config), task) for name, config in found.items()}


def named(target: str, source: Dataset[Any]) -> tuple[dict[str, Builder], Dataset[Any]]:
    """`candidates` of a text PATH or TASK:PATH, and the data; tokens without a vocabulary get the models' smallest.

    Raises `InputError` as `candidates` does, and for data that not every model takes.
    """
    task, colon, place = target.partition(":")
    if not colon or Path(target).exists():
        task, place = "causal-lm", target
    configs = {name: read(file) for name, file in files(place).items()}
    builders = candidates(configs, task)
    if isinstance(source, Tokens):
        return builders, fitted(source, configs)
    first = source[0]
    sample = first[0] if isinstance(first, tuple | list) else first
    if task != "image-classification" and sample.is_floating_point():
        raise InputError(
            f"models for {task} take token ids, the data holds other numbers; give tokens, as in tokens:64"
        )
    return builders, source


def fitted(tokens: Tokens, configs: Mapping[str, Any]) -> Tokens:
    """Tokens of a length and a vocabulary that every model takes; `InputError` where those that are given are none."""
    sizes = {name: vocabulary(config) for name, config in configs.items()}
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
    return Tokens(tokens.length, tokens.vocabulary or size)


def files(place: str | Path) -> dict[str, Path]:
    """Name to path of the JSON files at a path."""
    path = Path(place)
    folder = path if path.is_dir() else path.parent
    inside = filter(configures, path.rglob("*.json")) if place and path.is_dir() else ()
    found = sorted(inside) or ([path] if path.is_file() else [])
    if not found:
        raise InputError(f"no configuration is at {str(place)!r}; give a JSON file or a folder of them")
    return {str(file.relative_to(folder).with_suffix("")): file for file in found}


def configures(file: Path) -> bool:
    """Whether a JSON file is a configuration, not what `save_pretrained` writes beside its `config.json`."""
    return file.name == "config.json" or not file.with_name("config.json").exists()


def read(config: Any) -> Any:
    """A configuration of transformers, out of one, a mapping or the path of a JSON file."""
    transformers = library()
    if isinstance(config, transformers.PretrainedConfig):
        return copy.deepcopy(config)
    source = str(config) if isinstance(config, str | Path) else "the mapping"
    try:
        values = json.loads(Path(config).read_text()) if isinstance(config, str | Path) else dict(config)
        kind = values.pop("model_type")
        return transformers.AutoConfig.for_model(kind, **values)
    except KeyError:
        raise InputError(f"{source} has no model_type, such as 'gpt2' or 'bert'") from None
    except (OSError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{source} is no configuration of transformers: {error}") from error


def build(config: Any, task: str = "causal-lm") -> nn.Module:
    """A model of random weights. Attention is computed step by step, so that proxies that look into it, or need a
    second derivative, can, and activations in one call; nothing is cached."""
    made = copy.deepcopy(config)
    for key, value in vars(made).items():
        if isinstance(value, str) and value in FUSED:
            setattr(made, key, FUSED[value])
    if hasattr(made, "use_cache"):
        made.use_cache = False
    model: nn.Module = getattr(library(), TASKS[task]).from_config(made, attn_implementation="eager")
    return model


def tokens(config: Any, size: int = 16, length: int = 32, *, seed: int = 0) -> Batch:
    """Random token ids, size×length, below the configuration's vocabulary size, without labels.

    For candidates of several vocabularies, give the smallest. Raises `InputError` for a configuration of no
    vocabulary.

    >>> tokens({"model_type": "gpt2", "vocab_size": 50}, size=2, length=3).inputs["input_ids"].shape
    torch.Size([2, 3])
    """
    drawn = torch.randint(vocabulary(read(config)), (size, length), generator=stream(seed, "tokens"))
    return Batch({"input_ids": drawn}, None)


def vocabulary(config: Any) -> int:
    """How many tokens a configuration knows; `InputError` where it knows none."""
    size: int | None = getattr(config.get_text_config(), "vocab_size", None)
    if not size:
        raise InputError(
            f"a configuration of {config.model_type} has no vocab_size: it takes no tokens; give other data"
        )
    return size


def library() -> ModuleType:
    """The package transformers; `MissingExtraError` without it."""
    try:
        import transformers
    except ImportError as error:
        extra = "pip install 'zerocost[transformers]'"
        raise MissingExtraError(f"configurations of Hugging Face need the extra transformers: {extra}") from error
    return transformers
