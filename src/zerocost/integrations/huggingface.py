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

from zerocost.data import Batch
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


def files(place: str | Path) -> dict[str, Path]:
    """Name to path of the JSON files at a path."""
    path = Path(place)
    folder = path if path.is_dir() else path.parent
    found = sorted(path.rglob("*.json")) if path.is_dir() else [path] if path.is_file() else []
    if not found:
        raise InputError(f"no configuration is at {place}; give a JSON file or a folder of them")
    return {str(file.relative_to(folder).with_suffix("")): file for file in found}


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
    second derivative, can; nothing is cached."""
    made = copy.deepcopy(config)
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
    vocabulary = getattr(read(config), "vocab_size", None)
    if not vocabulary:
        raise InputError("the configuration has no vocab_size; give a batch of your own")
    drawn = torch.randint(vocabulary, (size, length), generator=stream(seed, "tokens"))
    return Batch({"input_ids": drawn}, None)


def library() -> ModuleType:
    """The package transformers; `MissingExtraError` without it."""
    try:
        import transformers
    except ImportError as error:
        extra = "pip install 'zerocost[transformers]'"
        raise MissingExtraError(f"configurations of Hugging Face need the extra transformers: {extra}") from error
    return transformers
