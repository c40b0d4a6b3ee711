"""Models of transformers from their configurations, built and scored offline."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from zerocost import rank, score
from zerocost.base.errors import InputError, MissingExtraError
from zerocost.data import load
from zerocost.integrations import huggingface
from zerocost.scoring.candidates import initialise
from zerocost.scoring.rank import rank_batch

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
GPT2 = {
    "model_type": "gpt2",
    "vocab_size": 100,
    "n_embd": 32,
    "n_layer": 2,
    "n_head": 2,
    "n_positions": 64,
    "bos_token_id": 1,
    "eos_token_id": 1,
}
VIT = {
    "model_type": "vit",
    "image_size": 8,
    "patch_size": 4,
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_labels": 10,
}
T5 = {"model_type": "t5", "vocab_size": 100, "d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 1, "num_heads": 4}
MIXTRAL = LLAMA | {"model_type": "mixtral", "num_local_experts": 4}
BLOOM = {"model_type": "bloom", "vocab_size": 100, "hidden_size": 32, "n_layer": 1, "n_head": 2}
PROXIES = "params,non_embedding_params,synflow,log_synflow,naswot,dss,head_confidence,flops"


@pytest.mark.parametrize("config", [LLAMA, GPT2], ids=["llama", "gpt2"])
def test_label_free_proxies_on_random_tokens(config: dict[str, Any]) -> None:
    model = huggingface.candidates({"one": config})["one"]()
    card = score(model, huggingface.tokens(config, 8, 16), PROXIES)
    assert card.failures == {}
    assert card["params"] == sum(p.numel() for p in model.parameters())
    assert card["non_embedding_params"] == card["params"] - (100 + config.get("n_positions", 0)) * 32


def test_the_default_proxies_work_where_there_is_attention() -> None:
    bart = {"model_type": "bart", "vocab_size": 100, "d_model": 32, "encoder_layers": 1, "decoder_layers": 1}
    bart |= dict.fromkeys(("encoder_attention_heads", "decoder_attention_heads"), 2)
    models = {
        **huggingface.candidates({"llama": LLAMA, "gpt2": GPT2, "bloom": BLOOM}),
        **huggingface.candidates({"bert": BERT}, "masked-lm"),
        **huggingface.candidates({"t5": T5, "bart": bart}, "seq2seq-lm"),
    }
    assert rank_batch(models, huggingface.tokens(LLAMA, 4, 8), "default").failures.empty


def test_a_decoder_without_ids_of_its_own_takes_those_of_the_encoder() -> None:
    model = huggingface.candidates(T5, "seq2seq-lm")["t5"]().eval()
    ids = huggingface.tokens(T5, 4, 8).inputs["input_ids"]
    both = model(input_ids=ids, decoder_input_ids=ids).logits
    assert torch.equal(model(ids).logits, both)
    assert torch.equal(model(input_ids=ids).logits, both)
    assert not torch.equal(model(input_ids=ids, decoder_input_ids=ids.flip(1)).logits, both)


def test_experts_are_run_one_by_one() -> None:
    """All of them count, and in double precision, which torch's grouped product does not know."""
    one, two = (huggingface.build(huggingface.read_configuration(MIXTRAL | {"num_experts_per_tok": n})) for n in (1, 2))
    cards = [score(model, huggingface.tokens(MIXTRAL, 4, 8), "log_synflow,dss,flops") for model in (one, two)]
    assert [card.failures for card in cards] == [{}, {}]
    assert cards[1]["flops"] > cards[0]["flops"]


def test_the_activation_of_bloom_computes_the_same() -> None:
    ours = huggingface.build(huggingface.read_configuration(BLOOM)).eval()
    theirs = transformers.AutoModelForCausalLM.from_config(huggingface.read_configuration(BLOOM)).eval()
    theirs.load_state_dict(ours.state_dict())
    ids = huggingface.tokens(BLOOM, 4, 8).inputs["input_ids"]
    assert torch.allclose(ours(ids).logits, theirs(ids).logits, atol=1e-5)


@pytest.mark.parametrize("config", [GPT2, LLAMA], ids=["gpt2", "llama"])
def test_a_classifier_without_padding_reads_the_last_token(config: dict[str, Any]) -> None:
    model = huggingface.candidates({"one": config | {"num_labels": 3}}, "sequence-classification")["one"]().eval()
    ids = huggingface.tokens(config, 6, 8).inputs["input_ids"]
    ids[:, -2:] = 0
    assert torch.allclose(model(ids).logits, torch.cat([model(row[None]).logits for row in ids]), atol=1e-6)
    assert score(model, (ids, torch.arange(6) % 3), "snip,log_synflow,dss,naswot").failures == {}


def test_every_layer_of_gpt2_counts() -> None:
    """Its own kind of linear layer four times a block, and the head."""
    model = huggingface.candidates({"one": GPT2})["one"]()
    assert score(model, huggingface.tokens(GPT2, 8, 16), "depth")["depth"] == 4 * 2 + 1


@pytest.mark.parametrize("name", huggingface.FUSED)
def test_an_activation_in_one_call_computes_the_same(name: str) -> None:
    inputs = torch.linspace(-6, 6, 400, dtype=torch.float64)
    ours, theirs = (transformers.activations.ACT2FN[n](inputs) for n in (huggingface.FUSED[name], name))
    assert torch.allclose(ours, theirs, atol=1e-9)


def test_the_configuration_keeps_its_name_of_the_activation() -> None:
    config = huggingface.read_configuration(GPT2)
    assert huggingface.build(config).config.activation_function == "gelu_pytorch_tanh"
    assert config.activation_function == "gelu_new"


def test_more_layers_are_more_of_what_counts_them() -> None:
    configs = {f"{n}": LLAMA | {"num_hidden_layers": n} for n in (1, 2, 3)}
    table = rank_batch(huggingface.candidates(configs), huggingface.tokens(LLAMA), "non_embedding_params,log_synflow")
    assert list(table.frame.index) == ["3", "2", "1"]


def test_a_folder_of_configurations_as_saved_by_transformers(tmp_path: Path) -> None:
    transformers.AutoConfig.for_model(**LLAMA).save_pretrained(tmp_path / "small")
    (tmp_path / "bert.json").write_text(json.dumps(BERT))
    found = huggingface.candidates(tmp_path, "sequence-classification")
    assert list(found) == ["bert", "small"]
    one = huggingface.candidates(tmp_path / "small" / "config.json")
    assert list(one) == ["small"]
    assert huggingface.tokens(tmp_path / "small", size=2, length=3).inputs["input_ids"].shape == (2, 3)
    direct = huggingface.build(transformers.AutoConfig.for_model(**LLAMA))
    assert [p.shape for p in one["small"]().parameters()] == [p.shape for p in direct.parameters()]


def test_a_saved_model_is_its_configuration_alone(tmp_path: Path) -> None:
    huggingface.build(huggingface.read_configuration(GPT2)).save_pretrained(tmp_path / "small")
    assert len(list(tmp_path.rglob("*.json"))) > 1
    assert list(huggingface.candidates(tmp_path)) == ["small"]


def test_labels_of_a_causal_model_are_shifted_by_one() -> None:
    model = initialise(huggingface.candidates(LLAMA)["llama"])
    batch = huggingface.tokens(LLAMA, 4, 8)
    card = score(model, batch, "grad_norm")
    assert (card.provenance["task"], card.provenance["output"]) == ("next_token", "logits")
    logits = model(batch.inputs["input_ids"]).logits
    loss = torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), batch.targets[:, 1:].flatten())
    weights = [p for p in model.parameters() if p.ndim > 1]
    expected = sum(float(gradient.norm()) for gradient in torch.autograd.grad(loss, weights))
    assert card["grad_norm"] == pytest.approx(expected, rel=1e-4)
    assert huggingface.tokens(GPT2, 4, 8, task="sequence-classification").targets is None


def written(folder: Path, **configs: dict[str, Any]) -> Path:
    """A folder of configurations."""
    for name, config in configs.items():
        (folder / f"{name}.json").write_text(json.dumps(config))
    return folder


@pytest.mark.parametrize(("task", "kind"), [("", "GPT2LMHeadModel"), ("sequence-classification:", "GPT2ForSequence")])
def test_a_text_names_the_task_and_the_place(task: str, kind: str, tmp_path: Path) -> None:
    builders, source = huggingface.candidates_and_data(f"{task}{written(tmp_path, small=GPT2)}", load("tokens:9"))
    assert list(builders) == ["small"]
    assert type(builders["small"]()).__name__.startswith(kind)
    sample = source[0]
    assert torch.stack(sample).shape == (2, 9) if kind == "GPT2LMHeadModel" else sample.shape == (9,)


def test_classes_of_random_tokens_are_kept(tmp_path: Path) -> None:
    place = f"sequence-classification:{written(tmp_path, small=GPT2)}"
    source = huggingface.candidates_and_data(place, load("tokens:9:50:2"))[1]
    assert {source[index][1] for index in range(20)} == {0, 1}


@pytest.mark.parametrize(
    ("config", "task"),
    [
        (GPT2, "causal-lm"),
        (BERT, "causal-lm"),
        (BERT, "masked-lm"),
        (BERT, "sequence-classification"),
        (T5, "seq2seq-lm"),
    ],
)
def test_a_saved_model_is_built_for_its_own_task(config: dict[str, Any], task: str, tmp_path: Path) -> None:
    saved = huggingface.build(huggingface.read_configuration(config), task)
    saved.save_pretrained(tmp_path)
    builders, _ = huggingface.candidates_and_data(str(tmp_path), load("tokens"))
    assert type(builders[tmp_path.name]()) is type(saved)
    assert type(huggingface.candidates(saved.config)[str(config["model_type"])]()) is type(saved)
    other = huggingface.candidates_and_data(f"token-classification:{tmp_path}", load("tokens"))[0][tmp_path.name]()
    assert type(other).__name__.endswith("ForTokenClassification")


def test_a_class_for_no_task_is_a_causal_language_model() -> None:
    model = huggingface.candidates(BERT | {"architectures": ["BertModel"]})["bert"]()
    assert type(model).__name__ == "BertLMHeadModel"


@pytest.mark.parametrize(
    ("task", "config", "message"),
    [
        (None, T5, "one: t5 has no model for causal-lm; name another task, seq2seq-lm or .*, as in hf:seq2seq-lm:PATH"),
        (None, VIT, "vit has no model for causal-lm; name another task, image-classification, as in"),
        ("seq2seq-lm", GPT2, "gpt2 has no model for seq2seq-lm; name another task, causal-lm or"),
        ("causal-lm", {"model_type": "clip_vision_model"}, "clip_vision_model has no model for causal-lm; nor for an"),
    ],
)
def test_a_task_that_there_is_no_model_for(task: str | None, config: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        huggingface.candidates({"one": config}, task)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(("spec", "size"), [("tokens", 20), ("tokens:9", 20), ("tokens:9:12", 12)])
def test_tokens_are_below_the_smallest_vocabulary(spec: str, size: int, tmp_path: Path) -> None:
    place = written(tmp_path, small=LLAMA | {"vocab_size": 20}, large=GPT2)
    source = huggingface.candidates_and_data(str(place), load(spec))[1]
    assert torch.stack([source[index][0] for index in range(100)]).max() == size - 1


@pytest.mark.parametrize(
    ("task", "spec", "message"),
    [
        ("", "tokens:9:100", "b has a vocabulary of 90, but got one of 100; write tokens:9:90, or leave it out"),
        ("", "tokens:65", "a takes 64 tokens, but got 65; write tokens:64"),
        ("", "digits:8", "models for causal-lm take token ids, the data holds other numbers; give tokens"),
        ("masked:", "tokens", "unknown task 'masked'; did you mean 'masked-lm'"),
        (
            "a.json,hf:",
            "tokens",
            "hf: takes one file or one folder, but got 'a.json,hf:.*; put the configurations in a",
        ),
    ],
)
def test_data_that_no_language_model_takes(task: str, spec: str, message: str, tmp_path: Path) -> None:
    place = written(tmp_path, a=GPT2, b=LLAMA | {"vocab_size": 90, "max_position_embeddings": 128})
    with pytest.raises(InputError, match=message):
        huggingface.candidates_and_data(f"{task}{place}", load(spec))


def test_tokens_for_images_and_no_place_at_all(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="vit has no vocab_size: vit takes no tokens; give other data"):
        huggingface.candidates_and_data(f"image-classification:{written(tmp_path, vit=VIT)}", load("tokens"))
    with pytest.raises(InputError, match="no configuration is at ''"):
        huggingface.candidates_and_data("", load("tokens"))


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
    table = rank(huggingface.candidates({"vit": VIT}, "image-classification"), "digits:8", "snip,jacob_cov", batch=8)
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
    [
        ({}, "one has no model_type: got None, expected a text such as 'gpt2'"),
        ({"model_type": ["gpt2"]}, r"one has no model_type: got \['gpt2'\]"),
        ({"model_type": "lama"}, "one: transformers has no model_type 'lama'; did you mean .*llama"),
        ({"model_type": "?"}, r"no model_type '\?'; the nearest are .* transformers.CONFIG_MAPPING lists all"),
        ({"model_type": "gpt2", "n_embd": "x"}, "(?s)one is no configuration of gpt2: .*'n_embd' expected int"),
        (7, "one is no configuration: got a int, expected a configuration of transformers, a mapping with"),
        ("gpt2", "cannot read gpt2: No such file or directory; expected a configuration of transformers, a"),
    ],
)
def test_what_is_no_configuration(config: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        huggingface.candidates({"one": config})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1, 2]", "bad.json is no configuration: got a list, expected a configuration"),
        ('"gpt2"', "bad.json is no configuration: got a str"),
        ("{", "bad.json is no JSON: Expecting"),
        ('{"model_type": "gpt2", "n_embd": "x"}', "bad.json is no configuration of gpt2"),
        (json.dumps(GPT2 | {"vocab_size": -5}), "bad has a vocab_size of -5; give it one of at least 1"),
    ],
)
def test_one_bad_file_of_a_folder_is_named(text: str, message: str, tmp_path: Path) -> None:
    place = written(tmp_path, good=GPT2)
    (place / "bad.json").write_text(text)
    with pytest.raises(InputError, match=message):
        huggingface.candidates_and_data(str(place), load("tokens"))


@pytest.mark.parametrize("make", [dict, lambda config: transformers.AutoConfig.for_model(**config)])
def test_a_single_configuration_is_named_by_its_type(make: Any) -> None:
    assert list(huggingface.candidates(make(LLAMA))) == ["llama"]
    assert list(huggingface.candidates(huggingface.read_configuration(make(LLAMA)).to_dict())) == ["llama"]


def test_a_list_of_configurations_is_refused() -> None:
    with pytest.raises(InputError, match="got a list; give a configuration of transformers, a mapping from name to"):
        huggingface.candidates([LLAMA])


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
