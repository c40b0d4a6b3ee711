from __future__ import annotations

import io
import pickle
import tarfile

import numpy as np
import pytest

from data.handmade import Evil, python2_pickle
from zerocost.base.errors import InputError
from zerocost.data import cifar, load
from zerocost.data.cifar import CIFAR10, CIFAR100, load_cifar

LAYOUTS = {"cifar10": CIFAR10, "cifar100": CIFAR100}
ROWS = 4  # of each file


def images_and_labels(layout, part):
    count = ROWS * len(layout.files[part])
    rng = np.random.default_rng(len(part) + layout.classes)
    return rng.integers(0, 256, (count, 3072), dtype=np.uint8), rng.integers(0, layout.classes, count)


def contents(layout, form):
    """The bytes of all official files of a data set, by name, in one of its two forms."""
    files = {}
    for part, names in layout.files.items():
        pixels, labels = images_and_labels(layout, part)
        for number, name in enumerate(names):
            rows = slice(number * ROWS, (number + 1) * ROWS)
            if form == "python":
                files[name] = python2_pickle(pixels[rows], labels[rows].tolist(), layout.label_key.encode())
            else:
                coarse = [np.full((ROWS, 1), 255, np.uint8)] * (layout.label_bytes - 1)
                files[f"{name}.bin"] = np.hstack([*coarse, labels[rows, None].astype(np.uint8), pixels[rows]]).tobytes()
    return files


def write(folder, files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, raw in files.items():
        (folder / name).write_bytes(raw)
    return folder


def archive(path, files, folder, kind="w:gz"):
    with tarfile.open(path, kind) as tar:
        for name, raw in files.items():
            member = tarfile.TarInfo(f"{folder}/{name}" if folder else name)
            member.size = len(raw)
            tar.addfile(member, io.BytesIO(raw))
    return path


@pytest.mark.parametrize("place", ["folder", "parent", "archive", "flat archive"])
@pytest.mark.parametrize("form", ["python", "binary"])
@pytest.mark.parametrize("part", ["train", "test"])
@pytest.mark.parametrize("source", LAYOUTS)
def test_official_files_are_read_wherever_they_are(tmp_path, source, part, form, place):
    layout = LAYOUTS[source]
    folder = layout.folders[0 if form == "python" else 1]
    files = contents(layout, form)
    if place == "folder":
        path = write(tmp_path / "renamed", files)
    elif place == "parent":
        path = write(tmp_path / folder, files).parent
    else:
        path = archive(tmp_path / "a.tar.gz", dict(reversed(files.items())), folder if place == "archive" else "")
    data = load(f"{source}{'-test' if part == 'test' else ''}:{path}")
    pixels, labels = images_and_labels(layout, part)
    pixels = pixels.reshape(-1, 3, 32, 32)
    expected = (pixels - pixels.mean((0, 2, 3), keepdims=True)) / pixels.std((0, 2, 3), keepdims=True)
    np.testing.assert_allclose(data.images, expected, atol=1e-5)
    assert data.targets.tolist() == labels.tolist()


def test_files_pickled_again_by_python_3_are_read(tmp_path):
    pixels, labels = images_and_labels(CIFAR100, "train")
    for protocol in (2, 4):
        raw = pickle.dumps({"data": pixels, "fine_labels": labels.tolist()}, protocol)
        write(tmp_path, {"train": raw})
        assert load_cifar(CIFAR100, "train", str(tmp_path)).targets.tolist() == labels.tolist()


def test_missing_files_are_listed_with_the_places_searched(tmp_path):
    files = contents(CIFAR10, "binary")
    del files["data_batch_3.bin"]
    write(tmp_path / "cifar-10-batches-bin", files)
    with pytest.raises(InputError) as error:
        load_cifar(CIFAR10, "train", str(tmp_path))
    message = str(error.value)
    assert "looked for data_batch_1, data_batch_2, data_batch_3, data_batch_4, data_batch_5" in message
    assert f"in {tmp_path}, {tmp_path}/cifar-10-batches-py, {tmp_path}/cifar-10-batches-bin; found" in message
    assert f"{tmp_path}/cifar-10-batches-bin/data_batch_1.bin" in message
    assert "data_batch_3.bin" not in message.partition("found")[2]
    with pytest.raises(InputError, match="found none of them"):
        load_cifar(CIFAR100, "test", str(tmp_path))


def test_files_missing_from_an_archive_are_listed(tmp_path):
    path = archive(tmp_path / "c.tar.gz", {"test": b""}, "cifar-100-python")
    with pytest.raises(InputError, match=r"looked for train, or .* in .*c\.tar\.gz; found none of them"):
        load_cifar(CIFAR100, "train", str(path))


@pytest.mark.parametrize("cut", [-1, 0, 3072])
def test_a_cut_off_binary_file_is_named(tmp_path, cut):
    files = contents(CIFAR10, "binary")
    files["data_batch_2.bin"] = files["data_batch_2.bin"][:cut]
    with pytest.raises(InputError, match=r"data_batch_2\.bin has \d+ bytes, .* CIFAR-10 records of 3073 bytes"):
        load_cifar(CIFAR10, "train", str(write(tmp_path, files)))


def test_a_label_outside_the_classes_is_named(tmp_path):
    files = contents(CIFAR10, "binary")
    files["test_batch.bin"] = b"\x0c" + files["test_batch.bin"][1:]
    with pytest.raises(InputError, match=r"labels outside 0\.\.9 of CIFAR-10: 12"):
        load_cifar(CIFAR10, "test", str(write(tmp_path, files)))


def test_a_malicious_file_is_refused_and_not_run(tmp_path):
    target = tmp_path / "ran"
    write(tmp_path, {"test_batch": pickle.dumps({b"data": Evil(target), b"labels": [0]}, 2)})
    with pytest.raises(InputError, match=r"test_batch is refused: its pickle names (posix|nt)\.system"):
        load_cifar(CIFAR10, "test", str(tmp_path))
    assert not target.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "holds a list, expected the dict of a CIFAR-10 file"),
        (
            {"data": np.zeros((1, 3072), np.uint8), "fine_labels": [0]},
            "a list 'labels', but its keys are data, fine_labels",
        ),
        ({"data": [0], "labels": [0]}, "must hold an array 'data'"),
        (
            {"data": np.zeros((2, 3072), np.uint8), "labels": [0]},
            r"'data' has shape \(2, 3072\) and there are 1 labels",
        ),
        ({"data": np.zeros((1, 100), np.uint8), "labels": [0]}, r"shape \(1, 100\)"),
        ({"data": np.zeros((0, 3072), np.uint8), "labels": []}, "there are 0 labels"),
        ({"data": np.zeros((1, 3072), np.uint8), "labels": ["cat"]}, "a whole-number label for each"),
        ({"data": np.zeros((1, 3072), np.uint8), "labels": [-1]}, "count classes from 0, got -1"),
        ({"data": np.zeros((1, 3072), np.uint8), "labels": [2**80]}, "labels of numpy dtype object"),
    ],
)
def test_a_python_file_of_other_content_is_named(tmp_path, content, message):
    write(tmp_path, {"test_batch": pickle.dumps(content, 4)})
    with pytest.raises(InputError, match=message):
        load_cifar(CIFAR10, "test", str(tmp_path))


def test_odd_members_of_an_archive_are_passed_over(tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(contents(CIFAR10, "python")["test_batch"])
    path = tmp_path / "odd.tar"
    with tarfile.open(path, "w") as tar:
        for kind, link in ((tarfile.SYMTYPE, str(secret)), (tarfile.LNKTYPE, "../secret"), (tarfile.FIFOTYPE, "")):
            member = tarfile.TarInfo("cifar-10-batches-py/test_batch")
            member.type, member.linkname = kind, link
            tar.addfile(member)
        tar.addfile(tarfile.TarInfo("elsewhere/test_batch"))
    with pytest.raises(InputError, match="found none of them"):
        load_cifar(CIFAR10, "test", str(path))
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["odd.tar", "secret"]


def test_an_oversized_member_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(cifar, "LARGEST", 100)
    path = archive(tmp_path / "big.tar.gz", {"test_batch": bytes(101)}, "cifar-10-batches-py")
    with pytest.raises(InputError, match=r"test_batch in .*big\.tar\.gz has 101 bytes, more than any CIFAR file"):
        load_cifar(CIFAR10, "test", str(path))


def test_a_damaged_archive_is_named(tmp_path):
    path = archive(tmp_path / "cut.tar.gz", contents(CIFAR10, "python"), "cifar-10-batches-py")
    whole = path.read_bytes()
    for raw in (whole[: len(whole) // 2], b"", b"no archive", whole[:100] + bytes(100) + whole[200:]):
        path.write_bytes(raw)
        with pytest.raises(InputError, match=r"cut\.tar\.gz is neither a folder nor a readable"):
            load_cifar(CIFAR10, "train", str(path))


def test_it_names_the_source_when_there_is_no_path():
    with pytest.raises(InputError, match="write cifar100-test:PATH"):
        load_cifar(CIFAR100, "test", "")
