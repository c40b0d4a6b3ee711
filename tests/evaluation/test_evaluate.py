from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kendalltau
from torch import nn

import zerocost as zc
from benchmarks.tiny import DATA, SMALL, benchmark, evaluation
from zerocost import benchmarks, spaces
from zerocost.base.errors import InputError
from zerocost.benchmarks import Query
from zerocost.benchmarks.base import Table
from zerocost.evaluation.tables import TOGETHER
from zerocost.report import write

SHARED = Path(__file__).parents[2].parent / "shared" / "data"


def evaluate(given=None, proxies="snip,naswot", **options):
    settings = {"data": DATA, "seeds": 2, "batch": 8, "fidelity": SMALL, "k": 3, "resamples": 20, **options}
    return zc.evaluate(given or benchmark(), proxies, **settings)


@pytest.fixture(scope="module")
def evaluated():
    return evaluate()


def test_the_table_has_the_proxies_the_log_rank_sum_and_the_baselines(evaluated):
    assert list(evaluated.table.index) == ["snip", "naswot", TOGETHER, "params", "flops", "depth"]
    assert evaluated.statistics == [
        *(
            "spearman",
            "kendall",
            "kendall_top",
            "kendall_bins",
            "partial_params",
            "partial_flops",
            "ndcg",
            "ndcg_vkdnw",
        ),
        *("precision@3", "best_rank@3", "regret@3"),
    ]
    assert list(evaluate(proxies="params").table.index) == ["params", "flops", "depth"]


def test_scores_are_those_that_rank_gives_from_each_seed(evaluated):
    given = benchmark()
    builders = {t: lambda t=t: given.space.build(given.space.parse(t), SMALL) for t in evaluated.truth.index}
    for seed in (0, 1):
        table = zc.rank(builders, DATA, "snip,naswot", batch=8, seed=seed).frame.loc[evaluated.truth.index]
        pd.testing.assert_frame_equal(
            evaluated.scores.loc[seed][["snip", "naswot"]], table[["snip", "naswot"]], check_names=False
        )
        ours, theirs = evaluated.scores.loc[seed][TOGETHER], table["rank_score"]
        pd.testing.assert_series_equal(ours, theirs, check_names=False)


def test_means_intervals_and_spread_belong_together(evaluated):
    for statistic in evaluated.statistics:
        low, high = evaluated.table[f"{statistic}_low"], evaluated.table[f"{statistic}_high"]
        assert (low.isna() | (low <= high)).all()
    assert (evaluated.table.loc["params", [f"{s}_sd" for s in evaluated.statistics]].dropna() == 0).all()
    assert evaluated.table.loc["snip", "spearman_sd"] > 0
    assert np.isnan(evaluated.table.loc["params", "partial_params"])


def test_the_same_seed_gives_the_same_result_and_another_another_draw(evaluated):
    again, other = evaluate(), evaluate(seed=5, n=8)
    pd.testing.assert_frame_equal(again.table, evaluated.table)
    pd.testing.assert_frame_equal(again.paired, evaluated.paired)
    assert list(other.scores.index.unique("seed")) == [5, 6]
    assert list(other.truth.index) != list(evaluated.truth.index)[:8]


def test_a_pair_is_compared_in_either_order():
    made = evaluation()
    gap, back = made.compare("good", "bad<br>"), made.compare("bad<br>", "good")
    assert gap.value == pytest.approx(made.table.loc["good", "kendall"] - made.table.loc["bad<br>", "kendall"])
    assert (back.value, back.low, back.high) == pytest.approx((-gap.value, -gap.high, -gap.low))
    assert gap.low > 0
    for pair in (("good", "good"), ("good", "nobody")):
        with pytest.raises(InputError):
            made.compare(*pair)


def test_paired_intervals_are_narrower_than_those_of_strangers():
    made = evaluation(n=120)
    row = made.paired[(made.paired["first"] == "params") & (made.paired["second"] == "flops")]
    assert (row["low"].dropna() == 0).all()
    assert (row["high"].dropna() == 0).all()


def test_failures_are_counted_named_and_worst():
    made = evaluation()
    assert made.table.loc["broken", "failed"] == len(made.failures) == 12
    assert made.table.loc["good", "failed"] == 0
    assert set(made.failures["proxy"]) == {"broken"}
    assert made.scores["broken"].isna().sum() == 12


def test_twins_are_drawn_once():
    def net(choose):
        width, _ = choose.int("width", 1, 4), choose.bool("unused")
        return nn.Sequential(nn.Flatten(), nn.Linear(192, width), nn.ReLU(), nn.Linear(width, 10))

    space = spaces.from_function(net, "twins")
    given = benchmark(8, space)
    space.canonical = lambda arch: str(dict(arch.choices)["width"])
    found = evaluate(given, "snip", fidelity=spaces.FULL, n=8)
    assert (len(found.truth), found.architectures) == (4, 8)
    assert "4 different networks of 8 architectures, 2 seeds" in repr(found)
    truth = given.truth(**found.query._asdict())
    widths = {space.canonical(space.parse(text)): text for text in found.truth.index}
    by_network = found.scores["params"].loc[0]
    params = [by_network[widths[space.canonical(space.parse(text))]] for text in truth.index]
    assert found.table.loc["params", "kendall_all"] == pytest.approx(kendalltau(params, truth).statistic)
    assert found.table.loc["params", "kendall_all_low"] <= found.table.loc["params", "kendall_all_high"]


def test_a_fraction_and_a_percentage_are_the_same_accuracy():
    whole = benchmark()
    part = benchmark()
    part._table = part._table._replace(values=part._table.values / 100)
    first, second = (evaluate(b, "snip", seeds=1) for b in (whole, part))
    for statistic in ("ndcg", "kendall", "precision@3"):
        pd.testing.assert_series_equal(first.table[statistic], second.table[statistic])
    assert first.table.loc["snip", "regret@3"] == pytest.approx(100 * second.table.loc["snip", "regret@3"])


def test_agreement_and_regrets():
    made = evaluation()
    assert np.diag(made.agreement) == pytest.approx(1)
    assert list(made.agreement.index) == list(made.agreement.columns) == list(made.table.index)
    assert made.agreement.loc["params", "flops"] == pytest.approx(1)
    curves = made.regrets([1, 5, 40])
    assert (curves.diff().dropna() <= 1e-9).all(axis=None)
    assert curves.loc[5, "good"] == pytest.approx(made.table.loc["good", "regret@5"])
    assert curves.loc[1, "random"] == pytest.approx(made.truth.max() - made.truth.mean())


@pytest.mark.parametrize(("n", "k"), [(3, 1), (9, 4), (12, 6)])
def test_of_few_networks_the_first_half_at_most_is_looked_at(n, k):
    found = evaluate(proxies="params", n=n, k=None, resamples=9)
    assert found.settings["k"] == k and f"regret@{k}" in found.table


def test_tables_are_written(evaluated, tmp_path):
    evaluated.to_csv(tmp_path / "table.csv")
    back = pd.read_csv(tmp_path / "table.csv", index_col="score")
    pd.testing.assert_frame_equal(back, evaluated.table, check_dtype=False)
    evaluated.to_latex(tmp_path / "table.tex")
    assert r"all together &" in (tmp_path / "table.tex").read_text()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"given": 3}, r"benchmark must be a name or what zc\.benchmarks\.get returns, but got 3"),
        ({"seeds": 0}, "seeds must be at least 1"),
        ({"seed": 1.5}, "seed must be a whole number from 0"),
        ({"batch": "8"}, "batch must be a whole number, but got '8'"),
        ({"batches": 1.5}, "batches must be a whole number, but got 1.5"),
        ({"truth": "test_accuracy"}, r"truth must be a zc\.benchmarks\.Query, .*, but got 'test"),
        ({"k": 13}, "12 architectures are too few for k=13"),
        ({"proxies": "snpi"}, "did you mean 'snip'"),
        ({"truth": Query("made-up", "loss", 1, "mean")}, "loss"),
        ({"truth": Query("made-up", "flops", 1, "mean")}, "a metric of trained networks"),
        ({"data": "noise:1x8x8:10"}, "no network could be scored"),
        ({"device": "nowhere"}, "cannot be used"),
        ({"fidelity": "resolution=9"}, "would enlarge the images, which have 8×8 pixels"),
        ({"batch": 8, "fidelity": "batch=4"}, "batch=8 would not be used, as the fidelity says batch=4"),
    ],
)
def test_bad_input_says_what_is_wrong(options, message):
    with pytest.raises(InputError, match=message):
        evaluate(**options)


@pytest.mark.parametrize("metric", ["mean_squared_error", "test_loss"])
def test_an_error_is_compared_with_the_other_way_round(evaluated, metric, tmp_path):
    rising = benchmark()
    query = Query("made-up", metric, 1, "mean")
    columns = [rising._table.texts, None, (query,), 100 - rising._table.values]
    falling = benchmarks.Benchmark("falling", rising.space, Table(*columns), query)
    found = evaluate(falling)
    assert list(found.truth.index) == list(evaluated.truth.index)
    same = [name for name in evaluated.table if not name.startswith("ndcg")]
    pd.testing.assert_frame_equal(found.table[same], evaluated.table[same])
    assert found.table[["ndcg", "ndcg_vkdnw"]].isna().all(axis=None) and "ndcg" not in found.telling
    pd.testing.assert_frame_equal(found.regrets([1, 3]), evaluated.regrets([1, 3]))
    assert f"{metric} on made-up after 1 epoch, seed mean, less is better" in repr(found)
    page = write(found, tmp_path / "report.html").read_text()
    assert f"{metric}, less is better" in page


def test_data_is_read_for_the_task(tmp_path):
    def net(choose):
        return nn.Linear(3, choose.int("width", 1, 9))

    (tmp_path / "mine.csv").write_text("arch,accuracy\n" + "".join(f"width={i},{i}\n" for i in range(1, 10)))
    mine = benchmarks.read(tmp_path / "mine.csv", net, dataset="mine", epochs=1)
    data = (np.ones((20, 3), np.float32), np.arange(-10, 10))
    found = evaluate(mine, "l2_norm", data=data, task="regression", fidelity=None, seeds=1)
    assert found.settings["task"] == "regression"
    with pytest.raises(InputError, match="labels count classes from 0, got -10"):
        evaluate(mine, "l2_norm", data=data, fidelity=None, seeds=1)


def test_the_rows_of_budgets_say_what_they_are(tmp_path):
    options = {"data": DATA, "seeds": 1, "batch": 4, "k": 2, "resamples": 5, "fidelity": SMALL}
    found = zc.evaluate(benchmark(), "flash,peak_memory", **options)
    assert (found.scores["flash"] > 0).all()
    text = "rows of flash and peak_memory are of their plain values, more is better as for params; all together is the "
    text += "log-rank sum of flash (less is better), peak_memory (less is better)"
    assert text in repr(found)
    assert text in " ".join(found.notes)
    assert text in write(found, tmp_path / "report.html").read_text()
    alone = zc.evaluate(benchmark(), "flash", **options)
    assert "the row of flash is of its plain values, more is better as for params; rank puts the least first" in repr(
        alone
    )
    assert "plain" not in repr(zc.evaluate(benchmark(), "params,depth", **options))


def test_real_truth_of_nasbench201():
    file = SHARED / "nasbench201-cifar10.csv"
    if not file.is_file():
        pytest.skip(f"{file} is not here")
    table = benchmarks.get("nasbench201", file)
    small = spaces.Fidelity(width=0.25, depth=0.2, resolution=8)
    found = zc.evaluate(
        table, "log_synflow", data="noise:3x32x32:10", n=20, seeds=1, batch=4, fidelity=small, k=5, resamples=50
    )
    assert found.query == table.default
    assert len(found.truth) == 20
    assert found.table.loc["log_synflow", "spearman"] > 0.3
