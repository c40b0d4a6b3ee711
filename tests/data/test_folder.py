from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from zerocost.base.errors import InputError
from zerocost.data import draw
from zerocost.data.folder import load_folder


def write(path, colour, size=(32, 32), mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour).save(path)


@pytest.fixture
def pictures(tmp_path):
    """Two classes, three formats, three modes, one nested folder, and files that are no images of a class."""
    write(tmp_path / "dog" / "1.png", (255, 0, 0))
    write(tmp_path / "dog" / "deep" / "2.JPG", (0, 0, 0), size=(50, 40))
    write(tmp_path / "cat" / "b.bmp", 255, mode="L")
    write(tmp_path / "cat" / "a.png", (0, 255, 0, 128), mode="RGBA")
    (tmp_path / "cat" / "notes.txt").write_text("not an image")
    (tmp_path / "cat" / "._a.png").write_bytes(b"metadata")
    (tmp_path / ".cache").mkdir()
    (tmp_path / "labels.csv").write_text("")
    return tmp_path


def test_classes_are_sorted_folders_and_images_rgb_tensors(pictures):
    data = load_folder(str(pictures))
    assert data.classes == ["cat", "dog"]
    assert data.targets.tolist() == [0, 0, 1, 1]
    assert [path.name for path in data.paths] == ["a.png", "b.bmp", "1.png", "2.JPG"]
    images = torch.stack([image for image, _ in data]) * data.std + data.mean
    expected = torch.tensor([[0.0, 1, 0], [1, 1, 1], [1, 0, 0], [0, 0, 0]])
    assert images.shape == (4, 3, 32, 32)
    torch.testing.assert_close(images, expected[:, :, None, None].expand_as(images))
    assert [label for _, label in data] == [0, 0, 1, 1]


@pytest.mark.parametrize(("kind", "white"), [(np.uint8, 255), (np.uint16, 65535), (np.int32, 65535), (np.float32, 1)])
def test_grey_images_of_any_depth_are_read_alike(tmp_path, kind, white):
    (tmp_path / "a").mkdir()
    grey = np.linspace(0, 1, 16).reshape(4, 4)
    Image.fromarray((grey * white).astype(kind)).save(tmp_path / "a" / "1.tiff")
    data = load_folder(f"{tmp_path}:4")
    expected = torch.tensor(grey, dtype=torch.float32).expand(3, 4, 4)
    torch.testing.assert_close(data[0][0] * data.std + data.mean, expected, atol=0.005, rtol=0)


def test_images_are_standardised_by_their_own_statistics(pictures):
    images = torch.stack([image for image, _ in load_folder(f"{pictures}:8")])
    assert images.shape == (4, 3, 8, 8)
    torch.testing.assert_close(images.mean(dim=(0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(images.std(dim=(0, 2, 3), correction=0), torch.ones(3), atol=1e-5, rtol=0)


def test_an_image_is_cropped_at_its_centre_not_stretched(tmp_path):
    wide = np.zeros((20, 60, 3), np.uint8)
    wide[:, 20:40] = 255
    (tmp_path / "a").mkdir()
    Image.fromarray(wide).save(tmp_path / "a" / "wide.png")
    data = load_folder(f"{tmp_path}:20")
    torch.testing.assert_close(data[0][0] * data.std + data.mean, torch.ones(3, 20, 20))


def test_a_path_with_a_colon_is_a_path(tmp_path):
    write(tmp_path / "a:b" / "class" / "1.png", (1, 2, 3))
    assert len(load_folder(str(tmp_path / "a:b"))) == 1
    assert load_folder(f"{tmp_path / 'a:b'}:16")[0][0].shape == (3, 16, 16)


def test_a_balanced_batch_opens_only_its_own_images(tmp_path):
    for label in "ab":
        for number in range(3):
            write(tmp_path / label / f"{number}.png", (number, 0, 0))
    batch = draw(f"images:{tmp_path}:4", 4, balanced=True)
    assert batch.targets.bincount().tolist() == [2, 2]


def test_a_damaged_image_is_named(pictures):
    data = load_folder(str(pictures))
    path = pictures / "dog" / "1.png"
    for content in (b"", b"nonsense", path.read_bytes()[:60]):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"1\.png is not a readable image: .*; repair or remove it"):
            data[2]


def test_a_class_without_images_and_folders_without_classes_are_named(tmp_path):
    with pytest.raises(InputError, match="has no folders; expected one folder of images a class"):
        load_folder(str(tmp_path))
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"folder .*empty has no images; expected files ending in \.bmp"):
        load_folder(str(tmp_path))


def test_other_paths_are_refused(tmp_path):
    write(tmp_path / "a" / "1.png", (0, 0, 0))
    with pytest.raises(InputError, match=r"no such file or folder: .*gone"):
        load_folder(f"{tmp_path}/gone:32")
    with pytest.raises(InputError, match="is not a folder"):
        load_folder(f"{tmp_path}/a/1.png")
    with pytest.raises(InputError, match="path is missing; write images:PATH"):
        load_folder("")
    with pytest.raises(InputError, match=r"at least 1 .*got '0'"):
        load_folder(f"{tmp_path}:0")
