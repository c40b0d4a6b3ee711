from __future__ import annotations

import pandas as pd
import pytest

SMALL = (
    "--data",
    "digits:8",
    "--batch",
    16,
    "--candidates",
    6,
    "--keep",
    2,
    "--epochs",
    1,
    "--proxies",
    "snip,jacob_cov",
)


def test_a_users_space_is_searched_trained_and_reported(run, user_file, tmp_path):
    page = tmp_path / "run.html"
    result = run("search", "--space", f"{user_file}:space", *SMALL, "--training-seeds", 2, "--report", page)
    assert result.code == 0, result.err
    assert "survivors, 2 of 6" in result.out
    assert "what the filter bought" in result.out
    assert "seed 1" in result.out
    assert page.read_text().lower().startswith("<!doctype html>")


def test_a_budget_of_trainings_is_told_beside_random_picks(run, user_file, tmp_path):
    page = tmp_path / "run.html"
    result = run("search", "--space", f"{user_file}:space", *SMALL, "--trainings", 6, "--report", page)
    assert result.code == 0, result.err
    assert "trained, 6 of 6, best first" in result.out
    assert "what the search bought" in result.out and "mean best of as many random picks" in result.out
    assert "scored in " in result.out and "would have taken" not in result.out  # all of them were trained
    assert "What was expected, and what came" in page.read_text(encoding="utf-8")


def test_metrics_that_were_an_objective_are_told_of_all_who_have_one(run, user_file, tmp_path):
    table = tmp_path / "all.csv"
    options = (*SMALL, "--candidates", 4, "--objectives", "accuracy,params", "--csv", table)
    result = run("search", "--space", f"{user_file}:space", *options)
    assert result.code == 0, result.err
    assert pd.read_csv(table)["accuracy"].notna().sum() == 4
    front = result.out.partition("front: ")[2].partition("survivors, ")[0].splitlines()
    assert len(front) >= 4 and front[1].split() == ["candidate", "accuracy", "params", "rank_score"]
    assert "would have taken" not in result.out


def test_json_holds_everything(run, user_file):
    result = run("search", "--space", f"{user_file}:space", *SMALL, "--json")
    assert result.code == 0, result.err
    assert [stage["name"] for stage in result.json["stages"]] == ["sample", "score", "filter", "train"]
    assert len(result.json["survivors"]) == len(result.json["random"]) == 2
    assert result.json["best"] in {run["name"] for run in result.json["survivors"]}
    assert len(result.json["dropped"]) == 4


def test_epochs_0_stops_after_the_filter(run):
    result = run("search", *SMALL, "--epochs", 0, "--json")
    assert result.json["survivors"] == []
    assert len(result.json["ranking"]) == 2


def test_reduced_fidelity_is_part_of_the_provenance(run):
    result = run("search", *SMALL, "--epochs", 0, "--fidelity", "width=0.5,resolution=8", "--json")
    assert {p["fidelity"] for p in result.json["provenance"].values()} == {"width=0.5,resolution=8"}


def test_a_proxy_that_does_not_bear_the_fidelity_is_named(run):
    result = run("search", *SMALL, "--epochs", 0, "--proxies", "az_trainability,naswot", "--fidelity", "depth=0.5")
    note = "at depth=0.5 az_trainability loses the order that it has at full size"
    assert note in result.out
    options = ("--proxies", "az_trainability", "--fidelity", "depth=0.5 > full", "--json")
    steps = run("search", *SMALL, "--epochs", 0, *options)
    assert steps.json["notes"] == [note]


def test_a_space_that_cannot_shrink_is_not_searched_at_a_first_fidelity_that_scores_nothing(run, tmp_path):
    file = tmp_path / "rigid.py"
    file.write_text(
        "from torch import nn\ndef space(choose):\n"
        "    width = choose.int('width', 1, 9)\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(192, width), nn.ReLU(), nn.Linear(width, 10))\n"
    )
    options = ("--candidates", 5, "--keep", 1, "--epochs", 0, "--fidelity", "depth=0.2 > full", "--proxies", "snip")
    result = run("search", "--space", f"{file}:space", "--data", "digits:8", *options)
    assert result.code == 2
    assert "no candidate could be scored: " in result.err


def test_the_front_of_what_was_trained_comes_first_with_its_costs(run, user_file):
    options = (*SMALL, "--trainings", 5, "--objectives", "score,flops")
    result = run("search", "--space", f"{user_file}:space", *options)
    assert result.code == 0, result.err
    assert "that no other beats in all of accuracy, flops" in result.out
    assert "trained, 5 of 6, the front first" in result.out
    assert "flops" in result.out.partition("the front first")[2].splitlines()[1]


def test_without_a_training_that_ended_well_the_exit_code_is_1(run, user_file, tmp_path):
    broken = tmp_path / "broken.py"
    broken.write_text("def loss(outputs, targets):\n    raise ValueError('no loss today')\n")
    options = (*SMALL, "--proxies", "naswot", "--loss", f"{broken}:loss", "--trainings", 3)
    result = run("search", "--space", f"{user_file}:space", *options)
    assert result.code == 1
    assert "no training ended well, so there is no best network: " in result.err and "no loss today" in result.err


def test_a_filter_that_nobody_passes_is_exit_code_1(run, user_file):
    result = run("search", "--space", f"{user_file}:space", *SMALL, "--where", "params < 1")
    assert result.code == 1
    assert "no architecture keeps to the limits: params < 1 refuses " in result.err
    assert "; nearest: " in result.err and "(params < 1 is false: params = " in result.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--space", "cnnn"), "did you mean 'cnn'"),
        (("--fidelity", "widht=1"), "width"),
        (("--where", "snpi > 0"), "did you mean 'snip'"),
        (("--report", "/no/such/folder/run.html"), "no folder"),
        (("--watts", 200), "--report FILE.html"),
        (("--watts", 200, "--report", "no.html", "--epochs", 0), "use --epochs 1 or more"),
        (("--grams-per-kwh", 400), "give watts"),
        (("--data", "noise:3x8x8"), "label"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(run, options, message):
    result = run("search", *SMALL, *options)
    assert result.code == 2
    assert message in result.err
    assert len(result.err.strip().splitlines()) == 1


def test_the_best_network_is_written(run, user_file, tmp_path):
    result = run("search", "--space", f"{user_file}:space", *SMALL, "--export", tmp_path / "best", "--json")
    assert result.code == 0, result.err
    assert {"best.pt", "best.safetensors", "network.py"} <= {path.name for path in (tmp_path / "best").iterdir()}
    assert result.json["best"] in result.json["order"]


def test_json_says_what_was_refused_and_the_front(run, user_file):
    options = ("--where", "params < 3000", "--objectives", "score,params", "--strategy", "evolution", "--epochs", 0)
    result = run("search", "--space", f"{user_file}:space", *SMALL, *options, "--json")
    assert result.code == 0, result.err
    assert set(result.json["front"]) <= set(result.json["order"])
    assert all(reason.startswith("params < 3000 is false") for reason in result.json["rejected"].values())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--strategy", "evolutoin"), "did you mean 'evolution'"),
        (("--strategy", "cmaes", "--objectives", "score,params"), "one objective"),
        (("--strategy", "gradient"), "a method mixture"),
        (("--objectives", "snipp"), "did you mean 'snip'"),
        (("--export", "best", "--epochs", 0), "nothing to export"),
        (("--study-storage", "mysql://here/there"), "mysql"),
        (("--store", "/no/such/folder/scores.db"), "cannot keep scores"),
    ],
)
def test_bad_settings_of_the_search_are_one_line_too(run, options, message):
    result = run("search", *SMALL, *options)
    assert result.code == 2
    assert message in result.err
    assert len(result.err.strip().splitlines()) == 1


def test_columns_that_are_left_out_are_told_and_reported(run, tmp_path, caplog):
    file, page = tmp_path / "th.csv", tmp_path / "th.html"
    file.write_text("zip,amount,y\n" + "".join(f'{i % 3},"1,{i}",{i}.5\n' for i in range(100, 130)))
    small = "--space mlp --candidates 2 --keep 1 --epochs 0 --proxies params"
    result = run("search", "--data", f"csv:{file}:y", *small.split(), "--report", page)
    assert result.code == 0
    assert caplog.messages == [
        f"{file}: left out: amount (numbers with commas, such as '1,100'; write them without, as 1100)"
    ]
    assert "left out: amount" in page.read_text()
