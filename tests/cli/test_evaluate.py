from __future__ import annotations

from functools import partial

import pytest

from zerocost.report import pictures

TRUTH = "arch,test_accuracy\n" + "".join(f"{i % 3}{i % 2}0{i // 3}0110,{85 + i % 7}.{i}\n" for i in range(9))
SMALL = ("--batch", 4, "--seeds", 1, "--k", 2, "--resamples", 20, "--fidelity", "width=0.1,resolution=8")
DATA = ("--data", "noise:3x32x32:10")


@pytest.fixture
def truth(tmp_path):
    file = tmp_path / "macro.csv"
    file.write_text(TRUTH)
    return file


def test_the_table_names_the_truth_and_every_score(run, truth, tmp_path):
    files = ("--report", tmp_path / "r.html", "--csv", tmp_path / "t.csv", "--latex", tmp_path / "t.tex")
    result = run("evaluate", "macro", *DATA, "--truth", truth, "--proxies", "naswot,log_synflow", *SMALL, *files)
    assert result.code == 0, result.err
    assert "test_accuracy on cifar10 after 50 epochs" in result.out
    for name in ("naswot", "log_synflow", "all together", "params", "flops", "depth"):
        assert name in result.out
    assert (tmp_path / "t.csv").read_text().startswith("score,spearman,spearman_low")
    assert "toprule" in (tmp_path / "t.tex").read_text()
    assert "zerocost evaluation" in (tmp_path / "r.html").read_text()


def test_json_holds_the_table_the_pairs_and_the_settings(run, truth):
    result = run("evaluate", "macro", *DATA, "--truth", truth, "--proxies", "naswot", *SMALL, "--json")
    assert result.code == 0, result.err
    assert set(result.json["table"]) == {"naswot", "params", "flops", "depth"}
    assert result.json["settings"]["truth, metric"] == "test_accuracy"
    assert {"statistic", "first", "second", "difference", "low", "high"} == result.json["paired"][0].keys()


def test_a_second_run_reads_the_cache(run, truth, tmp_path, monkeypatch):
    arguments = ("evaluate", "macro", *DATA, "--truth", truth, "--proxies", "naswot", *SMALL, "--json")
    first = run(*arguments, "--cache", tmp_path / "scores.db")
    monkeypatch.setattr("zerocost.run.job.score_candidate", None)
    assert run(*arguments, "--cache", tmp_path / "scores.db").json == first.json


def test_pictures_are_written(run, truth, tmp_path, monkeypatch):
    pytest.importorskip("matplotlib", reason="the extra pictures is not installed")
    monkeypatch.setattr(pictures, "save", partial(pictures.save, formats=["png"]))
    arguments = ("--truth", truth, "--proxies", "params", *SMALL, "--pictures", tmp_path / "figures")
    result = run("evaluate", "macro", *DATA, *arguments)
    assert result.code == 0, result.err
    assert len([*(tmp_path / "figures").iterdir()]) == 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--metric", "loss"), "loss"),
        (("--proxies", "snpi"), "did you mean 'snip'"),
        (("--fidelity", "width=2"), "fidelity width"),
        (("--report", "nowhere/r.html"), "there is no folder"),
        (("--data", "noise:1x8x8:10", "--proxies", "snip"), "no network could be scored"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(run, truth, options, message):
    result = run("evaluate", "macro", *DATA, "--truth", truth, *SMALL, *options)
    assert result.code == 2
    assert message in result.err
    assert len(result.err.strip().splitlines()) == 1


def test_digits_need_no_file_and_no_data(run):
    result = run("evaluate", "digits", "--n", 12, "--seeds", 1, "--resamples", 20)
    assert result.code == 0, result.err
    assert "digits: test_accuracy on digits-hard after 8 epochs, seed mean; 12 architectures" in result.out
    assert "all together" in result.out


def test_digits_stand_in_for_images_that_are_not_at_hand(run, truth):
    result = run("evaluate", "macro", "--truth", truth, *SMALL)
    assert result.code == 0, result.err
    assert "scored on digits:32, in place of cifar10 at fidelity" in result.out


def test_a_proxy_that_does_not_bear_the_fidelity_is_named(run, truth):
    options = ("evaluate", "macro", *DATA, "--truth", truth, "--proxies", "jacob_cov,naswot")
    found = run(*options, *SMALL).out
    assert "at width=0.1 jacob_cov loses the order that it has at full size" in found
    assert "at batch=4 jacob_cov loses the order that it has at full size" in found
    enough = (*SMALL, "--fidelity", "width=0.5,resolution=8", "--batch", 9)
    assert "loses the order" not in run(*options, *enough).out


def test_an_unknown_benchmark_is_named(run):
    result = run("evaluate", "nasbench202", *DATA)
    assert result.code == 2
    assert "did you mean 'nasbench201'" in result.err
