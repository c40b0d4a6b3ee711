from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset, SubsetRandomSampler, TensorDataset

from zerocost.base.errors import InputError
from zerocost.data import Batch, load, split
from zerocost.data.dataset import standardise_alike
from zerocost.data.tensors import TensorData


class Stream(IterableDataset):
    def __iter__(self):
        return iter(torch.arange(10.0).reshape(10, 1))


class Unsized(Dataset):
    def __getitem__(self, index):
        return index


def test_a_tensor_or_array_is_inputs_without_labels():
    values = torch.rand(4, 3, 8, 8)
    for data in (values, values.numpy()):
        dataset = load(data)
        assert torch.equal(dataset[2], values[2])
        assert dataset.targets is None


@pytest.mark.parametrize("wrap", [tuple, list, lambda pair: Batch(*pair)])
@pytest.mark.parametrize("convert", [torch.Tensor.numpy, torch.Tensor.clone])
def test_a_pair_has_inputs_and_labels_in_memory(wrap, convert):
    images, labels = torch.rand(4, 3, 8, 8), torch.tensor([1, 0, 2, 1])
    dataset = load(wrap((convert(images), convert(labels))))
    assert torch.equal(dataset.images, images)
    assert torch.equal(dataset.targets, labels)
    assert dataset[2][1] == 2


def test_a_batch_without_targets_is_inputs_alone():
    assert load(Batch(torch.rand(4, 3))).targets is None


def test_a_table_of_pandas_is_inputs_as_float32_and_a_column_targets():
    frame = pd.DataFrame({"size": [1, 2, 3], "new": [True, False, True]})
    for targets in (pd.Series([0, 1, 0]), pd.DataFrame({"class": [0, 1, 0]})):
        dataset = load((frame, targets))
        assert dataset.images.dtype == torch.float32 and dataset.images.tolist() == [[1, 1], [2, 0], [3, 1]]
        assert dataset.targets.tolist() == [0, 1, 0]
    assert load(frame).targets is None
    assert load((frame, pd.Series([0.5, 1.0, 1.5]))).targets.dtype == torch.float32


def test_inputs_by_name_may_be_a_single_one():
    ids = torch.arange(6).reshape(3, 2)
    inputs, target = load(({"input_ids": ids}, torch.arange(3)))[1]
    assert inputs["input_ids"].tolist() == [2, 3] and int(target) == 1


def test_a_dataset_is_returned_as_it_is_and_a_loader_gives_its_own():
    dataset = TensorDataset(torch.rand(4, 3), torch.arange(4))
    assert load(dataset) is dataset
    assert load(DataLoader(dataset, batch_size=2, shuffle=True)) is dataset
    assert load(DataLoader(dataset, batch_size=None)) is dataset


@pytest.mark.parametrize("indices", [[3, 1], torch.tensor([3, 1]), np.array([3, 1])])
def test_a_loader_that_samples_a_part_gives_this_part(indices):
    dataset = TensorDataset(torch.arange(4.0).reshape(4, 1))
    part = load(DataLoader(dataset, sampler=SubsetRandomSampler(indices)))
    assert [item.item() for (item,) in part] == [3, 1]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (Stream(), "Stream can only be read from front to back"),
        (DataLoader(Stream()), "Stream can only be read from front to back"),
        (Unsized(), "Unsized .* has no length"),
        (TensorDataset(torch.rand(0, 3)), "empty: a TensorDataset of length 0"),
        (Subset(TensorDataset(torch.rand(2, 3)), []), "empty"),
        ((torch.rand(2, 3), torch.tensor([0])), "one label for each of the 2 inputs"),
        ((torch.rand(2, 3), [0, 1]), "a tuple of Tensor, list; give a spec"),
        ((pd.DataFrame({"name": ["a", "b"]}), torch.arange(2)), "column 'name' is not of numbers; write the table to"),
        ((torch.rand(2, 3),) * 3, "a tuple of Tensor, Tensor, Tensor"),
        (None, "a NoneType; give a spec such as 'digits'"),
        ({"x": torch.rand(2, 3)}, "a dict"),
        ("digit", "unknown data source 'digit'; did you mean 'digits'"),
    ],
)
def test_what_cannot_be_read_is_named(data, message):
    with pytest.raises(InputError, match=message):
        load(data)


@given(
    counts=st.lists(st.integers(1, 30), min_size=1, max_size=6),
    fraction=st.floats(0.05, 0.95),
    seed=st.integers(0, 2**32),
)
def test_a_split_is_disjoint_complete_and_stratified(counts, fraction, seed):
    labels = torch.cat([torch.full((count,), 3 * label) for label, count in enumerate(counts)])
    dataset = TensorData(torch.zeros(len(labels), 1), labels)
    expected = int(len(labels) * fraction + 0.5)
    if not 0 < expected < len(labels):
        with pytest.raises(InputError, match="leaves one part empty"):
            split(dataset, fraction, seed=seed)
        return
    train, validation = split(dataset, fraction, seed=seed)
    assert sorted([*train.indices, *validation.indices]) == list(range(len(labels)))
    assert len(validation) == expected
    for label, count in enumerate(counts):
        got = sum(target == 3 * label for _, target in validation)
        assert abs(got - count * fraction) <= 1
    again = split(dataset, fraction, seed=seed)
    assert again[0].indices == train.indices
    assert again[1].indices == validation.indices


def test_another_seed_splits_otherwise():
    dataset = TensorData(torch.zeros(100, 1), torch.arange(100) % 10)
    assert split(dataset, seed=0)[1].indices != split(dataset, seed=1)[1].indices


def test_the_shape_of_a_split_does_not_follow_the_order_of_the_data():
    validation = split(TensorData(torch.zeros(1000, 1), torch.zeros(1000, dtype=torch.long)), 0.5)[1]
    gaps = np.diff(validation.indices)
    assert set(gaps) > {1, 2, 3}


def test_without_listed_labels_a_split_is_random_and_of_the_right_size():
    train, validation = split(TensorDataset(torch.rand(10, 2), torch.rand(10)), 0.3)
    assert (len(train), len(validation)) == (7, 3)


@pytest.mark.parametrize("fraction", [-0.5, 0, 1, 1.5, float("nan")])
def test_a_fraction_outside_the_unit_interval_is_refused(fraction):
    with pytest.raises(InputError, match="give a fraction between 0 and 1"):
        split(TensorData(torch.zeros(10, 1)), fraction)


def test_a_stream_cannot_be_split():
    with pytest.raises(InputError, match="front to back"):
        split(Stream())


def test_validation_data_of_its_own_is_read_as_the_training_data(tmp_path):
    one, other = tmp_path / "one.csv", tmp_path / "other.csv"
    one.write_text("a,kind,y\n1,x,no\n3,z,yes\n1,x,no\n3,z,yes\n")
    other.write_text("kind,a,y\ny,5,yes\ny,5,yes\nx,1,yes\n")
    train, validation = standardise_alike(load(f"csv:{one}:y"), load(f"csv:{other}:y"))
    (numbers, kinds), targets = validation.images, validation.targets
    assert train.images[0][:, 0].tolist() == [-1, 1, -1, 1] and numbers[:, 0].tolist() == [3, 3, -1]
    assert train.images[1][:, 0].tolist() == [1, 2, 1, 2] and kinds[:, 0].tolist() == [0, 0, 1]
    assert targets.tolist() == [1, 1, 1] and validation.codes == (3,)
    for text, reason in {
        "kind,a,y\nx,5,maybe\nx,5,no\n": "has the class 'maybe', which the training data lacks; it has 'no', 'yes'",
        "kind,a,y\nx,?,yes\nx,5,no\n": "column 'a' is numbers in the training data, but texts in the validation data",
    }.items():
        other.write_text(text)
        with pytest.raises(InputError, match=re.escape(reason)):
            standardise_alike(load(f"csv:{one}:y"), load(f"csv:{other}:y"))
    series = tmp_path / "later.csv"
    series.write_text("y\n" + "\n".join(map(str, range(10, 20))))
    earlier = tmp_path / "earlier.csv"
    earlier.write_text("y\n" + "\n".join(map(str, range(10))))
    _, later = standardise_alike(load(f"series:{earlier}:y:3"), load(f"series:{series}:y:3"))
    assert float(later[0][0][0, 0]) == pytest.approx((10 - 4.5) / np.std(np.arange(10)))
    np.savez(tmp_path / "a.npz", x=np.full((4, 8, 8), 51, np.uint8) * np.arange(4, dtype=np.uint8)[:, None, None])
    np.savez(tmp_path / "b.npz", x=np.full((2, 8, 8), 51, np.uint8))
    first, second = standardise_alike(load(f"npz:{tmp_path / 'a.npz'}"), load(f"npz:{tmp_path / 'b.npz'}"))
    assert torch.allclose(second.images[0], first.images[1], atol=1e-6)
    plain = load((torch.rand(4, 2), torch.arange(4)))
    assert standardise_alike(first, plain) == (first, plain)


def test_columns_classes_and_labels_of_validation_data_are_found_by_their_names(tmp_path):
    pd.DataFrame({"a": range(9), "b": range(0, 90, 10)}).to_csv(tmp_path / "one.csv", index=False)
    pd.DataFrame({"b": range(0, 90, 10), "a": range(9)}).to_csv(tmp_path / "other.csv", index=False)
    one, other = (load(f"series:{tmp_path / name}.csv:a:3") for name in ("one", "other"))
    assert torch.equal(standardise_alike(one, other)[1].images, one.images)
    with pytest.raises(InputError, match="has the column to predict 'a', which the validation data lacks; it has 'b'"):
        standardise_alike(one, load(f"series:{tmp_path / 'other.csv'}:b:3"))
    for name in ("train/ant", "train/bee", "train/cat", "later/cat", "later/bee", "wrong/dog"):
        (tmp_path / name).mkdir(parents=True)
        Image.new("RGB", (8, 8), "red").save(tmp_path / name / "a.png")
    train, later, wrong = (load(f"images:{tmp_path / name}:8") for name in ("train", "later", "wrong"))
    assert [label for _, label in standardise_alike(train, later)[1]] == [1, 2]
    with pytest.raises(InputError, match="validation data has the class 'dog', which the training data lacks"):
        standardise_alike(train, wrong)
    (tmp_path / "one.csv").write_text("file,wet,hot\ntrain/ant/a.png,1,0\n")
    (tmp_path / "other.csv").write_text("file,hot,wet\ntrain/ant/a.png,1,0\n")
    one, other = (load(f"labels:{tmp_path / name}.csv:8") for name in ("one", "other"))
    assert standardise_alike(one, other)[1][0][1].tolist() == [0, 1]
    assert (one[0][1].tolist(), other[0][1].tolist()) == ([1, 0], [1, 0])
