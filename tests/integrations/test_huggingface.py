"""Models of transformers from their configurations, built and scored offline."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from zerocost import rank, score
from zerocost.errors import InputError, MissingExtraError
from zerocost.integrations import huggingface
from zerocost.scoring import rank_batch
from zerocost.seeding import initialise

transformers = pytest.importorskip("transformers")

LLAMA = {
    "model_type": "llama",
    "vocab_size": 100,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "max_position_embeddings": 64,
    "eos_token_id": 2,
}
BERT = {
    "model_type": "bert",
    "vocab_size": 100,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "max_position_embeddings": 64,
}
PROXIES = "params,non_embedding_params,synflow,log_synflow,naswot,dss,head_confidence,flops"


def test_label_free_proxies_on_random_tokens() -> None:
    model = huggingface.candidates({"llama": LLAMA})["llama"]()
    card = score(model, huggingface.tokens(LLAMA, 8, 16), PROXIES)
    assert card.failures == {}
    assert card["params"] == sum(p.numel() for p in model.parameters())
    assert card["non_embedding_params"] == card["params"] - 100 * 32


def test_more_layers_are_more_of_what_counts_them() -> None:
    configs = {f"{n}": LLAMA | {"num_hidden_layers": n} for n in (1, 2, 3)}
    table = rank_batch(huggingface.candidates(configs), huggingface.tokens(LLAMA), "non_embedding_params,log_synflow")
    assert list(table.frame.index) == ["3", "2", "1"]


def test_a_folder_of_configurations_as_saved_by_transformers(tmp_path: Path) -> None:
    transformers.AutoConfig.for_model(**LLAMA).save_pretrained(tmp_path / "small")
    (tmp_path / "bert.json").write_text(json.dumps(BERT))
    found = huggingface.candidates(tmp_path, "sequence-classification")
    assert list(found) == ["bert", "small/config"]
    one = huggingface.candidates(tmp_path / "small" / "config.json")
    assert list(one) == ["config"]
    direct = huggingface.build(transformers.AutoConfig.for_model(**LLAMA))
    assert [p.shape for p in one["config"]().parameters()] == [p.shape for p in direct.parameters()]


@pytest.mark.parametrize(
    ("task", "config", "shape"),
    [
        ("causal-lm", LLAMA, (4, 8, 100)),
        ("masked-lm", BERT, (4, 8, 100)),
        ("sequence-classification", BERT | {"num_labels": 3}, (4, 3)),
    ],
)
def test_tasks(task: str, config: dict[str, Any], shape: tuple[int, ...]) -> None:
    model = huggingface.candidates({"one": config}, task)["one"]()
    assert model(**huggingface.tokens(config, 4, 8)[0]).logits.shape == shape


def test_a_classifier_is_scored_with_labels() -> None:
    model = huggingface.candidates({"one": BERT | {"num_labels": 3}}, "sequence-classification")["one"]()
    tokens = huggingface.tokens(BERT, 6, 8).inputs
    assert score(model, (tokens, torch.arange(6) % 3), "snip,grasp,grad_norm").failures == {}


def test_images() -> None:
    vit = {"model_type": "vit", "image_size": 8, "patch_size": 4, "hidden_size": 16, "intermediate_size": 32}
    vit |= {"num_hidden_layers": 1, "num_attention_heads": 2, "num_labels": 10}
    table = rank(huggingface.candidates({"vit": vit}, "image-classification"), "digits:8", "snip,jacob_cov", batch=8)
    assert table.failures.empty


def test_the_seed_is_all_that_matters_and_the_configuration_is_left_alone() -> None:
    config = transformers.AutoConfig.for_model(**LLAMA)
    before = config.to_dict()
    build = huggingface.candidates({"llama": config})["llama"]
    assert all(map(torch.equal, initialise(build, 1).parameters(), initialise(build, 1).parameters()))
    assert config.to_dict() == before
    assert torch.equal(*(huggingface.tokens(config, seed=5).inputs["input_ids"] for _ in range(2)))


@pytest.mark.parametrize(
    ("config", "message"),
    [({}, "no model_type"), ({"model_type": "lama"}, "no configuration of transformers"), (7, "no configuration")],
)
def test_what_is_no_configuration(config: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        huggingface.candidates({"one": config})


def test_other_input_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="unknown task 'causal'; did you mean 'causal-lm'"):
        huggingface.candidates({"one": LLAMA}, "causal")
    with pytest.raises(InputError, match="no configuration is at"):
        huggingface.candidates(tmp_path)
    with pytest.raises(InputError, match="no vocab_size"):
        huggingface.tokens({"model_type": "vit"})


def test_absence_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingExtraError, match=r"zerocost\[transformers\]"):
        huggingface.candidates({"one": LLAMA})
