from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.utils.data import Dataset, Subset, TensorDataset

from zerocost.base.errors import InputError
from zerocost.data import load
from zerocost.train import batches
from zerocost.train.batches import Batches, mix_seeds


class Listed(Dataset):
    """A dataset that must be read sample by sample."""

    def __init__(self, samples: list) -> None:
        self.samples = samples

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int):
        return self.samples[index]


class Labelled(Listed):
    """The same, with its labels apart."""

    @property
    def targets(self) -> list[int]:
        return [int(target) for _, target in self.samples]


@given(st.integers(1, 60), st.integers(1, 20), st.none() | st.integers(0, 2**32 - 1))
def test_each_sample_comes_once_in_batches_of_nearly_equal_size(count: int, size: int, order: int | None) -> None:
    batches = Batches(TensorDataset(torch.arange(float(count)), torch.arange(count)), size)
    batches.order = order
    labels = [labels for _, labels in batches]
    assert len(labels) == len(batches)
    assert sorted(torch.cat(labels).tolist()) == list(range(count))
    sizes = [len(part) for part in labels]
    assert max(sizes) <= size
    assert max(sizes) - min(sizes) <= 1


def test_the_order_follows_from_its_seed_alone() -> None:
    batches = Batches(TensorDataset(torch.arange(50.0), torch.arange(50)), 50)

    def labels(order: int | None) -> list[int]:
        batches.order = order
        return next(iter(batches))[1].tolist()

    first = labels(1)
    assert labels(None) == list(range(50))
    assert labels(2) != first
    torch.rand(3)
    assert labels(1) == first


def test_every_kind_of_dataset_gives_the_same_batches() -> None:
    inputs, targets = torch.randn(10, 3, 4, 4), torch.arange(10) % 3
    whole = TensorDataset(inputs, targets)
    kinds = [
        whole,
        load((inputs, targets)),
        Listed([(x, int(y)) for x, y in whole]),
        Subset(TensorDataset(inputs.repeat(2, 1, 1, 1), targets.repeat(2)), range(10, 20)),
        Subset(Subset(whole, range(10)), range(10)),
    ]
    for kind in kinds:
        got = list(Batches(kind, 4))
        assert torch.equal(torch.cat([x for x, _ in got]), inputs)
        assert torch.equal(torch.cat([y for _, y in got]), targets)


def test_a_dataset_that_alters_its_items_is_read_through_its_items() -> None:
    class Doubled(TensorDataset):
        def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
            x, y = super().__getitem__(index)
            return 2 * x, y

    inputs, _ = next(iter(Batches(Doubled(torch.ones(2, 1), torch.zeros(2).long()), 2)))
    assert inputs.tolist() == [[2.0], [2.0]]


@pytest.mark.parametrize("kind", [lambda x: x, lambda x: Listed(list(x))], ids=["tensors", "items"])
@pytest.mark.parametrize("targets", [torch.rand(4), torch.zeros(4, 2).long(), torch.zeros(4, 2)])
def test_targets_that_are_not_class_labels_are_refused(targets: Tensor, kind) -> None:
    with pytest.raises(InputError, match="classification labels are expected"):
        Batches(kind(TensorDataset(torch.zeros(4, 2), targets)), 2)


@pytest.mark.parametrize("target", [{"boxes": torch.zeros(4)}, "cat", None])
def test_targets_that_are_no_numbers_are_refused(target) -> None:
    with pytest.raises(InputError, match=f"a target must be a number or a tensor .* one is a {type(target).__name__}"):
        Batches(Listed([(torch.zeros(2), target)]), 4)


def test_data_without_labels_or_samples_is_refused() -> None:
    with pytest.raises(InputError, match="pairs, but a sample is a Tensor"):
        Batches(load(torch.zeros(4, 3)), 2)
    with pytest.raises(InputError, match="is empty"):
        Batches(TensorDataset(torch.zeros(0, 3), torch.zeros(0).long()), 2)


def test_the_fingerprint_tells_data_apart() -> None:
    inputs, targets = torch.randn(20, 3), torch.arange(20) % 2
    same, moved = (Batches(TensorDataset(inputs + by, targets), 4).fingerprint for by in (0, 1e-3))
    fewer = Batches(TensorDataset(inputs[:19], targets[:19]), 4).fingerprint
    relabelled = Batches(TensorDataset(inputs, 1 - targets), 4).fingerprint
    assert len({same, moved, fewer, relabelled}) == 4
    assert Batches(TensorDataset(inputs.clone(), targets.clone()), 9).fingerprint == same


@pytest.mark.parametrize("kind", [lambda x: x, lambda x: Labelled(list(x))], ids=["tensors", "items"])
def test_the_fingerprint_sees_every_label(kind) -> None:
    inputs, targets = torch.zeros(300, 2), torch.zeros(300).long()
    found = [Batches(kind(TensorDataset(inputs, targets)), 4).fingerprint]
    for mended in (1, 150, 298):
        targets[mended] = 1
        found.append(Batches(kind(TensorDataset(inputs, targets)), 4).fingerprint)
    assert len(set(found)) == 4


def test_the_fingerprint_of_many_bytes_reads_some_of_them(monkeypatch) -> None:
    monkeypatch.setattr(batches, "_MOST_READ", 300)
    inputs, targets = torch.zeros(100, 2), torch.zeros(100, dtype=torch.uint8)
    found = [Batches(TensorDataset(inputs, targets), 4).fingerprint]
    for changed, row in ((inputs, 1), (inputs, 3), (targets, 1)):  # each third row of 800 bytes, all of 100 bytes
        changed[row] = 1
        found.append(Batches(TensorDataset(inputs, targets), 4).fingerprint)
    assert found[0] == found[1]
    assert len(set(found)) == 3


@given(st.lists(st.integers(), min_size=1, max_size=3))
def test_mixed_seeds_suit_every_generator(numbers: list[int]) -> None:
    assert 0 <= mix_seeds(*numbers) < 2**32
