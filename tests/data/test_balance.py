from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import ConcatDataset, Dataset, Subset, TensorDataset

from zerocost.base.errors import InputError
from zerocost.data.balance import SETTLED, balanced_indices, class_labels
from zerocost.data.tensors import TensorData


class Listed(Dataset):
    """Lists its labels, and refuses to be read."""

    def __init__(self, targets):
        self.targets = targets

    def __len__(self):
        return len(self.targets)

    def __getitem__(self, index):
        raise AssertionError("read although the labels are listed")


class Unlisted(Dataset):
    """Knows a label only once a sample is read; counts the reads."""

    def __init__(self, labels):
        self.labels = labels
        self.reads = 0

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        self.reads += 1
        return torch.zeros(1), self.labels[index]


def picked(dataset, size, seed=0):
    return balanced_indices(dataset, size, torch.Generator().manual_seed(seed))


@given(
    counts=st.lists(st.integers(1, 12), min_size=1, max_size=6),
    size=st.integers(1, 40),
    seed=st.integers(0, 2**32),
    kind=st.sampled_from([Listed, Unlisted]),
)
def test_every_class_has_the_same_number_give_or_take_one_or_the_batch_is_refused(counts, size, seed, kind):
    labels = [10 * label for label, count in enumerate(counts) for _ in range(count)]
    share, rest = divmod(size, len(counts))
    possible = min(counts) >= share and sum(count > share for count in counts) >= rest
    if not possible:
        with pytest.raises(InputError, match=f"balanced batch of {size} over {len(counts)} classes"):
            picked(kind(labels), size, seed)
        return
    indices = picked(kind(labels), size, seed)
    drawn = Counter(labels[index] for index in indices)
    assert len(set(indices)) == len(indices) == size
    assert {drawn[10 * label] for label in range(len(counts))} <= {share, share + 1}
    assert indices == picked(kind(labels), size, seed)


@pytest.mark.parametrize("kind", [Listed, Unlisted])
def test_what_does_not_count_is_no_class(kind):
    labels = [-100, 0, 1, 1, -100, 0] * 5
    assert Counter(labels[index] for index in picked(kind(labels), 20)) == {0: 10, 1: 10}
    with pytest.raises(InputError, match="but all are -100, which does not count"):
        picked(kind([-100] * 3), 2)


def test_seeds_differ_and_classes_come_mixed():
    data = Listed([0] * 50 + [1] * 50)
    assert picked(data, 20, seed=0) != picked(data, 20, seed=1)
    sides = [index < 50 for index in picked(data, 20)]
    assert sides not in (sorted(sides), sorted(sides, reverse=True))


def test_the_scarce_class_is_named():
    with pytest.raises(InputError, match="needs 2 to 3 samples of each, but class 7 has 1; ask for a smaller batch"):
        picked(Listed([3] * 10 + [7] + [9] * 10), 8)


def test_unlisted_labels_are_read_only_until_the_classes_are_settled():
    data = Unlisted([index % 5 for index in range(20 * SETTLED)])
    assert Counter(data.labels[index] for index in picked(data, 10)) == dict.fromkeys(range(5), 2)
    assert data.reads < 1.1 * SETTLED


def test_a_scan_goes_on_until_a_rare_class_has_enough():
    data = Unlisted(([0] * 99 + [1]) * 40)
    labels = Counter(data.labels[index] for index in picked(data, 60))
    assert labels == {0: 30, 1: 30}


@pytest.mark.parametrize(
    "label", [np.int64(3), torch.tensor(3), torch.tensor(3, dtype=torch.uint8), 3.0, torch.tensor([3.0])]
)
def test_whole_numbers_of_any_type_are_read(label):
    assert len(picked(Unlisted([label, label]), 2)) == 2


def test_labels_that_are_not_whole_numbers_are_named():
    with pytest.raises(InputError, match="whole-number labels, but a sample has a str"):
        picked(Unlisted(["cat", "dog"]), 2)
    with pytest.raises(InputError, match="whole-number labels, but a sample has a float"):
        picked(Unlisted([0.5, 1.0]), 2)


def test_samples_without_labels_are_refused():
    with pytest.raises(InputError, match="needs labels"):
        picked(TensorData(torch.zeros(4, 2)), 2)


@pytest.mark.parametrize(
    "targets",
    [
        *([2, 0, 1], torch.tensor([2, 0, 1]), np.array([2, 0, 1], np.uint8), (2, 0, 1)),
        *([2.0, 0.0, 1.0], torch.tensor([2.0, 0.0, 1.0])[:, None], torch.eye(3)[[2, 0, 1]]),
    ],
)
def test_listed_labels_of_any_kind(targets):
    assert class_labels(Listed(targets)).tolist() == [2, 0, 1]


@pytest.mark.parametrize("listed", [True, False])
def test_truth_values_are_two_classes(listed):
    labels = torch.arange(20) % 5 == 0
    dataset = TensorDataset(torch.zeros(20, 1), labels) if listed else Unlisted([*labels])
    assert sorted(bool(labels[row]) for row in picked(dataset, 6)) == [False] * 3 + [True] * 3


def test_a_read_only_array_of_labels():
    targets = np.array([1, 2])
    targets.flags.writeable = False
    assert class_labels(Listed(targets)).tolist() == [1, 2]


def test_subsets_of_subsets_pick_their_labels():
    inner = Subset(TensorDataset(torch.zeros(4, 1), torch.tensor([5, 6, 7, 8])), range(1, 4))
    assert class_labels(Subset(inner, [2, 0])).tolist() == [8, 6]


@pytest.mark.parametrize(
    "dataset",
    [
        TensorDataset(torch.zeros(3, 1)),
        TensorDataset(torch.zeros(3, 1), torch.full((3,), 0.5)),
        TensorDataset(torch.zeros(30, 1), torch.arange(30.0)),
        TensorDataset(*[torch.zeros(3, dtype=torch.long)] * 3),
        Listed([[1], [2, 3]]),
        Listed(["a", "b"]),
        Listed([0.5, 1.5]),
        Listed(torch.zeros(3, 2, dtype=torch.long)),
        ConcatDataset([Listed([1]), Listed([2])]),
        Subset(TensorData(torch.zeros(3, 1)), [0]),
    ],
)
def test_other_targets_are_not_class_labels(dataset):
    assert class_labels(dataset) is None
