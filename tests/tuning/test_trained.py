from __future__ import annotations

import pandas as pd
import pytest

from zerocost import benchmarks, spaces
from zerocost.base.errors import InputError
from zerocost.base.result import write_parquet
from zerocost.search.result import SearchResult
from zerocost.train.run import Epoch, Run, frame
from zerocost.tuning.trained import accuracies

SPACE = spaces.get("macro")
TEXTS = [f"{i % 3}{i // 3}000110" for i in range(9)]
KNOWN = {text: 0.5 + i / 100 for i, text in enumerate(TEXTS)}


def runs(known):
    return [Run.of(text, 0, [Epoch(1, 1.0, 1.0, value, 1.0)]) for text, value in known.items()]


def test_a_mapping_a_csv_and_runs_say_the_same(tmp_path):
    file = tmp_path / "mine.csv"
    file.write_text("arch,accuracy\n" + "".join(f"{text},{value}\n" for text, value in KNOWN.items()))
    failed = Run.of("22222222", 0, [Epoch(1, 1.0, 1.0, 0.1, 1.0)], failure="ran out of memory")
    result = SearchResult("macro", None, None, survivors=runs(KNOWN)[:4], random=[*runs(KNOWN)[4:], failed])
    for trained in (KNOWN, file, str(file), runs(KNOWN), result):
        found = accuracies(trained, SPACE)
        assert len(found) >= 8
        assert found.sort_index().equals(accuracies(KNOWN, SPACE).sort_index())


@pytest.mark.parametrize(("metric", "sign"), [("accuracy", 1), ("mean_squared_error", -1)])
def test_of_a_table_of_a_search_the_trained_networks_count(metric, sign, tmp_path):
    file = tmp_path / "found.csv"
    rows = [f"{text},{place},-0.5,True,{value}\n" for place, (text, value) in enumerate(KNOWN.items())]
    file.write_text(f"candidate,snip,rank_score,kept,{metric}\n" + "".join(rows) + "22222222,3,-0.5,False,\n")
    assert accuracies(file, SPACE).to_dict() == {text: sign * value for text, value in KNOWN.items()}


def test_of_a_table_of_trainings_those_that_ended_well_count(tmp_path):
    table = frame([*runs(KNOWN), Run.of("22222222", 0, [Epoch(1, 1.0, 1.0, 0.1, 1.0)], failure="no memory")])
    table.to_csv(tmp_path / "runs.csv", index=False)
    assert accuracies(tmp_path / "runs.csv", SPACE).to_dict() == KNOWN


def test_a_table_in_parquet_is_read_as_in_csv(tmp_path):
    pytest.importorskip("pyarrow", reason="the extra parquet is not installed")
    found = pd.DataFrame({"snip": 1.0, "accuracy": KNOWN}, pd.Index([*TEXTS, "22222222"], name="candidate"))
    for table in (found, frame(runs(KNOWN))):
        write_parquet(tmp_path / "found.parquet", table)
        assert accuracies(tmp_path / "found.parquet", SPACE).to_dict() == KNOWN


def test_a_table_without_trainings_is_told_what_it_lacks(tmp_path):
    (tmp_path / "scores.csv").write_text("candidate,snip,rank_score\n00000110,1,0.5\n")
    with pytest.raises(InputError, match=r"a trained metric \(accuracy, .*, but candidate, snip"):
        accuracies(tmp_path / "scores.csv", SPACE)


def test_sizes_in_a_csv_are_not_what_is_tuned_to(tmp_path):
    file = tmp_path / "mine.csv"
    rows = (f"{text},{place},{value}\n" for place, (text, value) in enumerate(KNOWN.items()))
    file.write_text("arch,params,accuracy\n" + "".join(rows))
    assert accuracies(file, SPACE).to_dict() == KNOWN


def test_a_csv_is_tuned_to_its_accuracy_or_the_first_metric_and_which_is_said(tmp_path):
    file = tmp_path / "mine.csv"
    rows = "".join(f"{text},{place},{value}\n" for place, (text, value) in enumerate(KNOWN.items()))
    for column, named in (("accuracy", "accuracy"), ("recall", "test_loss, less is better")):
        file.write_text(f"arch,test_loss,{column}\n{rows}")
        found = accuracies(file, SPACE)
        assert found.name == named
        assert (found.to_dict() == KNOWN) == (column == "accuracy")


def test_of_an_error_less_is_better():
    errors = [
        Run.of(text, 0, [Epoch(1, 1.0, 1.0, value, 1.0)], metric_name="mean_squared_error", higher_is_better=False)
        for text, value in KNOWN.items()
    ]
    assert accuracies(errors, SPACE).to_dict() == {text: -value for text, value in KNOWN.items()}


@pytest.mark.parametrize("metric", ["val_loss", "error", "perplexity"])
def test_of_an_error_in_a_csv_or_a_benchmark_less_is_better(metric, tmp_path):
    file = tmp_path / "mine.csv"
    file.write_text(f"arch,{metric}\n" + "".join(f"{text},{value}\n" for text, value in KNOWN.items()))
    negated = {text: -value for text, value in KNOWN.items()}
    for trained in (file, benchmarks.read(file, SPACE, dataset="digits", epochs=3)):
        assert accuracies(trained, SPACE).to_dict() == negated


def test_twins_and_trainings_from_several_seeds_are_one():
    cell = "|none~0|+|none~0|none~1|+|{}~0|none~1|none~2|"
    space = spaces.get("nasbench201")
    twin = "|nor_conv_3x3~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|"  # node 1 leads nowhere
    others = [f"|{a}~0|+|none~0|none~1|+|none~0|{b}~1|none~2|" for a in OPS for b in OPS]
    known = {cell.format("skip_connect"): 0.2, twin: 0.4} | {text: 0.5 + i / 99 for i, text in enumerate(others)}
    assert accuracies(known, space)[cell.format("skip_connect")] == pytest.approx(0.3)
    twice = [*runs(KNOWN), *runs({text: value + 0.1 for text, value in KNOWN.items()})]
    assert accuracies(twice, SPACE)[TEXTS[0]] == pytest.approx(0.55)


OPS = ("nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")


def test_of_a_benchmark_so_many_are_drawn():
    digits = benchmarks.get("digits")
    first, again, other = (accuracies(digits, digits.space, n=20, seed=seed) for seed in (0, 0, 1))
    assert len(first) == 20
    assert first.equals(again)
    assert set(first.index) != set(other.index)


@pytest.mark.parametrize(
    ("trained", "message"),
    [
        (dict(list(KNOWN.items())[:7]), "train at least 8"),
        (dict.fromkeys(KNOWN, 0.5), "the same accuracy, 0.5"),
        (KNOWN | {TEXTS[0]: float("nan")}, "finite number"),
        (KNOWN | {"nonsense": 0.5}, "nonsense"),
        ({"00000000": "high"}, "architecture texts to accuracies"),
        (["00000000"], "but holds '00000000'"),
        ("nowhere.csv", "nowhere.csv"),
    ],
)
def test_what_cannot_be_used_is_refused(trained, message):
    with pytest.raises(InputError, match=message):
        accuracies(trained, SPACE)
