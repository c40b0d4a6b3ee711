from __future__ import annotations

import numpy as np
import pytest
import torch

from zerocost.base.errors import InputError
from zerocost.data import load, split
from zerocost.data.dataset import standardise_alike
from zerocost.data.tensors import TensorData, as_inputs, as_labels, as_targets, channel_statistics, standardise


@pytest.mark.parametrize("library", ["numpy", "torch"])
@pytest.mark.parametrize(
    ("shape", "axes"),
    [((5, 8, 6, 3), (0, 3, 1, 2)), ((5, 8, 6, 1), (0, 3, 1, 2)), ((5, 3, 8, 6), (0, 1, 2, 3)), ((5, 1, 8, 6), None)],
)
def test_uint8_images_become_floats_in_unit_range_with_channels_first(library, shape, axes):
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    inputs = as_inputs(pixels if library == "numpy" else torch.tensor(pixels))
    expected = pixels.transpose(axes) if axes else pixels
    assert inputs.dtype == torch.float32
    np.testing.assert_allclose(inputs.numpy(), expected / 255, rtol=1e-6)


def test_grey_uint8_images_get_a_channel_axis():
    assert as_inputs(np.full((4, 8, 7), 51, np.uint8)).tolist() == torch.full((4, 1, 8, 7), 0.2).tolist()


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floats_keep_values_and_layout(dtype):
    values = np.random.default_rng(0).normal(size=(4, 5, 6, 3)).astype(dtype)
    inputs = as_inputs(values)
    assert inputs.dtype == torch.float32
    np.testing.assert_array_equal(inputs.numpy(), values.astype(np.float32))


def test_token_indices_stay_integers():
    tokens = torch.tensor([[1, 2], [3, 4]])
    assert torch.equal(as_inputs(tokens), tokens)


def test_reversed_and_read_only_arrays_are_read():
    values = np.arange(12, dtype=np.float32).reshape(4, 3)
    values.flags.writeable = False
    assert as_inputs(values[::-1])[0].tolist() == [9, 10, 11]


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((4, 8, 8, 4), np.uint8), "1 or 3 channels, got 4×8×8×4"),
        (np.zeros((4, 8), np.uint8), "1 or 3 channels, got 4×8;"),
        (np.zeros(4, np.float32), "sample axis and at least one more .* got shape 4"),
        (np.array(1.0), "got shape a single number"),
        (np.zeros((0, 3, 8, 8), np.float32), "empty: shape 0×3×8×8"),
        (np.zeros((2, 3, 0), np.float32), "empty"),
        (np.zeros((2, 3), complex), "complex"),
        (np.zeros((2, 3), bool), "bool"),
        (np.full((2, 3), "a"), "numpy dtype <U1 cannot become a tensor"),
        (np.full((2, 3), None), "numpy dtype object"),
        (np.full((2, 3), 1e300), "6 of 6 input values are NaN or infinite"),
        (torch.tensor([[1.0, 2.0], [3.0, float("nan")], [float("inf"), 0.0]]), "2 of 6 .* first in sample 1"),
    ],
)
def test_unusable_inputs_are_named(array, message):
    with pytest.raises(InputError, match=message):
        as_inputs(array)


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64, np.uint64])
@pytest.mark.parametrize("shape", [(3,), (3, 1)])
def test_labels_become_an_int64_vector(dtype, shape):
    labels = as_labels(np.array([2, 0, 1], dtype).reshape(shape), 3)
    assert labels.dtype == torch.int64
    assert labels.tolist() == [2, 0, 1]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.array([0, 1]), r"one label for each of the 3 inputs, got labels of shape \(2,\)"),
        (np.zeros((3, 2), int), r"shape \(3, 2\)"),
        (np.array([0.0, 1.0, 2.0]), r"whole numbers .*float64"),
        (np.array([True, False, True]), r"whole numbers .*bool"),
        (np.array([0, -1, -3]), "from 0, got -3, -1"),
        (np.array(["cat", "dog", "cat"]), "labels of numpy dtype <U3"),
    ],
)
def test_unusable_labels_are_named(labels, message):
    with pytest.raises(InputError, match=message):
        as_labels(labels, 3)


def test_items_are_pairs_with_targets_and_inputs_alone_without():
    images = torch.rand(3, 1, 2, 2)
    image, label = TensorData(images, torch.tensor([4, 5, 6]))[2]
    assert torch.equal(image, images[2])
    assert (label, type(label)) == (6, int)
    assert torch.equal(TensorData(images)[1], images[1])


def test_statistics_match_numpy_channel_by_channel():
    images = torch.rand(20, 3, 5, 4, generator=torch.Generator().manual_seed(0))
    mean, std = channel_statistics(images)
    np.testing.assert_allclose(mean.flatten(), images.numpy().mean(axis=(0, 2, 3)), rtol=1e-5)
    np.testing.assert_allclose(std.flatten(), images.numpy().std(axis=(0, 2, 3)), rtol=1e-5)


def test_a_constant_channel_stays_near_zero():
    images = torch.rand(20, 2, 5, 4)
    images[:, 1] = 0.1
    data = standardise(images, None)
    assert data.images[:, 1].abs().max() < 1e-6
    assert data.images[:, 0].std(correction=0).item() == pytest.approx(1, rel=1e-4)


def test_after_a_split_the_training_part_alone_standardises():
    train, held_out = split(load("digits:8"), 0.2)
    assert train.images.mean((0, 2, 3)).abs().max() < 1e-5
    assert torch.allclose(train.images.std((0, 2, 3), correction=0), torch.ones(3), atol=1e-5)
    assert held_out.images.mean((0, 2, 3)).abs().max() > 1e-4
    assert len(train) + len(held_out) == 1797


def test_parts_know_the_mean_and_deviation_that_their_images_had():
    raw = torch.rand(20, 2, 4, 4) * 3 + 1
    train, held_out = split(standardise(raw.clone(), torch.arange(20) % 2), 0.25)
    restored = torch.cat([part.images * part.std + part.mean for part in (train, held_out)])
    mean, std = channel_statistics(train.images * train.std + train.mean)
    assert torch.allclose(restored.flatten(1).sum(1).sort().values, raw.flatten(1).sum(1).sort().values, atol=1e-3)
    assert torch.allclose(mean, train.mean, atol=1e-5) and torch.allclose(std, train.std, atol=1e-5)
    assert torch.equal(train.mean, held_out.mean) and torch.equal(train.std, held_out.std)
    assert standardise_alike(train, held_out)[1] is held_out
    _, other = standardise_alike(train, standardise(raw.clone(), None))
    assert torch.allclose(other.images, (raw - train.mean) / train.std, atol=1e-5)


@pytest.mark.parametrize(
    ("given", "dtype", "shape"),
    [
        (np.array([3, 1]), torch.int64, (2,)),
        (np.array([[3], [1]], np.uint8), torch.int64, (2,)),
        (np.array([True, False]), torch.int64, (2,)),
        (np.zeros((2, 4, 4), np.uint8), torch.int64, (2, 4, 4)),
        (np.array([[True, False], [True, True]]), torch.bool, (2, 2)),
        (np.array([0.5, 1.5]), torch.float32, (2,)),
        (torch.rand(2, 6).double(), torch.float32, (2, 6)),
    ],
)
def test_targets_of_any_task(given, dtype, shape):
    targets = as_targets(given, 2)
    assert targets.dtype == dtype and targets.shape == shape
    sample = TensorData(torch.zeros(2, 3), targets)[1][1]
    assert isinstance(sample, int) if shape == (2,) and dtype == torch.int64 else sample.shape == shape[1:]


def test_targets_that_no_task_takes_are_refused():
    for wrong, reason in [
        (np.array([0.5, np.inf]), "1 of 2 target values are NaN or infinite"),
        (np.zeros((3, 2)), "expected one target for each of the 2 inputs"),
        (np.array([1j, 2]), "targets must be real"),
    ]:
        with pytest.raises(InputError, match=reason):
            as_targets(wrong, 2)


def test_several_inputs_are_one_sample():
    data = load(((torch.rand(6, 3), torch.arange(6)), torch.rand(6)))
    (row, number), target = data[4]
    assert row.shape == (3,) and int(number) == 4 and target.shape == ()
    named = load(({"x": torch.rand(6, 3), "mask": torch.ones(6, 2)}, torch.arange(6)))
    assert sorted(named[0][0]) == ["mask", "x"]
    with pytest.raises(InputError, match="same number of samples"):
        load(((torch.rand(6, 3), torch.rand(5, 3)), torch.rand(6)))
