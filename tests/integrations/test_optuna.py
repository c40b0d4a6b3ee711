"""Scores in Optuna studies, on the digits."""

from __future__ import annotations

import optuna
import pytest
import torch
from torch import nn

from zerocost import data
from zerocost.base.errors import InputError
from zerocost.integrations.optuna import FAILURES, SCORES, ScoreFilter, objective
from zerocost.scoring.candidates import initialise
from zerocost.scoring.score import score

BATCH = data.draw("digits:8", 16)
optuna.logging.set_verbosity(optuna.logging.WARNING)


def network(width: int) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(192, width), nn.ReLU(), nn.Linear(width, 10))


def build(trial: optuna.Trial) -> nn.Module:
    return network(trial.suggest_int("width", 4, 64))


def study(**settings: object) -> optuna.Study:
    return optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0), **settings)


def test_the_value_is_the_score_of_the_seeded_network() -> None:
    made = study(direction="maximize")
    made.optimize(objective(build, BATCH, "snip", seed=3), n_trials=2)
    for trial in made.trials:
        model = initialise(lambda width=trial.params["width"]: network(width), 3)
        assert trial.value == score(model, BATCH, "snip", seed=3)["snip"]


def test_several_proxies_are_several_objectives() -> None:
    made = study(directions=["maximize", "maximize"])
    made.optimize(objective(build, BATCH, "params,snip"), n_trials=2)
    assert [t.values for t in made.trials] == [
        [t.user_attrs[SCORES][n] for n in ("params", "snip")] for t in made.trials
    ]


def test_sizes_may_be_minimised() -> None:
    made = study(directions=["minimize", "maximize", "minimize"])
    made.optimize(objective(build, BATCH, "params,snip,depth"), n_trials=2)
    assert {t.state.name for t in made.trials} == {"COMPLETE"}


def test_a_budget_is_minimised() -> None:
    made = study(directions=["minimize", "maximize"])
    made.optimize(objective(build, BATCH, "peak_memory,params"), n_trials=2)
    assert {t.state.name for t in made.trials} == {"COMPLETE"}


@pytest.mark.parametrize(("proxies", "pruned"), [("params", 4), ("peak_memory", 64), ("flash,peak_memory", 64)])
def test_a_filter_prunes_the_least_of_a_size_and_the_most_of_a_budget(proxies: str, pruned: int) -> None:
    worth = ScoreFilter(BATCH, proxies, fraction=0.5, warmup=2)

    def width(trial: optuna.Trial) -> int:
        worth(trial, build(trial))
        return trial.params["width"]

    made = study(direction="maximize")
    for each in (16, 32, 4, 64):
        made.enqueue_trial({"width": each})
    made.optimize(width, n_trials=4)
    assert [t.params["width"] for t in made.trials if t.state.name == "PRUNED"] == [pruned]


@pytest.mark.parametrize(
    ("proxies", "directions", "message"),
    [
        ("snip", ["minimize"], r"directions are \['minimize'\]; write optuna.create_study\(direction='maximize'\)"),
        ("snip", ["maximize", "maximize"], r"direction='maximize'\)"),
        ("snip,synflow", ["maximize"], r"directions=\['maximize', 'maximize'\]\)"),
        ("flash", ["maximize"], r"of budgets less.*direction='minimize'\)"),
        ("snip,params", ["minimize", "minimize"], r"directions=\['maximize', 'minimize'\]\)"),
    ],
)
def test_a_study_of_other_directions_is_refused(proxies: str, directions: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        study(directions=directions).optimize(objective(build, BATCH, proxies), n_trials=1)


@pytest.mark.parametrize("directions", [["maximize"], ["maximize", "maximize"]])
def test_what_cannot_be_scored_is_pruned_and_the_reason_is_kept(directions: list[str]) -> None:
    made = study(directions=directions)
    names = ["snip", "synflow"][: len(directions)]
    made.optimize(objective(lambda trial: nn.Sequential(nn.Flatten(), nn.Linear(7, 10)), BATCH, names), n_trials=1)
    assert made.trials[0].state.name == "PRUNED"
    assert "mat1 and mat2" in made.trials[0].user_attrs[FAILURES]["snip"]


@pytest.mark.parametrize("error", [RuntimeError("no such layer"), SystemExit("no such layer"), GeneratorExit()])
def test_a_network_that_cannot_be_built_costs_its_trial_alone(error: BaseException) -> None:
    def broken(trial: optuna.Trial) -> nn.Module:
        if trial.number == 1:
            raise error
        return build(trial)

    made = study(direction="maximize")
    made.optimize(objective(broken, BATCH, "snip"), n_trials=3)
    assert [t.state.name for t in made.trials] == ["COMPLETE", "PRUNED", "COMPLETE"]
    assert f"building the network raised {type(error).__name__}" in made.trials[1].user_attrs[FAILURES]["snip"]


def test_ctrl_c_in_a_build_ends_the_study() -> None:
    def interrupted(trial: optuna.Trial) -> nn.Module:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        study(direction="maximize").optimize(objective(interrupted, BATCH, "snip"), n_trials=2)


def test_a_prune_of_the_users_own_stays_one() -> None:
    def choosy(trial: optuna.Trial) -> nn.Module:
        raise optuna.TrialPruned("not today")

    trial = study(direction="maximize").ask()
    with pytest.raises(optuna.TrialPruned, match=r"^not today$"):
        objective(choosy, BATCH, "snip")(trial)


def test_a_build_that_returns_no_network() -> None:
    with pytest.raises(InputError, match=r"must build a torch\.nn\.Module, but got NoneType"):
        objective(lambda trial: None, BATCH, "params")(optuna.trial.FixedTrial({}))


@pytest.mark.parametrize("batch", ["digits:8", (BATCH.inputs, BATCH.targets[:3])])
def test_a_batch_of_no_use_is_told_at_once(batch: object) -> None:
    with pytest.raises(InputError, match=r"batch must hold tensors, got str|16 targets"):
        ScoreFilter(batch, "snip")
    with pytest.raises(InputError, match=r"batch must hold tensors, got str|16 targets"):
        objective(build, batch, "snip")


def test_a_filter_prints_in_one_line() -> None:
    assert repr(ScoreFilter(BATCH, "snip,params")) == (
        "ScoreFilter(proxies='snip,params', fraction=0.5, warmup=10, seed=0)"
    )


def test_unknown_proxies_are_told_at_once() -> None:
    with pytest.raises(InputError, match="did you mean 'snip'"):
        objective(build, BATCH, "snpi")
    with pytest.raises(InputError, match="did you mean 'snip'"):
        ScoreFilter(BATCH, "snpi")


def filtered(widths: list[int], worth: ScoreFilter, made: optuna.Study) -> list[str]:
    trained = []

    def train(trial: optuna.Trial) -> float:
        model = build(trial)
        worth(trial, model)
        trained.append(trial.params["width"])
        return 0.0

    for width in widths:
        made.enqueue_trial({"width": width})
    made.optimize(train, n_trials=len(widths))
    assert len(trained) == sum(t.state.name == "COMPLETE" for t in made.trials[-len(widths) :])
    return [t.state.name[0] for t in made.trials]


def test_the_lower_part_is_not_trained_after_the_warm_up() -> None:
    worth = ScoreFilter(BATCH, "params", fraction=0.5, warmup=3)
    assert filtered([40, 30, 20, 10, 15, 50, 31], worth, study()) == list("CCCPPCC")


def test_several_proxies_and_equal_scores() -> None:
    worth = ScoreFilter(BATCH, "params,flops", fraction=0.65, warmup=2)
    assert filtered([40, 30, 64, 4, 40, 30], worth, study()) == list("CCCPCP")


def test_equal_scores_alone_prune_nothing() -> None:
    worth = ScoreFilter(BATCH, "params,flops", fraction=0.9, warmup=1)
    assert filtered([16] * 5, worth, study()) == list("CCCCC")


def test_two_filters_in_one_objective() -> None:
    first, second = (ScoreFilter(BATCH, name, warmup=2) for name in ("params", "depth"))
    made = study()

    def train(trial: optuna.Trial) -> float:
        model = build(trial)
        first(trial, model)
        second(trial, model)
        return 0.0

    for width in (20, 30, 10, 40):
        made.enqueue_trial({"width": width})
    made.optimize(train, n_trials=4)
    assert [t.state.name[0] for t in made.trials] == list("CCPC")
    assert [sorted(t.user_attrs[SCORES]) for t in made.trials] == [
        ["depth", "params"],
        ["depth", "params"],
        ["params"],
        ["depth", "params"],
    ]


def test_trials_of_other_proxies_do_not_count() -> None:
    made = study()
    filtered([40, 30, 20], ScoreFilter(BATCH, "params", warmup=1), made)
    states = filtered([10, 9, 8], ScoreFilter(BATCH, "params,flops", warmup=2), made)
    assert states[3:] == list("CCP")


def test_a_trial_counts_where_one_of_the_proxies_failed() -> None:
    worth = ScoreFilter(BATCH.inputs, "snip,params", warmup=2)
    assert filtered([20, 30, 10], worth, study()) == list("CCP")


def test_scores_of_a_trial_are_those_of_its_last_network() -> None:
    trial = study().ask()
    ScoreFilter(BATCH.inputs, "snip,params")(trial, network(4))
    assert set(trial.user_attrs[FAILURES]) == {"snip"}
    ScoreFilter(BATCH, "snip")(trial, network(4))
    assert set(trial.user_attrs[SCORES]) == {"snip", "params"}
    assert not trial.user_attrs[FAILURES]


@pytest.mark.parametrize("fraction", [0.3, 0.7])
def test_about_that_fraction_is_skipped(fraction: float) -> None:
    widths = torch.randperm(61, generator=torch.Generator().manual_seed(0)).add(4).tolist()[:40]
    states = filtered(widths, ScoreFilter(BATCH, "params", fraction=fraction, warmup=1), study())
    assert abs(states.count("P") / 40 - fraction) < 0.15


def test_processes_on_one_study_filter_by_one_pool(tmp_path) -> None:
    storage = f"sqlite:///{tmp_path}/study.db"
    study(storage=storage, study_name="shared")
    for widths, states in (([30, 40], "CC"), ([10, 50], "CCPC")):
        again = optuna.load_study(study_name="shared", storage=storage)
        assert filtered(widths, ScoreFilter(BATCH, "params", warmup=2), again) == list(states)
        again._storage.remove_session()
        again._storage._backend.engine.dispose()


def test_what_cannot_be_scored_is_not_trained_even_in_the_warm_up() -> None:
    trial = study().ask()
    with pytest.raises(optuna.TrialPruned, match="snip: the network raised"):
        ScoreFilter(BATCH, "snip")(trial, nn.Linear(7, 10))
    assert "snip" in trial.study.trials[0].user_attrs[FAILURES]


def test_a_trial_outside_a_study_is_never_pruned() -> None:
    made = study(direction="maximize")
    worth = ScoreFilter(BATCH, "params", fraction=0.9, warmup=1)
    filtered([64, 4], worth, made)
    assert worth(made.best_trial, network(4))["params"] == worth(optuna.trial.FixedTrial({}), network(4))["params"]


@pytest.mark.parametrize("settings", [{"fraction": 1}, {"fraction": -0.1}, {"warmup": 0}])
def test_settings_that_mean_nothing(settings: dict[str, float]) -> None:
    with pytest.raises(InputError, match=next(iter(settings))):
        ScoreFilter(BATCH, "params", **settings)
