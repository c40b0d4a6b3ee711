from __future__ import annotations

import random
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, SubsetRandomSampler, TensorDataset

from zerocost.base.errors import InputError
from zerocost.data import Batch, draw, load, validate
from zerocost.data.batch import check_batches


class Samples(Dataset):
    """Map-style data from a function of the index."""

    def __init__(self, sample, count=20):
        self.sample, self.count = sample, count

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        if index >= self.count:
            raise IndexError(index)
        return self.sample(index)


class Stream(IterableDataset):
    def __iter__(self):
        return iter((torch.tensor([float(i)]), i % 3) for i in range(10))


class Augmented(Dataset):
    """Uses all three global generators when read."""

    targets = tuple(index % 2 for index in range(30))

    def __len__(self):
        return 30

    def __getitem__(self, index):
        return torch.rand(2) + np.random.rand() + random.random() + index, index % 2


class Point(NamedTuple):
    x: torch.Tensor
    y: int


def pair(count=20):
    return torch.arange(float(count)).reshape(count, 1), torch.arange(count) % 4


SOURCES = {
    "tensor": lambda: pair()[0],
    "array": pair()[0].numpy,
    "pair": pair,
    "batch": lambda: Batch(*pair()),
    "dataset": lambda: TensorDataset(*pair()),
    "augmented": Augmented,
    "loader": lambda: DataLoader(Augmented(), batch_size=3, shuffle=True),
    "loader with generator": lambda: DataLoader(Augmented(), shuffle=True, generator=torch.Generator()),
    "stream": Stream,
    "stream loader": lambda: DataLoader(Stream(), batch_size=4),
    "noise": lambda: "noise:1x4x4:5",
}


@pytest.mark.parametrize("name", SOURCES)
def test_a_batch_depends_on_the_seed_alone_and_leaves_the_global_generators(name):
    data = SOURCES[name]()
    torch.manual_seed(1), np.random.seed(1), random.seed(1)
    first = draw(data, 8, seed=3)
    used = torch.rand(1).item(), np.random.rand(), random.random()
    torch.manual_seed(1), np.random.seed(1), random.seed(1)
    assert used == (torch.rand(1).item(), np.random.rand(), random.random())
    second = draw(data, 8, seed=3)
    assert torch.equal(first.inputs, second.inputs)
    assert first.targets is second.targets is None or torch.equal(first.targets, second.targets)


def test_a_generator_given_to_a_loader_is_left_alone():
    generator = torch.Generator().manual_seed(5)
    before = generator.get_state()
    draw(DataLoader(Augmented(), shuffle=True, generator=generator), 4)
    assert torch.equal(generator.get_state(), before)


@pytest.mark.parametrize("balanced", [False, True])
def test_another_seed_draws_another_batch_without_repeats(balanced):
    batches = [draw(pair(), 8, seed=seed, balanced=balanced).inputs.flatten().tolist() for seed in range(5)]
    assert len({tuple(batch) for batch in batches}) == 5
    assert all(len(set(batch)) == 8 for batch in batches)


def test_targets_stay_with_their_inputs():
    batch = draw(pair(), 20)
    assert torch.equal(batch.inputs.flatten().long() % 4, batch.targets)
    assert batch.targets.dtype == torch.int64
    assert sorted(batch.inputs.flatten().tolist()) == list(range(20))


def test_a_balanced_batch_has_equal_counts():
    labels = torch.tensor([0] * 80 + [1] * 10 + [2] * 10)
    batch = draw((torch.rand(100, 3), labels), 9, balanced=True)
    assert batch.targets.bincount().tolist() == [3, 3, 3]


def test_a_balanced_batch_from_a_loader():
    assert draw(DataLoader(Augmented(), batch_size=5), 10, balanced=True).targets.sum() == 5


def test_the_loaders_part_and_collate_function_are_used():
    dataset = TensorDataset(*pair())

    def doubled(samples):
        return torch.stack([x for x, _ in samples]) * 2, torch.tensor([int(y) for _, y in samples])

    loader = DataLoader(dataset, sampler=SubsetRandomSampler([4, 5, 6]), collate_fn=doubled)
    batch = draw(loader, 3)
    assert sorted(batch.inputs.flatten().tolist()) == [8, 10, 12]


def test_a_stream_gives_its_first_samples():
    for data in (Stream(), DataLoader(Stream(), batch_size=2)):
        assert draw(data, 5).inputs.flatten().tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("sample", "inputs", "targets"),
    [
        (lambda i: torch.tensor([float(i)]), torch.Tensor, False),
        (lambda i: (torch.tensor([float(i)]),), torch.Tensor, False),
        (lambda i: (torch.tensor([float(i)]), i), torch.Tensor, True),
        (lambda i: [np.float32([i]), np.int64(i)], torch.Tensor, True),
        (lambda i: Point(torch.tensor([float(i)]), i), torch.Tensor, True),
        (lambda i: {"ids": torch.tensor([i]), "mask": 1}, dict, False),
        (lambda i: {"ids": torch.tensor([i]), "mask": 1, "labels": i}, dict, True),
        (lambda i: {"image": torch.tensor([i]), "y": i}, torch.Tensor, True),
        (lambda i: {"y": torch.tensor([i])}, dict, False),
        (lambda i: ({"ids": torch.tensor([i])}, i), dict, True),
        (lambda i: (torch.tensor([i]), torch.tensor([i]), i), list, False),
    ],
)
def test_a_sample_that_is_a_pair_has_a_target_and_any_other_is_all_input(sample, inputs, targets):
    batch = draw(Samples(sample), 6)
    assert type(batch.inputs) is inputs
    assert (batch.targets is not None) == targets


def test_mappings_that_hold_their_labels_are_drawn_as_pairs():
    inputs, labels = pair()
    named = Samples(lambda i: {"x": inputs[i], "label": int(labels[i])})
    for options in ({"size": 8}, {"size": 8, "balanced": True}):
        batch = draw(named, **options)
        assert torch.equal(batch.inputs[:, 0].long() % 4, batch.targets)
    assert batch.targets.bincount().tolist() == [2, 2, 2, 2]


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        (pair(), {"size": 21}, "asked for a batch of 21, but the data holds 20 samples; ask for 20 or fewer"),
        (pair(), {"size": 0}, "at least one sample, got size=0"),
        (Stream(), {"size": 11}, "gave only 10 samples"),
        (Stream(), {"balanced": True}, "cannot be balanced"),
        (DataLoader(TensorDataset(*pair()), batch_size=None), {}, "batch_size=None"),
        (pair()[0], {"balanced": True}, "needs labels"),
        (Samples(lambda i: (torch.zeros(i), 0)), {}, "do not fit into one batch: stack expects each tensor"),
        (Samples(lambda i: (object(), 0)), {}, "do not fit into one batch: .*object"),
        (Samples(lambda i: (torch.zeros(1), "cat")), {}, "targets of a batch must be a tensor, got (list|tuple)"),
        (Samples(lambda i: (torch.tensor([float("nan")]), 0)), {}, "NaN or infinite"),
        (Samples(lambda i: "word"), {}, "must hold tensors, got list"),
        (lambda: None, {}, "cannot be read from a function"),
    ],
)
def test_what_cannot_be_drawn_is_named_and_the_generators_are_given_back(data, options, message):
    state = torch.get_rng_state()
    with pytest.raises(InputError, match=message):
        draw(data, **{"size": 8, **options})
    assert torch.equal(torch.get_rng_state(), state)


def test_a_good_batch_passes():
    inputs = {"ids": torch.zeros(3, 5, dtype=torch.long), "scale": torch.tensor(2.0)}
    validate(Batch(inputs, torch.tensor([0, 9, 4])), classes=10)
    validate(Batch([torch.zeros(3, 5), torch.zeros(3, 2)], torch.tensor([0.5, 1.5, 2.5])))
    validate(Batch(torch.zeros(3, 5)), classes=2)


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        (Batch(torch.zeros(0, 3)), r"empty: inputs of shape \(0, 3\)"),
        (Batch(torch.tensor(1.0)), r"empty: inputs of shape \(\)"),
        (Batch([]), "must hold tensors, got list"),
        (Batch("text"), "must hold tensors, got str"),
        (
            Batch(torch.tensor([[0.0], [float("nan")]])),
            "1 of 2 input values are NaN or infinite, the first in sample 1",
        ),
        (Batch(torch.ones(2, 3).to_sparse()), "got one that is sparse; make it dense"),
        (
            Batch(torch.nested.nested_tensor([torch.ones(2), torch.ones(3)], layout=torch.jagged)),
            "got one that is nested",
        ),
        (Batch([torch.ones(2), torch.ones(2, device="meta")]), "got one that is without values"),
        (Batch(torch.ones(2, 3), torch.ones(2).to_sparse()), "got one that is sparse"),
        (Batch({"a": torch.zeros(2), "b": torch.tensor([0.0, float("-inf")])}), "NaN or infinite"),
        (Batch(torch.zeros(2, 3), torch.zeros(3)), r"2 inputs need 2 targets, got targets of shape \(3,\)"),
        (Batch(torch.zeros(2, 3), torch.tensor(0)), r"2 inputs need 2 targets, got targets of shape \(\)"),
        (Batch(torch.zeros(2, 3), torch.tensor([0, 10])), r"in 0\.\.9 for a network with 10 outputs, got 10; count"),
        (Batch(torch.zeros(2, 3), torch.tensor([-1, 3])), "got -1"),
        (Batch(torch.zeros(8, 3), torch.arange(50, 58)), "got 50, 51, 52, 53, 54, …"),
        (Batch(torch.zeros(2, 3), torch.tensor([0.0, 1.0])), r"whole numbers in 0\.\.9, got torch.float32"),
    ],
)
def test_what_is_wrong_with_a_batch_is_named(batch, message):
    with pytest.raises(InputError, match=message):
        validate(batch, classes=10)


def test_a_batch_of_real_digits():
    batch = draw("digits", 40, balanced=True)
    assert batch.inputs.shape == (40, 3, 32, 32)
    assert batch.targets.bincount().tolist() == [4] * 10
    assert torch.equal(batch.inputs, draw(load("digits"), 40, balanced=True).inputs)


def test_a_few_batches_may_take_samples_again_and_absurdly_many_may_not():
    data = Samples(lambda index: (torch.zeros(2), 0), count=6)
    for count in (1, 100, 150):
        check_batches(data, 4, count)
    check_batches(Stream(), 4, 10**9)
    with pytest.raises(InputError, match="151 batches of 4 take 604 samples, but the data has 6"):
        check_batches(data, 4, 151)
    huge = Samples(lambda index: np.broadcast_to(np.float32(0), (10**6, 10**4)), count=10**9)
    with pytest.raises(InputError, match="drawing 1,000 batches of 64 takes 2,560,000 GB"):
        check_batches(huge, 64, 1_000)
