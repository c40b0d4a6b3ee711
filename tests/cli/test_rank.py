from __future__ import annotations

import importlib.util
import json

import numpy as np
import pytest

from zerocost.combine import default, tokens

transformers = pytest.mark.skipif(importlib.util.find_spec("transformers") is None, reason="needs transformers")

DATA = ("--data", "digits:8", "--batch", 16, "--proxies", "snip,jacob_cov")


def test_best_first_and_only_the_top(run, user_file):
    result = run("rank", f"{user_file}:candidates", *DATA, "--top", 2, "--json")
    ranking = result.json["ranking"]
    assert [row["candidate"] for row in ranking] == ["w16", "w8"]
    assert ranking[0]["rank_score"] >= ranking[1]["rank_score"]
    assert "w4" in result.json["dropped"]


def test_equal_networks_share_a_place(run, tmp_path):
    net = "nn.Sequential(nn.Flatten(), nn.Linear(192, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 10))"
    names = {"one": 8, "again": 8, "small": 4}
    lines = [f"def {name}(): return {net.replace('WIDTH', str(width))}" for name, width in names.items()]
    (tmp_path / "twins.py").write_text("\n".join(["from torch import nn", *lines]))
    shown = run("rank", f"{tmp_path}/twins.py:{','.join(names)}", *DATA).out.splitlines()
    assert [line.split()[:2] for line in shown if set(line.split()) & names.keys()] == [
        *(["1", "one"], ["1", "again"], ["3", "small"])
    ]


def test_conditions_filter(run, user_file):
    result = run("rank", f"{user_file}:candidates", *DATA, "--where", "params < 2000", "--json")
    assert {row["candidate"] for row in result.json["ranking"]} == {"w4", "w8"}
    assert "params < 2000 is false" in result.json["dropped"]["w16"]


def test_one_bad_candidate_stops_nobody_and_its_name_is_not_markup(run, user_file):
    result = run("rank", f"{user_file}:with_a_broken_one", *DATA)
    assert result.code == 0
    assert "[broken]" in result.out
    assert "scores failed for 1 of 4 candidates" in result.out


def test_data_that_fits_no_candidate_is_exit_code_2(run, user_file):
    result = run("rank", f"{user_file}:only_broken", *DATA)
    assert (result.code, result.out) == (2, "")
    assert "no candidate could be scored: the network raised" in result.err
    assert len(result.err.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("network", "proxies", "noted"),
    [("two_classes", "synflow", 1), ("two_classes", "params", 0), ("build", "synflow", 0)],
)
def test_outputs_that_do_not_fit_targets_that_no_proxy_uses_are_noted_once(run, user_file, network, proxies, noted):
    target = ("rank", f"{user_file}:{network},with_a_broken_one", *DATA[:4], "--proxies", proxies)
    shown = run(*target)
    assert shown.code == 0 and shown.out.count("labels out of range") == noted
    notes = run(*target, "--json").json["notes"]
    assert len(notes) == noted and all("do not fit two_classes: labels out of range" in note for note in notes)


def test_ctrl_c_keeps_what_was_scored(run, user_file):
    result = run("rank", f"{user_file}:interrupted", *DATA)
    assert result.code == 130
    assert "w4" in result.out
    assert "what was scored until then, 1 candidate" in result.err


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("nothing", (), "no candidates"),
        ("number", (), "mapping from name"),
        ("candidates", ("--where", "snpi > 0"), "did you mean 'snip'"),
        ("candidates", ("--where", "snip >"), "cannot read the condition"),
        ("candidates", ("--where", "__import__('os')"), "cannot use"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(run, user_file, name, options, message):
    result = run("rank", f"{user_file}:{name}", *DATA, *options)
    assert result.code == 2
    assert message in result.err
    assert len(result.err.strip().splitlines()) == 1


@pytest.fixture
def configs(tmp_path):
    """A folder of two language models, the first of which has fewer words."""
    for name, size, width in (("small", 20, 8), ("wide", 50, 16)):
        config = {"model_type": "gpt2", "vocab_size": size, "n_embd": width, "n_layer": 1, "n_head": 2}
        ends = {"bos_token_id": 1, "eos_token_id": 1, "n_positions": 64}
        (tmp_path / f"{name}.json").write_text(json.dumps(config | ends))
    return tmp_path


@transformers
def test_configurations_of_hugging_face(run, configs):
    result = run("rank", f"hf:{configs}", "--data", "tokens:40", "--batch", 4, "--json")
    assert result.code == 0
    assert [row["candidate"] for row in result.json["ranking"]] == ["wide", "small"]
    assert all(row["params"] - row["non_embedding_params"] > 0 for row in result.json["ranking"])
    assert result.json["failures"] == []
    assert set(tokens.proxies) <= set(result.json["ranking"][0])


@transformers
def test_token_ids_of_a_file_with_labels(run, configs):
    ids = np.random.default_rng(0).integers(20, size=(12, 8))
    np.savez(configs / "texts.npz", x=ids, y=np.arange(12) % 2)
    place = f"hf:sequence-classification:{configs}"
    data = ("--data", f"npz:{configs / 'texts.npz'}", "--batch", 8)
    result = run("rank", place, *data, "--json")
    assert (result.code, result.json["failures"]) == (0, [])
    assert "dss" in result.json["ranking"][0]
    assert run("rank", place, *data, "--proxies", "snip", "--json").json["failures"] == []


@transformers
def test_an_encoder_and_decoder(run, tmp_path):
    sizes = {"vocab_size": 30, "d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 1, "num_heads": 2}
    (tmp_path / "t5.json").write_text(json.dumps({"model_type": "t5", **sizes}))
    result = run("rank", f"hf:seq2seq-lm:{tmp_path}", "--data", "tokens:8", "--batch", 4, "--json")
    assert (result.code, result.json["failures"]) == (0, [])


@transformers
def test_proxies_that_need_labels_fail_by_name(run, configs):
    tokens = ("--data", "tokens", "--batch", 4)
    place = f"hf:sequence-classification:{configs}"
    result = run("rank", f"{place}/small.json", *tokens, "--proxies", "dss,naswot,snip")
    assert result.code == 0
    assert "needs labels: give the batch as (inputs, labels) (snip): small" in result.out
    result = run("rank", place, *tokens, "--proxies", "snip")
    assert (result.code, result.out) == (2, "")
    assert "no candidate could be scored: needs labels" in result.err


@transformers
def test_tokens_are_the_labels_of_causal_models(run, configs):
    result = run("rank", f"hf:{configs}", "--data", "tokens", "--batch", 4, "--proxies", "snip,zico", "--json")
    assert (result.code, result.json["failures"]) == (0, [])
    assert {made["task"] for made in result.json["provenance"].values()} == {"next_token"}


@transformers
def test_a_task_is_named_before_the_path(run, tmp_path):
    layers = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    bert, vit = {"model_type": "bert", "vocab_size": 30}, {"model_type": "vit", "image_size": 32, "patch_size": 8}
    for name, config in (("bert", bert), ("vit", vit)):
        (tmp_path / f"{name}.json").write_text(json.dumps(config | layers | {"num_labels": 10}))
    proxies = ("--batch", 4, "--json", "--proxies")
    result = run("rank", f"hf:masked-lm:{tmp_path / 'bert.json'}", "--data", "tokens", *proxies, "log_synflow,dss")
    assert (result.code, result.json["failures"]) == (0, [])
    place = f"hf:image-classification:{tmp_path / 'vit.json'}"
    result = run("rank", place, "--data", "digits:32", *proxies, "snip,jacob_cov,dss")
    assert (result.code, result.json["failures"]) == (0, [])


@transformers
@pytest.mark.parametrize(
    ("target", "data", "message"),
    [
        ("hf:{}", "tokens:8:21", "small has a vocabulary of 20, but got one of 21; write tokens:8:20"),
        ("hf:{}", "digits:8", "give tokens"),
        ("hf:{}/none", "tokens", "no configuration is at"),
        ("hf:masked:{}", "tokens", "did you mean 'masked-lm'"),
        ("hf:seq2seq-lm:{}", "tokens", "small: gpt2 has no model for seq2seq-lm; name another task, causal-lm or"),
    ],
)
def test_what_hugging_face_cannot_use_is_one_line(run, configs, target, data, message):
    result = run("rank", target.format(configs), "--data", data)
    assert result.code == 2
    assert message in result.err
    assert len(result.err.strip().splitlines()) == 1


def test_without_proxies_the_order_is_that_of_the_default_combination(run, user_file):
    shown = run("rank", f"{user_file}:candidates", "--data", "digits:8", "--batch", 8)
    assert f"best first by {default}" in " ".join(shown.out.split())


@pytest.mark.parametrize("command", ["rank", "score"])
def test_json_is_all_that_is_on_stdout(run, user_file, command):
    name = "printing" if command == "rank" else "printing_network"
    result = run(command, f"{user_file}:{name}", *DATA, "--proxies", "snip", "--json")
    assert result.code == 0 and result.json and "printed by a network" in result.err
