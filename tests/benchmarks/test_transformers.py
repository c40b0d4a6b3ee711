"""Tables of transformers, as their benchmarks write them and as any CSV."""

from __future__ import annotations

import pytest

import zerocost as zc
from benchmarks.handmade import shared
from zerocost import benchmarks
from zerocost.base.errors import InputError

GPT = "192:" + "-".join(["4"] * 10) + ":" + "-".join(["2"] * 10) + ":0"
VIT = "192:" + "-".join(["3"] * 12) + ":" + "-".join(["4.0"] * 12)


def write(path, *lines):
    path.write_text("\n".join(lines) + "\n")
    return path


def test_parts_of_an_architecture_are_joined(tmp_path):
    _, heads, ratios, bias = GPT.split(":")
    file = write(
        tmp_path / "gpt.csv",
        "embed_dim,layers,heads,mlp_ratios,bias,perplexity,accuracy",
        f"192,10,{heads},{ratios},{bias},40.5,0.36",
    )
    found = benchmarks.get("gpt", file)
    assert found.architectures() == (GPT,)
    assert str(found.default) == "perplexity on openwebtext after 1 epoch, seed mean"
    assert found.query(GPT, **found.default._asdict()) == 40.5
    assert found.query(GPT, dataset="openwebtext", metric="accuracy", epochs=1, seed=0) == 0.36


def test_columns_are_datasets_and_an_empty_cell_is_not_known(tmp_path):
    width, heads, ratios = VIT.split(":")
    file = write(
        tmp_path / "vit.csv",
        "hidden_dim,depth,heads,mlp_ratios,c100_base_acc,c100_kd_acc,flower_kd_acc,imagenet_super_acc",
        f"{width},12,{heads},{ratios},,77.4,67.5,71.3",
    )
    found = benchmarks.get("vit", file)
    assert found.datasets == ("cifar100", "flowers", "imagenet")
    assert found.query(VIT, **found.default._asdict()) == 77.4
    assert found.query(VIT, dataset="imagenet", metric="supernet_accuracy", epochs=300, seed="mean") == 71.3
    with pytest.raises(InputError, match="unknown vit metric"):
        found.query(VIT, dataset="cifar100", metric="accuracy", epochs=300, seed="mean")


def test_an_encoder_trained_twice_has_two_seeds(tmp_path):
    text = "128|LT:DFT:4:512x1|SA:SDP:2:1024x3"
    file = write(tmp_path / "bert.csv", "architecture,glue,cola", f"{text},70,30", f"{text},72,31")
    found = benchmarks.get("bert", file)
    assert found.query(text, dataset="glue", metric="score", epochs=1, seed="mean") == 71
    assert found.query(text, dataset="cola", metric="score", epochs=1, seed=1) == 31


def test_any_csv_is_read_too(tmp_path):
    found = benchmarks.get("pit", write(tmp_path / "pit.csv", "arch,distilled_accuracy", "32:2-6-4:2-4-8:4,78.3"))
    assert found.query("32:2-6-4:2-4-8:4", **found.default._asdict()) == 78.3


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("32,2-6-4,2-4-8,4", "line 2 .*: expected 5 cells"),
        ("32,2-6-4,2-4-8,4,fast", "line 2 .*: column c100_kd_acc must hold finite numbers"),
        ("33,2-6-4,2-4-8,4,78", "line 2 .*: an architecture of space pit reads"),
    ],
)
def test_a_line_that_cannot_be_read_is_named(tmp_path, line, reason):
    file = write(tmp_path / "pit.csv", "base_dim,depth,heads,mlp_ratio,c100_kd_acc", line)
    with pytest.raises(InputError, match=reason):
        benchmarks.get("pit", file)


def test_what_is_no_text_is_refused(tmp_path):
    (tmp_path / "pit.csv").write_bytes(b"base_dim,depth,heads,mlp_ratio,c100_kd_acc\n\xff\xfe\n")
    with pytest.raises(InputError, match=r"pit\.csv: .*utf-8"):
        benchmarks.get("pit", tmp_path / "pit.csv")


@pytest.mark.parametrize(
    ("name", "file", "networks"),
    [
        ("gpt", "gpt-s-openwebtext-sample.csv", 1000),
        ("bert", "bert-glue-sample.csv", 247),
        ("vit", "autoformer-vit-sample.csv", 100),
        ("pit", "pit-vit-sample.csv", 50),
    ],
)
def test_samples(name, file, networks):
    found = benchmarks.get(name, shared(file))
    assert len(found.architectures()) == networks
    assert len(found.truth(**found.default._asdict())) == networks


def test_less_perplexity_is_better_and_tokens_stand_in(tmp_path):
    archs = [GPT, GPT.replace("192", "384"), GPT.replace("192", "768")]
    file = write(
        tmp_path / "gpt.csv", "arch,perplexity", *[f"{a},{p}" for a, p in zip(archs, (40, 30, 20), strict=True)]
    )
    small = zc.Fidelity(width=0.05, depth=0.1)
    result = zc.evaluate(benchmarks.get("gpt", file), "grad_norm", seeds=1, batch=2, k=1, resamples=9, fidelity=small)
    assert result.table.loc["params", "spearman"] == 1
    assert result.settings["task"] == "next_token"
    assert result.settings["data"] == "tokens:32:50254:next, in place of openwebtext"
    assert result.failures.empty
