"""Exports are loaded in a process that cannot import zerocost."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from zerocost import spaces
from zerocost.base.user_code import load_object
from zerocost.scoring.candidates import initialise
from zerocost.search.export import export
from zerocost.search.origin import Origin, own_space

OWN = '''
from helpers.blocks import hidden
from torch import nn

def net(choose, fidelity):
    """A perceptron whose hidden layers are made by another file."""
    width = fidelity.channels(choose.int("width", 8, 64, step=8))
    layers = [nn.Flatten(), *hidden(192, width, choose.one_of("norm", ["none", "layer"]))]
    if choose.bool("dropout"):
        layers.append(nn.Dropout(choose.one_of("rate", [0.1, 0.5])))
    return nn.Sequential(*layers, nn.Linear(width, 10))

def fixed():
    return net(type("Answers", (), {"int": lambda *_, **__: 24, "one_of": lambda *_: "layer", "bool": lambda *_: 0})(),
               type("Full", (), {"channels": lambda _, full: full})())
'''
BLOCKS = """
from .norms import NORMS
from torch import nn

def hidden(inputs, width, norm):
    return [nn.Linear(inputs, width), NORMS[norm](width), nn.GELU()]
"""
NORMS = """
from torch import nn

NORMS = {"none": lambda width: nn.Identity(), "layer": nn.LayerNorm}
"""
WITH_FROM_FUNCTION = """
from torch import nn
from zerocost.spaces import from_function

space = from_function(lambda choose: nn.Sequential(nn.Flatten(), nn.Linear(192, choose.int("width", 1, 9))), "small")
"""
LOAD = """
import importlib.abc, json, sys
sys.dont_write_bytecode = True

class Block(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "zerocost":
            raise ImportError("zerocost is blocked")

sys.meta_path.insert(0, Block())
sys.path.insert(0, ".")
import importlib, torch
try:
    import zerocost
    raise SystemExit("zerocost is not blocked")
except ImportError:
    pass
for name in sys.argv[1:]:
    module = importlib.import_module(f"{name}.network")
    before = torch.get_rng_state()
    network = module.load()
    assert torch.equal(before, torch.get_rng_state()) and not network.training
    given = torch.load(f"{name}.inputs", weights_only=True)
    with torch.no_grad():
        given = module.prepare(given)
        outputs = network(*given) if isinstance(given, tuple) else network(given)
        torch.save((outputs, dict(module.build().state_dict())), f"{name}.outputs")
"""
IMAGES = torch.rand(5, 3, 8, 8)


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A file with a space of one's own, which imports others beside it."""
    project = tmp_path / "project"
    (project / "helpers").mkdir(parents=True)
    files = {"it's own.py": OWN, "helpers/__init__.py": "", "helpers/blocks.py": BLOCKS, "helpers/norms.py": NORMS}
    for name, text in (files | {"library.py": WITH_FROM_FUNCTION}).items():
        (project / name).write_text(text)
    return project


def trained(origin: Origin) -> nn.Module:
    """The network of an origin with other weights than its first ones."""
    if origin.architecture is None:
        model = initialise(load_object(origin.space), 3)
    else:
        space = own_space(origin.space) if ":" in origin.space else spaces.get(origin.space, **origin.sizes)
        model = initialise(lambda: space.build(space.parse(str(origin.architecture))), 3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.001)
    return model.eval()


@pytest.mark.usefixtures("one_thread")
def test_networks_load_where_there_is_no_zerocost(tmp_path: Path, own: Path) -> None:
    rng = np.random.default_rng(0)
    mlp = {"features": 4, "outputs": 2, "categories": (3, 2)}
    rows = torch.rand(5, 4), torch.randint(0, 2, (5, 2))
    images = {"classes": 7, "in_channels": 3, "resolution": 8}
    cases: dict[str, tuple[Origin, Any]] = {
        "own": (Origin(f"{own}/it's own.py:net", "width=24,norm=layer,dropout=True,rate=0.5"), IMAGES),
        "fixed": (Origin(f"{own}/it's own.py:fixed"), IMAGES),
        "library": (Origin(f"{own}/library.py:space", "width=4"), IMAGES),
        "mlp": (Origin("mlp", str(spaces.get("mlp", **mlp).sample(rng)), mlp), rows),
        "tcn": (
            Origin("tcn", str(spaces.get("tcn").sample(rng)), dict(spaces.get("tcn").built_for)),
            torch.rand(5, 9, 1),
        ),
    }
    for name in ("cnn", "nasbench201"):
        cases[name] = (Origin(name, str(spaces.get(name, **images).sample(rng)), images), IMAGES)
    models = {}
    for name, (origin, inputs) in cases.items():
        models[name] = trained(origin)
        written = export(models[name], inputs, tmp_path / "there" / name, origin=origin, settings={"seed": 3})
        assert "; zerocost is not needed" in written["readme"].read_text()
        torch.save(inputs, tmp_path / "there" / f"{name}.inputs")
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", LOAD, *cases],
        cwd=tmp_path / "there",
        env={"OMP_NUM_THREADS": "1", "PATH": ""} | {k: v for k, v in os.environ.items() if k.startswith("ATEN_")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    for name, (origin, inputs) in cases.items():
        outputs, initial = torch.load(tmp_path / "there" / f"{name}.outputs", weights_only=True)
        with torch.no_grad():
            expected = models[name](*inputs) if isinstance(inputs, tuple) else models[name](inputs)
            assert outputs.isfinite().all() and torch.equal(outputs, expected), name
        weights = dict(models[name].named_parameters())
        assert all(torch.allclose(initial[key] + 0.001, weights[key]) for key in weights), (name, origin)
