from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

import zerocost as zc
from zerocost.combine import Combination
from zerocost.run import Job
from zerocost.search.pipeline import SearchInterrupted, search
from zerocost.spaces import FULL

SMALL = {"candidates": 6, "keep": 2, "epochs": 1, "proxies": "snip,jacob_cov", "batch": 32}


def space(choose):
    width = choose.int("width", 2, 24, step=2)
    return nn.Sequential(nn.Flatten(), nn.Linear(192, width), nn.ReLU(), nn.Linear(width, 10))


@pytest.fixture(scope="module")
def found() -> zc.SearchResult:
    return search(space, "digits:8", training_seeds=2, **SMALL)


def test_the_best_by_rank_score_survive_and_every_other_has_a_reason(found):
    ranking = list(found.table.frame.index)
    assert list(found.kept.frame.index) == ranking[:2]
    assert set(found.kept.dropped) == set(ranking[2:])


def test_survivors_and_random_picks_are_trained_alike(found):
    assert len(found.survivors) == len(found.random) == 4
    assert {run.name for run in found.survivors} == set(found.kept.frame.index)
    assert {run.name for run in found.random} <= set(found.table.frame.index)
    assert sorted(run.seed for run in found.random) == [0, 0, 1, 1]
    assert all(len(run.epochs) == 1 and run.failure is None for run in [*found.survivors, *found.random])


def test_all_seeds_of_a_survivor_are_trained_with_it(found):
    assert [(run.name, run.seed) for run in found.survivors] == [
        (name, seed) for name in found.kept.frame.index for seed in (0, 1)
    ]


def test_the_best_is_the_survivor_of_the_highest_mean_accuracy(found):
    means = {name: sum(run.accuracy for run in found.survivors if run.name == name) for name in found.kept.frame.index}
    assert found.best == max(means, key=means.get)


def test_stages_are_accounted(found):
    assert [(stage.name, stage.count) for stage in found.stages[:3]] == [("sample", 6), ("score", 6), ("filter", 2)]
    trained = found.stages[3]
    assert trained.count == len({(run.seed, run.name) for run in [*found.survivors, *found.random]}) == 7
    assert trained.detail == "survivors and as many random picks, 1 run for both, 1 epoch, 2 seeds"


def test_same_seed_same_result_and_global_randomness_untouched(found):
    state = torch.get_rng_state()
    again = search(space, "digits:8", training_seeds=2, **SMALL)
    assert torch.equal(state, torch.get_rng_state())
    assert again.table.frame.equals(found.table.frame)
    assert [run.accuracy for run in again.survivors + again.random] == [
        run.accuracy for run in found.survivors + found.random
    ]


def test_another_seed_draws_other_architectures_or_batches(found):
    other = search(space, "digits:8", **{**SMALL, "epochs": 0}, seed=1)
    assert not other.table.frame.equals(found.table.frame)


def test_a_smaller_space_is_scored_whole():
    assert len(search(space, "digits:8", **{**SMALL, "candidates": 100, "epochs": 0}).table) == 12


def test_a_result_says_why_no_survivor_was_trained_to_its_end(found):
    run = replace(found.survivors[0], epochs=(), metric=None, failure="it diverged")
    shown = repr(replace(found, survivors=[run]))
    assert "5 runs trained; no survivor was trained to its end, the first failed: it diverged" in shown


def test_what_trainings_reached_stands_beside_an_accuracy_that_was_looked_up():
    width = {"accuracy": lambda arch: float(dict(arch.choices)["width"]), "objectives": "accuracy"}
    result = search(space, "digits:8", **SMALL | width)
    frame = result.to_frame()
    assert frame["accuracy"].equals(frame["rank_score"].rename("accuracy"))
    runs = {run.name: run.metric for run in (*result.survivors, *result.random)}
    assert frame["trained accuracy"].dropna().to_dict() == runs
    assert "accuracy" in repr(search(space, "digits:8", **SMALL | width | {"epochs": 0}))


def test_architectures_beyond_a_reference_are_kept_by_their_ranks_among_themselves():
    fixed = Combination({"params": 1.0}).against(pd.DataFrame({"params": [1.0, 2.0]}))
    result = search(space, "digits:8", **SMALL | {"proxies": fixed, "epochs": 0})
    assert result.table.frame["rank_score"].eq(0).all()
    assert result.table.frame["params"].is_monotonic_decreasing
    assert list(result.kept.frame.index) == list(result.table.frame.index[:2])


def test_conditions_come_before_the_top():
    result = search(space, "digits:8", where="params < 2000", **{**SMALL, "epochs": 0})
    assert (result.kept.frame["params"] < 2000).all()


def test_scores_see_no_validation_sample():
    images, labels = torch.randn(100, 4), torch.arange(100) % 2
    seen = []

    def net(choose):
        choose.int("width", 1, 2)
        model = nn.Linear(4, 2)
        model.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
        return model

    search(net, (images, labels), candidates=2, proxies="snip", keep=1, epochs=0, batch=80)
    _, validation = zc.data.split(zc.data.load((images, labels)), 0.2, seed=0)
    held_out = {tuple(image.tolist()) for image, _ in validation}
    assert seen
    assert not held_out & {tuple(row.tolist()) for batch in seen for row in batch}


def test_validation_samples_of_ignored_labels_do_not_count():
    labels = torch.where(torch.arange(100) < 30, -100, torch.arange(100) % 2)
    samples = TensorDataset(torch.randn(100, 4, generator=torch.Generator().manual_seed(0)), labels)

    def net(choose):
        return nn.Linear(4, choose.int("classes", 2, 3))

    def counted(**task):
        result = search(net, samples, candidates=2, proxies="snip", keep=1, epochs=0, batch=80, **task)
        return result.settings["validation_samples"]

    assert counted() == 14
    assert counted(task=zc.Task(loss=nn.functional.cross_entropy)) == 20


def test_scored_at_reduced_fidelity_and_trained_at_full_size():
    images = torch.rand(100, 3, 16, 16, generator=torch.Generator().manual_seed(0)), torch.arange(100) % 4
    result = search("cnn", images, fidelity=zc.Fidelity(width=0.5, resolution=8), **SMALL)
    name = result.kept.frame.index[0]
    full = sum(p.numel() for p in result.kept.candidates[name]().parameters())
    assert result.kept.frame.loc[name, "params"] == full
    assert result.survivors[0].accuracy is not None


def test_progress_reaches_the_end_of_each_stage():
    reports = []
    search(space, "digits:8", progress=lambda *report: reports.append(report), **SMALL)
    assert ("score", 6, 6) in reports
    assert ("train", 4, 4) in reports


def test_interrupted_while_scoring_keeps_the_scores():
    def stop(stage, done, _):
        if (stage, done) == ("score", 3):
            raise KeyboardInterrupt

    with pytest.raises(SearchInterrupted) as stopped:
        search(space, "digits:8", progress=stop, **SMALL)
    result = stopped.value.result
    assert len(result.table) == 3
    assert len(result.kept) == 2
    assert (result.stages[-1].name, result.stages[-1].count) == ("score", 3)


def test_interrupted_before_the_first_score():
    def stopping(choose):
        if torch.zeros(1).device.type != "meta":
            raise KeyboardInterrupt
        return space(choose)

    with pytest.raises(SearchInterrupted) as stopped:
        search(stopping, "digits:8", **SMALL)
    assert len(stopped.value.result.table) == len(stopped.value.result.kept) == 0


def test_interrupted_while_training_keeps_the_runs_and_goes_on_from_there(tmp_path):
    def stop(stage, done, _):
        if (stage, done) == ("train", 2):
            raise KeyboardInterrupt

    with pytest.raises(SearchInterrupted) as stopped:
        search(space, "digits:8", progress=stop, workdir=tmp_path, **SMALL)
    result = stopped.value.result
    assert len(result.survivors) >= 1
    assert len(result.table) == 6
    resumed = search(space, "digits:8", workdir=tmp_path, **SMALL)
    unbroken = search(space, "digits:8", **SMALL)
    assert [run.accuracy for run in resumed.survivors] == [run.accuracy for run in unbroken.survivors]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"candidates": 0}, "candidates must be at least 1"),
        ({"keep": 0}, "keep must be at least 1"),
        ({"proxies": "snipp"}, "did you mean 'snip'"),
        ({"fidelity": "width=0.5,resolution=9"}, "would enlarge the images, which have 8×8 pixels; .* out: width=0.5$"),
        ({"fidelity": "width=0.5 > resolution=9"}, "fidelity resolution=9 would enlarge .* out: full"),
        ({"round_size": 4}, "for a budget of trainings, but got 4 without one; name trainings or training_seconds"),
        ({"batch": 10_000}, "1438"),
        ({"fidelity": "batch=16"}, "batch=32 would not be used, as the fidelity says batch=16"),
        ({"repeats": 2, "fidelity": "full > repeats=3"}, "repeats=2 would not be used"),
        ({"accuracy": lambda arch: 1.0}, "for the objective 'accuracy', but the objectives are score; name accuracy"),
        ({"accuracy": lambda arch: 1.0, "trainings": 3}, "see zerocost.predict.learn"),
    ],
)
def test_bad_settings_say_what_is_wrong(settings, message):
    with pytest.raises(zc.InputError, match=message):
        search(space, "digits:8", **{**SMALL, **settings})


def test_an_unknown_setting_is_named_with_the_nearest_one():
    with pytest.raises(zc.InputError, match="unknown setting 'epoch'; did you mean 'epochs'"):
        search(space, "digits:8", epoch=1)


def test_a_space_sized_for_the_data():
    data = (torch.rand(60, 1, 8, 8), torch.arange(60) % 4)
    result = search("cnn", data, candidates=3, proxies="snip", keep=1, epochs=0, batch=16)
    model = next(iter(result.kept.candidates.values()))()
    assert model(torch.rand(2, 1, 8, 8)).shape == (2, 4)


def test_a_space_that_does_not_fit_the_data():
    with pytest.raises(zc.InputError, match="square images"):
        search("cnn", (torch.rand(60, 3), torch.arange(60) % 4), **SMALL)


def test_targets_of_one_class_are_scored_but_not_trained_on():
    data = (torch.rand(60, 3, 8, 8), torch.ones(60, dtype=torch.long))
    with pytest.raises(zc.InputError, match="48 targets to train on are of one class"):
        search(space, data, **SMALL)
    assert len(search(space, data, **SMALL | {"epochs": 0}).kept) == 2
    data[1][0] = 0
    with pytest.raises(zc.InputError, match="12 targets to validate on are of one class"):
        search(space, data, **SMALL)


def test_proxies_that_only_a_condition_names_are_scored_but_not_ranked_by():
    result = search(space, "digits:8", where="flops < 3000 and rank_score > -9", **{**SMALL, "epochs": 0})
    assert result.table.proxies == ["snip", "jacob_cov"]
    assert result.table.ranked_by == "the log-rank sum of snip, jacob_cov"
    assert (result.kept.frame["flops"] < 3000).all()


def test_a_condition_that_cannot_be_read_is_refused_before_anything_is_scored():
    reports = []
    with pytest.raises(zc.InputError, match="did you mean 'flops'"):
        search(space, "digits:8", where="flop < 3000", progress=lambda *report: reports.append(report), **SMALL)
    assert not reports


@pytest.fixture
def scored(monkeypatch):
    """The architectures that are scored from now on, each time one is."""
    made = []
    whole = Job.score

    def counted(self, proxies, key, wanted):
        made.append((key[0], str(self.fidelity)))
        return whole(self, proxies, key, wanted)

    monkeypatch.setattr(Job, "score", counted)
    return made


FAST = {**SMALL, "epochs": 0, "proxies": "snip"}


def test_limits_refuse_before_anything_is_scored(scored):
    narrow = lambda arch: dict(arch.choices)["width"] < 12 or "too wide"  # noqa: E731
    result = search(space, "digits:8", where="params > 1000", limits=[narrow], **{**FAST, "candidates": 50})
    assert sorted(text for text, _ in scored) == ["width=10", "width=6", "width=8"]
    assert sorted(result.table.frame.index) == sorted(text for text, _ in scored)
    assert len(result.rejected) == 9
    assert {reason.split(":")[0] for reason in result.rejected.values()} == {"too wide", "params > 1000 is false"}


def test_a_store_keeps_scores_for_the_next_search_which_is_the_same(scored, tmp_path):
    first = search(space, "digits:8", strategy="evolution", store=tmp_path / "scores.db", **FAST)
    assert len(scored) == 6
    second = search(space, "digits:8", strategy="evolution", store=tmp_path / "scores.db", **FAST)
    third = search(space, "digits:8", strategy="evolution", **FAST)
    assert len(scored) == 12
    assert first.table.frame.equals(second.table.frame)
    assert first.order == second.order == third.order


def test_the_stage_that_scores_names_all_that_was_measured():
    """FLOPs and parameters too, which are those of the full network at any fidelity."""
    settings = {**SMALL, "candidates": 2, "keep": 1, "epochs": 0, "objectives": "score,params"}
    result = search(space, "digits:8", **settings | {"proxies": "snip,flops", "fidelity": ["batch=8", "full"]})
    details = {stage.name: stage.detail for stage in result.stages if "score" in stage.name}
    scaled, full = "snip at batch=8; flops, params of the full networks", "snip, flops, params"
    assert details == {"score": scaled, "score again": full}


def test_the_best_are_scored_again_at_each_fidelity(scored):
    stages = [zc.Fidelity(batch=8), zc.Fidelity(batch=16), FULL]
    result = search(space, "digits:8", fidelity=stages, reduction=2, **{**FAST, "candidates": 8})
    assert [len(table) for table in result.tables] == [8, 4, 2]
    for lower, higher in zip([*result.earlier], [*result.earlier[1:], result.table], strict=True):
        assert set(higher.frame.index) == set(lower.frame.index[: len(higher)])
    assert [name for _, name in scored].count("full") == 2
    assert len(scored) == len(set(scored)) == 14
    assert [s.count for s in result.stages if s.name == "score again"] == [4, 2]


def test_a_proxy_of_a_file_is_an_objective(tmp_path, registries):
    file = tmp_path / "mine.py"
    file.write_text(
        "import zerocost as zc\n\n@zc.proxy(paper='x')\ndef half(parameter_count):\n    return parameter_count / 2\n"
    )
    found = search(space, "digits:8", objectives=f"{file}:half", **SMALL | {"epochs": 0})
    assert found.table.frame["half"].tolist() == (found.table.frame["params"] / 2).tolist()
    assert len(found.kept.frame) == 2


def test_several_objectives_rank_by_fronts():
    result = search(space, "digits:8", objectives="score,params", **{**FAST, "candidates": 12})
    frame = result.table.frame
    assert result.table.ranked_by == result.kept.ranked_by == "fronts of score, params"
    assert result.table.proxies == ["snip", "params"]
    assert set(frame.index[: len(result.front)]) == set(result.front)
    for name in result.front:
        assert not ((frame["snip"] > frame.loc[name, "snip"]) & (frame["params"] <= frame.loc[name, "params"])).any()


def test_accuracy_is_looked_up_once_for_each_architecture_and_scores_only_guide():
    asked = []

    def accuracy(arch):
        asked.append(str(arch))
        return dict(arch.choices)["width"] / 24

    guided = {"strategy": "evolution", "objectives": "accuracy", "accuracy": accuracy, "warmup": 12, "moves": 3}
    result = search(space, "digits:8", **{**FAST, "proxies": "params"}, **guided)
    assert sorted(asked) == sorted(result.order)
    assert len(set(asked)) == 6
    assert result.order[0] == "width=24"
    assert result.kept.frame.index[0] == max(asked, key=lambda text: int(text.partition("=")[2]))


def truth(metric, tmp_path):
    """A benchmark of `space` whose numbers are the widths."""
    lines = [f"width={width},{width}" for width in range(2, 25, 2)]
    (tmp_path / "truth.csv").write_text("\n".join([f"arch,{metric}", *lines]))
    named = zc.spaces.from_function(space)
    return named, zc.benchmarks.read(tmp_path / "truth.csv", named, dataset="digits", epochs=3)


@pytest.mark.parametrize(
    ("metric", "objective", "best"),
    [("accuracy", "accuracy", 24), ("perplexity", "perplexity", 2), ("val_loss", "loss", 2)],
)
def test_the_best_by_a_benchmark_is_that_of_the_least_error(metric, objective, best, tmp_path):
    named, table = truth(metric, tmp_path)
    settings = {"objectives": objective, "accuracy": table, "candidates": 12, "epochs": 0, "strategy": "local"}
    result = search(named, "digits:8", proxies="params", **settings)
    assert result.table.frame[objective].iloc[0] == best
    assert result.front == [f"width={best}"]


@pytest.mark.parametrize(
    ("metric", "objective", "message"),
    [
        ("perplexity", "accuracy", "perplexity, of which less is better; name the objective 'perplexity'"),
        ("error", "accuracy", "error, of which less is better; name the objective 'loss'"),
        ("score", "loss", "score, of which more is better; name the objective 'accuracy'"),
    ],
)
def test_an_objective_of_the_other_direction_than_its_benchmark_is_refused(metric, objective, message, tmp_path):
    named, table = truth(metric, tmp_path)
    with pytest.raises(zc.InputError, match=message):
        zc.Pipeline(named, objectives=objective, accuracy=table, epochs=0)


def test_accuracy_by_training_trains_what_is_measured_and_nothing_else(tmp_path):
    settings = {**SMALL, "candidates": 3, "keep": 1, "proxies": "snip"}
    guided = {"strategy": "evolution", "objectives": "accuracy", "warmup": 8, "moves": 2}
    result = search(space, "digits:8", workdir=tmp_path, **guided, **settings)
    trained = {run.name for run in [*result.survivors, *result.random]}
    assert len(list(tmp_path.iterdir())) == len({*result.order, *trained})
    best = result.kept.frame.index[0]
    assert result.survivors[0].accuracy == result.table.frame.loc[best, "accuracy"]


def test_trials_and_seconds_end_a_search():
    for setting, message in (
        ({"trials": 3}, "3 proposals"),
        ({"seconds": 1e-9}, "seconds are over"),
    ):
        result = search(space, "digits:8", **{**FAST, "candidates": 12}, **setting)
        assert message in result.stages[0].detail
    with pytest.raises(zc.InputError, match="patience must be at least 1"):
        search(space, "digits:8", patience=0, **FAST)


def test_interrupted_while_scoring_again_keeps_what_was_done():
    def stop(stage, done, total):
        if (stage, done, total) == ("score", 2, 3):
            raise KeyboardInterrupt

    with pytest.raises(SearchInterrupted) as stopped:
        search(space, "digits:8", fidelity=[zc.Fidelity(batch=8), FULL], reduction=2, progress=stop, **FAST)
    result = stopped.value.result
    assert [len(result.earlier[0]), len(result.table)] == [6, 2]
    assert [stage.name for stage in result.stages] == ["sample", "score", "score again"]


def test_a_study_in_a_database_is_of_these_settings_and_these_data(tmp_path):
    url = f"sqlite:///{tmp_path}/study.db"
    first = search(space, "digits:8", study_storage=url, **FAST)
    again = search(space, "digits:8", study_storage=url, **FAST)
    assert first.order == again.order
    other = search(space, (torch.rand(100, 3, 8, 8), torch.arange(100) % 10), study_storage=url, **FAST)
    assert not other.table.frame.equals(first.table.frame)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"seconds": -1}, "seconds must be above 0"),
        ({"candidates": 2.5}, "candidates must be a whole number"),
        ({"hardware": "table.csv"}, "hardware must be what benchmarks.get returns"),
        ({"objectives": ""}, "objectives must name what is wanted"),
        ({"limits": 3}, "limits must be a function of an architecture, or several, but got 3"),
        ({"limits": "params < 3"}, "limits must be a function of an architecture, or several, but got 'params < 3'"),
        ({"objectives": "raspi4_latency"}, "need hardware, a table"),
        ({"objectives": "default,params"}, "default is several proxies, so it has no value of its own here"),
        ({"objectives": "az_nas(samples=8)"}, r"az_nas\(samples=8\) is several proxies"),
        ({"where": "az_nas > 0"}, "az_nas is several proxies, so it has no value of its own here"),
        ({"objectives": "latncy"}, "did you mean 'latency'"),
        ({"warmup": 5}, "for the objective 'accuracy'"),
        ({"objectives": "accuracy", "epochs": 0}, "needs epochs >= 1"),
        ({"objectives": "accuracy", "accuracy": lambda arch: 1 / 0}, "accuracy function .* ZeroDivisionError"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, message):
    with pytest.raises(zc.InputError, match=message):
        search(space, "digits:8", **{**SMALL, "epochs": 0, **settings})


def test_the_front_keeps_to_every_condition_and_a_single_limit_needs_no_list():
    found = search(space, "digits:8", where="snip > 1e9", limits=lambda arch: True, **{**SMALL, "epochs": 0})
    assert len(found.table) == 6
    assert found.front == list(found.kept.frame.index) == []
    assert "0 kept, 0 runs trained; the first was dropped: snip > 1e9 is false: snip = " in repr(found)


def test_fidelities_are_read_from_a_text():
    found = search("cnn", "digits:16", fidelity="width=0.5,resolution=8 > full", **{**SMALL, "epochs": 0})
    assert [stage.name for stage in found.stages] == ["sample", "score", "score again", "filter"]


def test_a_proxy_in_a_file_is_scored_in_other_processes_too(tmp_path, registries):
    (tmp_path / "mine.py").write_text(
        "import zerocost as zc\n\n\n"
        '@zc.proxy(paper="none")\n'
        "def half_norm(weights):\n    return sum(w.norm() for w in weights) / 2\n"
    )
    settings = {"proxies": f"{tmp_path}/mine.py:half_norm", "candidates": 3, "keep": 1, "epochs": 0, "batch": 8}
    alone, spread = (search("cnn", "digits:8", workers=workers, **settings) for workers in (1, 2))
    assert spread.table.frame.equals(alone.table.frame)
