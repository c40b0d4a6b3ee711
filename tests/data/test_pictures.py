"""Images with masks, and images with several labels."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from zerocost.base.errors import InputError
from zerocost.data import draw, load, split
from zerocost.data.dataset import declared_task

RNG = np.random.default_rng(0)


def write_images(folder, count=10):
    folder.mkdir(parents=True)
    for i in range(count):
        Image.fromarray(RNG.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(folder / f"{i}.png")


def write_masks(folder, values, count=10):
    folder.mkdir()
    for i in range(count):
        Image.fromarray(RNG.choice(np.array(values, np.uint8), (8, 8))).save(folder / f"{i}.png")


def test_masks_are_class_numbers_and_255_does_not_count(tmp_path):
    write_images(tmp_path / "images")
    write_masks(tmp_path / "masks", [0, 1, 2, 255])
    data = load(f"masks:{tmp_path}:8")
    image, mask = data[3]
    raw = torch.from_numpy(np.array(Image.open(tmp_path / "masks" / "3.png")).astype(np.int64))
    assert image.shape == (3, 8, 8) and torch.equal(mask, raw.where(raw != 255, -100))
    assert declared_task(data) == "segmentation" and draw(data, 4).targets.shape == (4, 8, 8)


def test_black_and_white_masks_have_two_classes(tmp_path):
    write_images(tmp_path / "images")
    write_masks(tmp_path / "masks", [0, 255])
    assert set(load(f"masks:{tmp_path}:8")[0][1].flatten().tolist()) == {0, 1}


def test_masks_of_16_bits_are_read_as_those_of_8(tmp_path):
    write_images(tmp_path / "images", 2)
    (tmp_path / "masks").mkdir()
    mask = RNG.integers(0, 3, (8, 8), dtype=np.uint16)
    mask[0, 0] = 65535
    for i in range(2):
        Image.fromarray(mask).save(tmp_path / "masks" / f"{i}.png")
    wanted = torch.from_numpy(mask.astype(np.int64))
    assert torch.equal(load(f"masks:{tmp_path}:8")[0][1], wanted.where(wanted != 65535, -100))
    Image.fromarray(mask // 65535 * 65535).save(tmp_path / "masks" / "0.png")
    (tmp_path / "masks" / "1.png").unlink()
    (tmp_path / "images" / "1.png").unlink()
    assert load(f"masks:{tmp_path}:8")[0][1].sum() == 1
    Image.fromarray(mask + 1000).save(tmp_path / "masks" / "0.png")
    with pytest.raises(InputError, match=r"0\.png holds 999, 1000, 1001, 1002; expected class .* instances, write"):
        load(f"masks:{tmp_path}:8")


def test_photographs_and_masks_are_turned_upright(tmp_path):
    pixels, turned = RNG.integers(0, 2, (8, 8), dtype=np.uint8), Image.Exif()
    turned[0x0112] = 6  # to be turned by a quarter, clockwise
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
        Image.fromarray(pixels).save(tmp_path / folder / "0.png", exif=turned)
        Image.fromarray(np.rot90(pixels, -1)).save(tmp_path / folder / "1.png")
        Image.fromarray(pixels).save(tmp_path / folder / "2.png", exif=b"Exif\0\0damaged")
    (image, mask), upright, as_saved = load(f"masks:{tmp_path}:8")
    assert torch.equal(image, upright[0]) and torch.equal(mask, upright[1])
    assert as_saved[1].tolist() == pixels.tolist()


def test_the_training_part_standardises_pictures(tmp_path):
    write_images(tmp_path / "images")
    write_masks(tmp_path / "masks", [0, 1])
    train, held_out = split(load(f"masks:{tmp_path}:8"), 0.2)
    pixels = torch.stack([image for image, _ in train])
    assert pixels.mean((0, 2, 3)).abs().max() < 1e-5 and len(held_out) == 2
    assert torch.stack([image for image, _ in held_out]).mean((0, 2, 3)).abs().max() > 1e-4


def test_several_labels_come_from_a_csv(tmp_path):
    write_images(tmp_path / "pictures", 4)
    (tmp_path / "labels.csv").write_text("file,cat,dog\n" + "".join(f"pictures/{i}.png,{i % 2},1\n" for i in range(4)))
    data = load(f"labels:{tmp_path / 'labels.csv'}:8")
    assert data.classes == ["cat", "dog"] and declared_task(data) == "multilabel"
    assert draw(data, 4).targets.sum(0).tolist() == [2, 4]


def test_what_is_missing_is_named(tmp_path):
    write_images(tmp_path / "images", 2)
    with pytest.raises(InputError, match="needs the folders images and masks"):
        load(f"masks:{tmp_path}")
    write_masks(tmp_path / "masks", [0, 1], 1)
    with pytest.raises(InputError, match=r"image 1 has no mask; expected .*masks.1\.png"):
        load(f"masks:{tmp_path}")
    file = tmp_path / "labels.csv"
    for text, reason in [
        ("file,cat\nnone.png,1\n", "no such file: .*none"),
        ("file,cat\nimages/0.png,2\n", "column 'cat' of .* holds 2; expected 0 or 1"),
        ("file\nimages/0.png\n", "has one column"),
    ]:
        file.write_text(text)
        with pytest.raises(InputError, match=reason):
            load(f"labels:{file}")
