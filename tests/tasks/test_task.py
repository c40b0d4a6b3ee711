"""A task: its parts, what data is certain about, and the way from scoring to training."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torchmetrics
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset, Subset, TensorDataset

import zerocost as zc
from zerocost.data import Batch
from zerocost.tasks import TASKS, Task
from zerocost.tasks.task import as_task
from zerocost.train import halving, train

IDS = torch.randint(9, (4, 6), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("inputs", "targets", "name"),
    [
        (torch.rand(4, 3), None, "classification"),
        (torch.rand(4, 3), torch.arange(4), "classification"),
        (torch.rand(4, 3), torch.arange(4)[:, None], "classification"),
        (torch.rand(4, 3), torch.eye(4), "classification"),
        (torch.rand(4, 3), torch.tensor([0.0, 1.0, 1.0, 0.0]), "classification"),
        (torch.rand(4, 3), torch.rand(4), "regression"),
        (torch.rand(4, 3), torch.tensor([[1.0, 1.0], [0.0, 1.0], [0.0, 0.0], [1.0, 0.0]]), "regression"),
        (torch.rand(4, 3), torch.tensor([[True, True], [False, True]] * 2), "multilabel"),
        (torch.rand(4, 3, 8, 8), torch.zeros(4, 8, 8).long(), "segmentation"),
        (IDS, IDS, "next_token"),
        ({"input_ids": IDS}, IDS.clone(), "next_token"),
        ({"input_ids": IDS}, torch.where(IDS > 3, IDS, -100), "next_token"),
        (IDS, torch.full_like(IDS, -100), "classification"),
        (IDS, IDS + 1, "classification"),
    ],
)
def test_what_targets_are_certain_about(inputs, targets, name):
    assert as_task(None, None, Batch(inputs, targets)).name == name


def test_a_dataset_may_say_what_it_is_for():
    class Tagged(TensorDataset):
        task = "multilabel"

    data = Tagged(torch.rand(4, 2), torch.tensor([[0.0, 1.0], [1.0, 1.0], [0.0, 0.0], [1.0, 0.0]]))
    assert as_task(None, Subset(data, [0, 1])).name == "multilabel"
    assert as_task("regression", data).name == "regression"
    data.task = "something of its own"
    assert as_task(None, data, Batch(*data[:])).name == "regression"


def test_parts_are_replaced_and_the_rest_stays():
    task = as_task("regression", None, loss=F.l1_loss, metric="r2_score", output="out")
    assert (task.name, task.loss, task.metric, task.output) == ("regression", F.l1_loss, "r2_score", "out")
    assert task.higher_is_better and not TASKS["regression"].higher_is_better
    own = Task(loss=F.smooth_l1_loss)
    assert own.metric_name == "loss" and not own.higher_is_better and own.meter() is None
    assert Task(loss=F.l1_loss, metric=torchmetrics.R2Score()).metric_name == "R2Score"


def test_a_metric_of_torchmetrics_is_measured_not_the_loss():
    meter = as_task("classification", None, metric=torchmetrics.classification.MulticlassAccuracy(3)).meter()
    assert meter is not None
    meter.update(torch.eye(3), torch.tensor([0, 1, 1]))
    assert meter.compute() == 0.5  # the mean of 1, 1/2 and 0 over classes; two of three samples are right


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: as_task("regresion", None), "unknown task 'regresion'; did you mean 'regression'"),
        (lambda: as_task(3, None), "task must be a zerocost.tasks.Task"),
        (lambda: Task(loss="mse"), "loss must be a function"),
        (lambda: Task(loss=torch.nn.L1Loss), r"the class L1Loss; give L1Loss\(\)"),
        (lambda: Task(loss=F.l1_loss, metric="acuracy"), "unknown metric 'acuracy'; did you mean 'accuracy'"),
        (lambda: as_task("regression", None, metric="accuracy"), "regression has no metric 'accuracy'; it has"),
        (lambda: Task(loss=F.l1_loss, metric=torchmetrics.PearsonCorrCoef()), "says whether higher is better"),
        (lambda: Task(loss=F.l1_loss, output=2.5), "output must be a key"),
    ],
)
def test_what_does_not_fit_is_refused(make, reason):
    with pytest.raises(zc.InputError, match=reason):
        make()


def dataset(task, count=48):
    draw = torch.Generator().manual_seed(1)
    x = torch.randn(count, 4, generator=draw)
    targets = {
        "classification": (x[:, 0] > 0).long(),
        "multilabel": (x[:, :2] > 0).float(),
        "regression": x[:, :2] * 2,
    }
    return TensorDataset(x, targets[task])


def net(width=8):
    return nn.Sequential(nn.Linear(4, width), nn.ReLU(), nn.Linear(width, 2))


@pytest.mark.parametrize(
    ("task", "loss"),
    [
        ("classification", F.cross_entropy),
        ("multilabel", F.binary_cross_entropy_with_logits),
        ("regression", F.mse_loss),
    ],
)
def test_gradient_proxies_follow_the_loss_of_the_task(task, loss):
    torch.manual_seed(0)
    model, (x, y) = net(), dataset(task)[:]
    card = zc.score(model, (x, y), "snip,grad_norm", task=task)
    gradients = torch.autograd.grad(loss(model(x), y), [model[0].weight, model[2].weight])
    assert card["grad_norm"] == pytest.approx(sum(float(g.norm()) for g in gradients), rel=1e-5)
    assert card.provenance["task"] == task
    table = zc.rank({"a": net}, dataset(task), "grad_norm", batch=16, task=task)
    assert table.failures.empty and table.cards["a"].provenance["task"] == task


@pytest.mark.parametrize(
    ("task", "metric"), [("classification", "accuracy"), ("multilabel", "average_precision"), ("regression", "loss")]
)
def test_training_is_judged_by_the_metric_of_the_task(task, metric):
    data = dataset(task, 96)
    [run] = train({"a": net}, train=data, epochs=4, learning_rate=0.03, task=task, metric=metric)
    assert run.failure is None and run.metric_name == metric
    curve = [epoch.validation_metric for epoch in run.epochs]
    assert run.metric == (max(curve) if run.higher_is_better else min(curve))
    if metric == "loss":
        assert curve == [epoch.validation_loss for epoch in run.epochs] and run.accuracy is None


@pytest.mark.parametrize("as_floats", [torch.Tensor.float, lambda y: y.float()[:, None], lambda y: torch.eye(2)[y]])
def test_class_numbers_that_are_scored_are_trained_with_too(as_floats):
    x, labels = dataset("classification").tensors
    parts = [TensorDataset(x, y) for y in (labels, as_floats(labels))]
    numbers, floats = (train({"a": net}, train=part, validation=part, epochs=1)[0] for part in parts)
    assert (floats.metric_name, floats.metric) == ("accuracy", numbers.metric)
    assert floats.epochs[0].train_loss == numbers.epochs[0].train_loss
    single = {"a": lambda: nn.Linear(4, 1)}
    own = train(single, train=(x, labels[:, None].float()), loss=F.binary_cross_entropy_with_logits, epochs=1)
    assert own[0].metric_name == "accuracy" and own[0].failure is None


def test_floating_class_numbers_are_classes_where_the_task_says_so():
    x, labels = torch.randn(24, 4), torch.arange(24) % 3
    make = {"a": lambda: nn.Linear(4, 3)}
    assert as_task(None, None, Batch(x, labels.float())).name == "regression"
    parts = [TensorDataset(x, y) for y in (labels, labels.float())]
    for part in parts:
        assert sorted(int(label) for _, label in zc.data.split(part, 0.25)[1]) == [0, 0, 1, 1, 2, 2]
    whole, floats = (train(make, train=part, epochs=1, task="classification")[0] for part in parts)
    assert (floats.failure, floats.metric) == (None, whole.metric)
    assert not zc.score(nn.Linear(4, 3), (x, labels.float()), "snip", task="classification").failures
    with pytest.raises(zc.InputError, match="one integer a sample"):
        train(make, train=TensorDataset(x, labels + 0.5), epochs=1, task="classification")


def test_negative_whole_numbers_are_numbers_to_predict_where_the_task_says_so(tmp_path):
    x, numbers, make = torch.randn(24, 4), torch.arange(24) % 7 - 3, {"a": lambda: nn.Linear(4, 1)}
    np.savez(tmp_path / "a.npz", inputs=x.numpy(), targets=numbers.numpy())
    for data in ((x, numbers), f"npz:{tmp_path / 'a.npz'}"):
        assert not zc.rank(make, data, "snip", task="regression").failures.size
        assert train(make, train=data, epochs=1, task="regression")[0].failure is None
        for task in (None, "classification"):
            with pytest.raises(zc.InputError, match="from 0, got -3, -2, -1; for numbers to predict name the task"):
                zc.rank(make, data, "snip", task=task)
    loader = DataLoader(zc.data.load((x, numbers), task="regression"), 8)
    assert not zc.rank(make, loader, "snip", task="regression").failures.size


@pytest.mark.parametrize(
    ("task", "metric", "below", "above"),
    [
        ("classification", "accuracy", 0, 1),
        ("classification", "loss", 0, 2),
        ("regression", "mean_squared_error", 0, 2),
        ("regression", "r2_score", -1, 1),
        ("next_token", "perplexity", 1, 2),
    ],
)
def test_the_nearest_value_that_a_metric_can_have(task, metric, below, above):
    chosen = as_task(task, None, metric=metric)
    assert (chosen.nearest_possible(-1.0), chosen.nearest_possible(2.0)) == (below, above)
    own = Task(loss=lambda outputs, targets: -outputs.mean(), metric="loss")
    assert own.nearest_possible(-1.0) == -1


def test_masks_of_truth_values_are_classes():
    images = torch.randn(12, 3, 4, 4)
    data = [TensorDataset(images, mask) for mask in ((images[:, 0] > 0).long(), images[:, 0] > 0)]
    whole, truth = (train({"a": lambda: nn.Conv2d(3, 2, 1)}, train=one, validation=one, epochs=1)[0] for one in data)
    assert truth.metric_name == "jaccard_index" and truth.epochs[0].train_loss == whole.epochs[0].train_loss


def test_early_stopping_and_halving_follow_a_metric_of_which_less_is_better(tmp_path):
    data = dataset("regression", 96)
    networks = {"good": net, "frozen": lambda: nn.Sequential(nn.Dropout(1.0), nn.Linear(4, 2))}
    runs = halving(networks, train=data, epochs=4, reduction=2, learning_rate=0.03, workdir=tmp_path)
    assert {run.name: len(run.epochs) for run in runs} == {"good": 4, "frozen": 1}
    assert {run.metric_name for run in runs} == {"mean_squared_error"}
    good = runs[0]
    model = net()
    model.load_state_dict(torch.load(good.checkpoint, weights_only=True))
    _, held_out = zc.data.split(zc.data.load(data), 0.2, seed=0)
    x, y = (torch.stack(part) for part in zip(*held_out, strict=True))
    assert F.mse_loss(model(x), y).item() == pytest.approx(good.metric, rel=1e-5)
    [stopped] = train({"a": net}, train=data, epochs=9, patience=1, learning_rate=1e-7, metric="r2_score")
    assert stopped.higher_is_better and len(stopped.epochs) <= 9


class Pairs(Dataset):
    """Samples as mappings, as Hugging Face datasets have them."""

    def __init__(self, task="regression"):
        self.data = dataset(task, 48)

    def __len__(self):
        return len(self.data)

    def __getitem__(self, index):
        x, y = self.data[index]
        return {"features": x, "labels": y}


class Keyed(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.body = net(width)

    def forward(self, features):
        return {"hidden": features, "out": self.body(features)}


def test_samples_that_are_mappings_go_from_scoring_to_training():
    assert zc.rank({"a": Keyed}, Pairs(), "snip,jacob_cov", batch=16).failures.empty
    [run] = train({"a": Keyed}, train=Pairs(), epochs=1)
    assert run.failure is None and run.metric_name == "mean_squared_error"


def test_a_search_for_a_regression_finds_the_network_of_least_error():
    def space(choose):
        return net(choose.int("width", 4, 32, step=4))

    settings = {"candidates": 4, "keep": 2, "epochs": 2, "proxies": "snip"}
    found = zc.search(space, dataset("regression", 96), **settings)
    assert found.task.name == "regression" and found.settings["metric"] == "mean_squared_error"
    assert found.best == min(found.survivors, key=lambda run: run.metric).name
    aimed = zc.search(space, dataset("regression", 96), objectives="mean_absolute_error", **settings)
    assert aimed.table.frame["mean_absolute_error"].is_monotonic_increasing
    assert aimed.task.metric == "mean_absolute_error"
    with pytest.raises(zc.InputError, match="not what networks are judged by, which is 'r2_score'"):
        zc.search(space, dataset("regression"), objectives="accuracy", metric="r2_score", **settings)


class Heads(nn.Module):
    """Two outputs of which neither has a common name."""

    def __init__(self, width=8):
        super().__init__()
        self.main, self.side = net(width), nn.Linear(4, 2)

    def forward(self, x):
        return {"main": self.main(x), "side": self.side(x)}


def test_an_output_is_picked_from_scoring_to_training_and_costs():
    def space(choose):
        return Heads(choose.int("width", 4, 32, step=4))

    settings = {"candidates": 3, "keep": 1, "epochs": 1, "proxies": "snip,flops", "where": "latency < 1e6"}
    found = zc.search(space, dataset("regression"), output="main", **settings)
    assert found.table.failures.empty and found.survivors[0].failure is None
    assert found.settings["output"] == "'main'" and found.settings["task"] == "regression"
    table = zc.rank({"a": Heads}, dataset("regression"), "snip", batch=16)
    assert "name the one to score with output=" in table.failures.reason.iloc[0]


def test_a_run_with_another_loss_is_trained_anew(tmp_path):
    data, once, twice = dataset("regression"), (lambda o, t: 1 * F.mse_loss(o, t)), (lambda o, t: 2 * F.mse_loss(o, t))
    [one], [two] = (train({"a": net}, train=data, epochs=1, workdir=tmp_path, loss=loss) for loss in (once, twice))
    assert two.epochs[0].train_loss > 1.5 * one.epochs[0].train_loss


def test_the_usual_batch_is_all_of_few_samples():
    def space(choose):
        return net(choose.int("width", 4, 8, step=4))

    data = dataset("regression", 20)
    assert zc.rank({"a": net}, data, "snip").combination.batch == 20
    assert zc.search(space, data, candidates=2, keep=1, epochs=0, proxies="snip").settings["batch"] == 16
    with pytest.raises(zc.InputError, match="asked for a batch of 64, but the data holds 20"):
        zc.rank({"a": net}, data, "snip", batch=64)
