from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from zerocost.base.errors import InputError
from zerocost.data.npz import load_npz

CIFAR = Path(__file__).parents[2].parent / "shared" / "data" / "cifar10-train-first4000.npz"


def saved(tmp_path, **arrays):
    path = tmp_path / "data.npz"
    np.savez(path, **arrays)
    return str(path)


@pytest.mark.parametrize(("images", "labels"), [("images", "labels"), ("x", "y"), ("x_train", "y_train")])
def test_uint8_images_are_standardised_and_labels_read(tmp_path, images, labels):
    pixels = np.random.default_rng(0).integers(0, 256, (10, 6, 5, 3), dtype=np.uint8)
    targets = np.arange(10).reshape(10, 1)
    data = load_npz(saved(tmp_path, **{images: pixels, labels: targets}))
    expected = (pixels - pixels.mean(axis=(0, 1, 2))) / pixels.std(axis=(0, 1, 2))
    np.testing.assert_allclose(data.images, expected.transpose(0, 3, 1, 2), atol=1e-5)
    assert data.targets.tolist() == list(range(10))


def test_floats_keep_their_values_and_labels_may_be_absent(tmp_path):
    values = np.random.default_rng(0).normal(3, 2, (4, 2, 5, 5))
    data = load_npz(saved(tmp_path, x=values))
    np.testing.assert_array_equal(data.images, values.astype(np.float32))
    assert data.targets is None


def test_masks_are_targets_and_other_arrays_are_named_where_there_are_none(tmp_path, caplog):
    masks = np.arange(32).reshape(2, 4, 4) % 3
    data = load_npz(saved(tmp_path, images=np.ones((2, 3, 4, 4), np.float32), masks=masks))
    assert data.targets.tolist() == masks.tolist() and not caplog.records
    data = load_npz(saved(tmp_path, images=np.ones((2, 3, 4, 4), np.float32), label=np.arange(2)))
    assert data.targets is None
    assert "left out: label (targets of images are named labels or masks)" in caplog.text


def test_compressed_files_are_read(tmp_path):
    np.savez_compressed(tmp_path / "c.npz", x=np.ones((2, 3), np.float32), y=np.array([0, 1]))
    assert load_npz(str(tmp_path / "c.npz"))[1][1] == 1


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (
            {"data": np.zeros(3), "label": np.zeros(3)},
            "has the arrays data, label; expected one pair of images and labels or masks, inputs and targets, x and y",
        ),
        ({}, "has the arrays none"),
        ({"x": np.array([{}, {}])}, "not a readable .npz file of plain arrays: Object arrays cannot be loaded"),
        ({"x": np.zeros((2, 3)), "y": np.zeros(3, int)}, "one label for each of the 2 inputs"),
        ({"x": np.zeros((2, 3)), "y": np.array([0.5, np.nan])}, "1 of 2 target values are NaN"),
        ({"x": np.full((2, 3), np.nan)}, "NaN or infinite"),
        ({"x": np.zeros((0, 8, 8, 3), np.uint8)}, "empty"),
    ],
)
def test_unusable_arrays_are_named(tmp_path, arrays, message):
    with pytest.raises(InputError, match=message):
        load_npz(saved(tmp_path, **arrays))


def test_a_missing_file_and_a_missing_path_are_named(tmp_path):
    with pytest.raises(InputError, match=r"no such file or folder: .*gone\.npz"):
        load_npz(str(tmp_path / "gone.npz"))
    with pytest.raises(InputError, match="path is missing; write npz:PATH"):
        load_npz("")


@pytest.mark.parametrize("cut", [0, 10, 200])
def test_a_damaged_file_is_named(tmp_path, cut):
    path = Path(saved(tmp_path, x=np.zeros((20, 3))))
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(InputError, match=r"data\.npz is not a readable \.npz file"):
        load_npz(str(path))


def test_a_single_array_and_a_folder_are_refused(tmp_path):
    np.save(tmp_path / "one.npy", np.zeros(3))
    with pytest.raises(InputError, match="holds a single array"):
        load_npz(str(tmp_path / "one.npy"))
    with pytest.raises(InputError, match="not a readable"):
        load_npz(str(tmp_path))


@pytest.mark.skipif(not CIFAR.exists(), reason=f"{CIFAR.name} is not beside the repository")
def test_real_cifar_images():
    data = load_npz(str(CIFAR))
    assert data.images.shape == (4000, 3, 32, 32)
    assert data.targets.bincount().min() > 300
    for channel in data.images.unbind(1):
        assert channel.mean().item() == pytest.approx(0, abs=1e-3)
        assert channel.std().item() == pytest.approx(1, abs=1e-3)
    neighbours = torch.stack([data.images[..., 1:].flatten(), data.images[..., :-1].flatten()])
    assert neighbours.corrcoef()[0, 1] > 0.9  # photographs are smooth along a row, not along a wrong axis
