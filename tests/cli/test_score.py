from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from zerocost.cli.output import out
from zerocost.cli.score import _print_memory

DATA = ("--data", "digits:8", "--batch", 16)


def test_prints_each_score_and_how_it_was_made(run, user_file):
    result = run("score", f"{user_file}:build", *DATA, "--proxies", "snip,params")
    assert result.code == 0
    assert "1,634" in result.out
    assert "1 forward and 1 backward" in result.out


def test_json_holds_scores_failures_passes_and_provenance(run, user_file):
    result = run("score", f"{user_file}:build", *DATA, "--proxies", "snip,jacob_cov", "--json", "--seed", 3)
    assert result.json["scores"].keys() == {"snip", "jacob_cov"}
    assert result.json["failures"] == {}
    assert [step["name"] for step in result.json["passes"]] == ["data", "loss", "jacobian"]
    assert result.json["provenance"]["seed"] == 3


def test_same_seed_same_result_and_another_seed_another(run, user_file):
    first, again, other = (
        run("score", f"{user_file}:build", *DATA, "--proxies", "snip", "--json", "--seed", seed).json["scores"]["snip"]
        for seed in (1, 1, 2)
    )
    assert first == again != other


def test_a_class_and_a_function_are_both_builders(run, user_file):
    by_class, by_function = (
        run("score", f"{user_file}:{name}", *DATA, "--proxies", "snip", "--json").json["scores"]
        for name in ("Net", "build")
    )
    assert by_class == by_function


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("{file}:bild",), "did you mean 'build'"),
        (("missing.py:build",), "no such file: missing.py"),
        (("{file}",), "expected FILE.py:NAME"),
        (("{file}:not_a_network",), "must build a torch.nn.Module, but got int"),
        (("{file}:number",), "is of type int, not a function"),
        (("{file}:raising",), "RuntimeError: no such luck"),
        (("{file}:build", "--proxies", "snipp"), "did you mean 'snip'"),
        (("{file}:build", "--proxies", ","), "no proxy was named"),
        (("{file}:build", "--data", "digit"), "did you mean 'digits'"),
        (("{file}:build", "--data", "npz:missing.npz"), "missing.npz"),
        (("{file}:build", "--data", "cifar10:nowhere"), "nowhere"),
        (("{file}:build", "--batch", "100000"), "1797"),
        (("{file}:build", "--device", "quantum"), "quantum"),
        (("{file}:two_classes", "--proxies", "snip"), "labels out of range"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(run, user_file, arguments, message):
    given = [a.format(file=user_file) for a in arguments]
    result = run("score", *DATA, *given)
    assert result.code == 2
    assert message in result.err
    assert len(result.err.strip().splitlines()) == 1
    assert "Traceback" not in result.err


def npz(path, images, labels):
    np.savez(path, images=images, labels=labels)
    return f"npz:{path}"


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (np.full((20, 3, 8, 8), np.nan, np.float32), np.zeros(20, int), "NaN"),
        (np.zeros((0, 3, 8, 8), np.float32), np.zeros(0, int), "empty"),
        (np.zeros((20, 3, 8, 8), np.float32), np.full(20, -4), "-4"),
        (np.zeros((20, 3, 8, 8), np.float32), np.zeros(19, int), "19"),
        (np.zeros((20, 5, 5, 5), np.uint8), np.zeros(20, int), "5"),
    ],
)
def test_bad_data_is_one_line_and_exit_code_2(run, user_file, tmp_path, images, labels, message):
    spec = npz(tmp_path / "data.npz", images, labels)
    result = run("score", f"{user_file}:build", "--data", spec, "--batch", 8, "--proxies", "snip")
    assert result.code == 2
    assert message in result.err
    assert len(result.err.strip().splitlines()) == 1


def test_data_of_the_wrong_shape_is_one_line_and_exit_code_2(run, user_file):
    result = run("score", f"{user_file}:build", "--data", "digits:16", "--batch", 8, "--proxies", "snip,params")
    assert (result.code, result.out) == (2, "")
    assert len(result.err.strip().splitlines()) == 1
    assert "mat1 and mat2 shapes cannot be multiplied" in result.err


def test_a_folder_is_told_apart_from_a_file_of_keras(run, tmp_path):
    result = run("score", tmp_path, *DATA)
    assert result.code == 2
    assert "is a folder" in result.err and "model.save('model.keras')" in result.err


def test_help_names_the_files_of_keras(run):
    said = run("score", "--help").out
    assert ".keras" in said and ".h5" in said


def test_layers_show_the_memory_of_each(run, user_file):
    given = ("score", f"{user_file}:build", *DATA, "--proxies", "peak_memory", "--layers")
    table, found = run(*given).out, run(*given, "--json").json
    assert "peak_memory_int8" in table and "addmm" in table
    assert max(layer["peak_memory"] for layer in found["layers"]) == found["scores"]["peak_memory"]


def test_layers_are_shown_by_the_whole_columns_that_fit(monkeypatch, capsys):
    monkeypatch.setattr(out, "_width", 62)
    long = "a_long_name_of_a_block.and_of_its_layer"
    sizes = {"peak_memory": [9e3], "peak_memory_int8": [2e3], "flash": [4e3], "flash_int8": [1e3]}
    _print_memory(pd.DataFrame({"layer": [long], "operation": ["convolution"], **sizes}))
    heading, first, rest, *note = capsys.readouterr().out.splitlines()
    assert heading.split() == ["layer", "operation", "peak_memory"]
    assert first.split() == [long[:30], "convolution", "9.0", "kB", "peak"]
    assert rest.strip() == long[30:]
    assert note == ["no room here for peak_memory_int8, flash, flash_int8; --json gives all"]
