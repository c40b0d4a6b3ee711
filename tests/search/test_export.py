from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import zerocost as zc
from zerocost import spaces
from zerocost.base.errors import Failure, InputError
from zerocost.base.user_code import load_object
from zerocost.scoring.candidates import initialise
from zerocost.search.export import check_export, export
from zerocost.search.origin import Origin

OWN = """
from pathlib import Path
from torch import nn

def net(choose):
    width = choose.int("width", 8, 64, step=8)
    return nn.Sequential(nn.Flatten(), nn.Linear(192, width), nn.ReLU(), nn.Linear(width, 10))

def flat():
    return nn.Sequential(nn.Flatten(), nn.Linear(192, 10))

def reads():
    return nn.Sequential(nn.Flatten(), nn.Linear(192, int((Path(__file__).parent / "width.txt").read_text())))

def draws():
    import random
    return nn.Sequential(nn.Flatten(), nn.Softplus(1 + random.random()), nn.Linear(192, 2))

number = 3
"""
IMAGES = torch.rand(5, 3, 8, 8)


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A file of one's own."""
    file = tmp_path / "project" / "mine.py"
    file.parent.mkdir()
    file.write_text(OWN)
    (file.parent / "width.txt").write_text("3")
    return file


def network(file: Path, name: str) -> nn.Module:
    return initialise(load_object(f"{file}:{name}"))


def of_width(file: Path, width: int) -> nn.Module:
    space = spaces.from_function(load_object(f"{file}:net"))
    return initialise(lambda: space.build(space.parse(f"width={width}")))


def test_a_search_of_a_shipped_space_is_exported_with_all_that_is_known(tmp_path: Path) -> None:
    small = {"candidates": 4, "keep": 1, "epochs": 1, "proxies": "snip", "seed": 5}
    found = zc.search("cnn", "digits-hard", workdir=tmp_path / "trained", **small)
    files = found.export(tmp_path / "best")
    assert sorted(path.name for path in (tmp_path / "best").iterdir()) == [
        "README.txt",
        "best.pt",
        "best.safetensors",
        "network.py",
        "settings.json",
        "source",
    ]
    assert {path.name for path in files.values()} == {path.name for path in (tmp_path / "best").iterdir()} - {"source"}

    said = json.loads(files["settings"].read_text())
    assert said["architecture"] == found.best
    assert said["source"]["sizes"] == {"classes": 10, "in_channels": 3, "resolution": 8}
    assert said["scores"] == found.table.cards[str(found.best)].scores
    assert said["training"]["metric"] == found.survivors[0].metric
    assert {"learning_rate", "batch_size", "loss"} <= said["training"]["settings"].keys()
    assert said["search"]["data"] == "digits-hard"
    assert said["inputs"]["shape"] == ["N", 3, 8, 8]
    assert 0 < said["inputs"]["mean"][0] < 1
    readme = files["readme"].read_text().splitlines()
    assert len(readme) == 5
    assert "from best.network import load, prepare" in readme[1]

    state = torch.load(str(found.survivors[0].checkpoint), weights_only=True)
    loaded = load_object(f"{files['network']}:load")().state_dict()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in state.items())


def test_a_space_that_is_given_is_exported_too(tmp_path: Path) -> None:
    space = spaces.get("mlp", features=4, outputs=3)
    data = torch.rand(60, 4), torch.arange(60) % 3
    small = {"candidates": 3, "keep": 1, "epochs": 1, "proxies": "snip", "batch": 16}
    found = zc.search(space, data, workdir=tmp_path / "trained", **small)
    files = found.export(tmp_path / "best")
    assert load_object(f"{files['network']}:load")()(torch.rand(2, 4)).shape == (2, 3)


def test_a_network_of_unknown_source_is_weights_alone(tmp_path: Path) -> None:
    written = export(nn.Linear(4, 2), torch.rand(3, 4), tmp_path / "out")
    assert {path.name for path in written.values()} == {"best.pt", "best.safetensors", "settings.json", "README.txt"}
    assert "load_state_dict" in written["readme"].read_text()


def test_raw_inputs_are_prepared(tmp_path: Path, own: Path) -> None:
    image = {"shape": ["N", 3, 8, 8], "dtype": "float32", "mean": [0.1, 0.2, 0.3], "std": [1.0, 2.0, 4.0]}
    tokens = {"shape": ["N", 5], "dtype": "int64"}
    rng = np.random.default_rng(0)
    pixels, ids = rng.integers(0, 256, (5, 8, 8, 3), np.uint8), rng.integers(0, 9, (5, 5), np.int32)
    expected = np.moveaxis((pixels / 255 - [0.1, 0.2, 0.3]) / [1, 2, 4], 3, 1)

    def prepare(kind: Any, raw: Any) -> Any:
        settings = {"inputs": kind}
        files = export(network(own, "flat"), IMAGES, tmp_path / "out", origin=Origin(f"{own}:flat"), settings=settings)
        return load_object(f"{files['network']}:prepare")(raw)

    for raw in (pixels, np.moveaxis(pixels, 3, 1), np.moveaxis(pixels, 3, 1) / 255):
        found = prepare(image, raw)
        assert found.dtype == torch.float32
        assert np.allclose(found, expected, atol=1e-6)
    assert "model(prepare(inputs))" in (tmp_path / "out" / "README.txt").read_text()
    first, second = prepare([image, tokens], (pixels, ids))
    assert first.shape == (5, 3, 8, 8)
    assert second.dtype == torch.int64
    assert second.tolist() == ids.tolist()
    assert "model(*prepare(inputs))" in (tmp_path / "out" / "README.txt").read_text()
    named = prepare({"image": image, "ids": tokens}, {"ids": ids, "image": pixels})
    assert "model(**prepare(inputs))" in (tmp_path / "out" / "README.txt").read_text()
    assert torch.equal(named["image"], first)
    assert torch.equal(named["ids"], second)


def test_an_export_replaces_an_export_and_no_other_files(tmp_path: Path, own: Path) -> None:
    with pytest.raises(InputError, match=r"has a settings\.json of its own"):
        (tmp_path / "settings.json").write_text("{}")
        export(nn.Linear(4, 2), torch.rand(1, 4), tmp_path)
    with pytest.raises(InputError, match="cannot write"):
        check_export(own)
    place = tmp_path / "out"
    for width in (8, 16):
        files = export(of_width(own, width), IMAGES, place, origin=Origin(f"{own}:net", f"width={width}"))
        assert load_object(f"{files['network']}:build")()[1].out_features == width


def test_two_exports_of_files_of_the_same_name_live_side_by_side(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads = []
    for width in (2, 3):
        file = tmp_path / str(width) / "mine.py"
        file.parent.mkdir()
        (file.parent / "beside.py").write_text(f"WIDTH = {width}\n")
        file.write_text("from torch import nn\nimport beside\n\ndef net():\n    return nn.Linear(4, beside.WIDTH)\n")
        monkeypatch.delitem(sys.modules, "beside", raising=False)
        export(network(file, "net"), torch.rand(1, 4), tmp_path / f"out{width}", origin=Origin(f"{file}:net"))
        loads.append(load_object(f"{tmp_path}/out{width}/network.py:load"))
    assert [load().out_features for load in loads] == [2, 3]


def test_a_source_that_does_not_give_the_network_is_said(tmp_path: Path, own: Path) -> None:
    with pytest.raises(Failure, match=r"does not build it in another folder: FileNotFoundError.*width\.txt"):
        export(network(own, "reads"), IMAGES, tmp_path / "a", origin=Origin(f"{own}:reads"))
    with pytest.raises(Failure, match="builds one of other outputs"):
        export(network(own, "draws"), IMAGES, tmp_path / "b", origin=Origin(f"{own}:draws"))
    assert (tmp_path / "b" / "best.pt").exists()


def test_a_file_that_needs_zerocost_says_so(tmp_path: Path, own: Path) -> None:
    own.write_text(f"import zerocost\n{OWN}")
    files = export(of_width(own, 8), IMAGES, tmp_path / "out", origin=Origin(f"{own}:net", "width=8"))
    assert f"zerocost (made with {zc.__version__})" in files["readme"].read_text()


@pytest.mark.parametrize(
    ("origin", "message"),
    [
        (Origin("cn", "depth=2"), "unknown space 'cn'"),
        (Origin("nats_size", "8"), "an architecture of space nats_size"),
        (Origin("cnn"), "say which architecture"),
    ],
)
def test_what_cannot_be_exported_is_said_before_anything_is_written(
    tmp_path: Path, origin: Origin, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        export(nn.Linear(4, 2), torch.rand(1, 4), tmp_path / "out", origin=origin)
    with pytest.raises(InputError, match="did you mean 'onnx'"):
        export(nn.Linear(4, 2), torch.rand(1, 4), tmp_path / "out", ["onx"])
    assert not (tmp_path / "out").exists()


def test_what_is_no_space_is_said(tmp_path: Path, own: Path) -> None:
    with pytest.raises(InputError, match="expected a SearchSpace or a function"):
        export(nn.Linear(4, 2), torch.rand(1, 4), tmp_path / "out", origin=Origin(f"{own}:number", "width=8"))
