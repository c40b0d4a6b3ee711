"""CSV files of truth."""

from __future__ import annotations

import pytest

from zerocost import spaces
from zerocost.base.errors import InputError
from zerocost.benchmarks.base import Query
from zerocost.benchmarks.csv_table import read_csv

SPACE = spaces.get("macro")
DEFAULT = Query("cifar10", "test_accuracy", 50, "mean")


def rows(tmp_path, text, **options):
    file = tmp_path / "truth.csv"
    file.write_bytes(text.encode())
    return list(read_csv(file, SPACE, DEFAULT, **options))


def test_seeds_and_the_mean_stated_beside_them(tmp_path):
    (row,) = rows(tmp_path, "index,arch,test_accuracy_mean,test_accuracy_seeds\n0,01111202,90.4,90 91\n")
    assert row.text == "01111202"
    assert row.values == {DEFAULT: 90.4, DEFAULT._replace(seed=0): 90, DEFAULT._replace(seed=1): 91}


@pytest.mark.parametrize("name", ["arch", "architecture", "genotype"])
def test_a_plain_number_is_the_mean(tmp_path, name):
    (row,) = rows(tmp_path, f"{name},test_accuracy\n01111202,90.4\n")
    assert row.values == {DEFAULT: 90.4}


def test_lines_may_say_their_dataset_and_epochs(tmp_path):
    first, second = rows(tmp_path, "arch,dataset,epochs,test_accuracy\n01111202,cifar100,12,60\n01111202,,,90\n")
    assert first.values == {Query("cifar100", "test_accuracy", 12, "mean"): 60}
    assert second.values == {DEFAULT: 90}


def test_what_no_training_changes_has_no_epochs(tmp_path):
    names = ["params", "flops", "fpga_latency", "eyeriss_energy", "eyeriss_arithmetic_intensity"]
    (row,) = rows(tmp_path, f"arch,{','.join(names)}\n01111202,1,2,3,4,5\n")
    assert row.values == {Query("cifar10", name, 0, "mean"): i for i, name in enumerate(names, 1)}


def test_an_empty_cell_is_a_number_nobody_has(tmp_path):
    first, second = rows(tmp_path, "arch,loss,test_accuracy_seeds\n01111202,,90\n01111200,0.5,\n")
    assert first.values == {DEFAULT._replace(seed=0): 90}
    assert second.values == {DEFAULT._replace(metric="loss"): 0.5}


def test_another_spelling(tmp_path):
    (row,) = rows(tmp_path, "arch,loss\n0-1-1-1-1-2-0-2,1\n", spell=lambda text: text.replace("-", ""))
    assert row.text == "01111202"


def test_a_file_saved_by_a_spreadsheet(tmp_path):
    (row,) = rows(tmp_path, '\ufeffarch,test_accuracy\r\n"01111202",90.4\r\n')
    assert (row.text, row.values) == ("01111202", {DEFAULT: 90.4})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a heading .* but got none"),
        ("name,test_accuracy\n01111202,90\n", "a column arch, architecture or genotype .* but got name, test_accuracy"),
        ("arch,index\n01111202,0\n", "one for each metric, but got arch, index"),
        ("arch,test_accuracy\n01111202,90\n0111,90\n", r"line 3 of .*truth\.csv: an architecture of space macro"),
        (
            "arch,test_accuracy\n01111202,high\n",
            r"line 2 of .*truth\.csv: column test_accuracy must hold finite numbers, .* 'high'",
        ),
        ("arch,epochs,test_accuracy\n01111202,all,90\n", r"line 2 of .*: invalid literal .* 'all'"),
        ("test_accuracy,arch\n90\n", r"line 2 of .*truth\.csv"),
    ],
)
def test_a_bad_line_is_named(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        rows(tmp_path, text)


def test_what_is_no_text_is_refused(tmp_path):
    (tmp_path / "truth.csv").write_bytes(b"arch,test_accuracy\n\xff\xfe\n")
    with pytest.raises(InputError, match=r"truth\.csv: .*utf-8"):
        list(read_csv(tmp_path / "truth.csv", SPACE, DEFAULT))
