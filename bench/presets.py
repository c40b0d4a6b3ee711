"""The cheapest fidelity of each space that ranks as full size does: what `zerocost.base.fidelity.PRESETS` holds.

    python bench/presets.py npz:IMAGES.npz [--spaces cnn,gpt] [--keep FOLDER] [--workers 2] [--whole]

Each space is calibrated with the score that a search has by default: the cheapest of the fidelities below, and of sets
of passes, whose whole 95 % interval of Kendall's τ with full size lies above .75, on up to 64 networks, and measured on
up to 64 others, until the interval is narrower than .2. Images of CIFAR-10 for spaces of convolutions, 64 token ids
drawn at random for decoders and encoders, noise of 224 pixels for vision transformers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import torch
import typer

import zerocost as zc
from zerocost.base.fidelity import PRESETS
from zerocost.base.format import percent
from zerocost.tuning import fidelity as tuning
from zerocost.tuning.part_sets import part_sets

_NARROW = (
    "width=0.25,resolution=8,batch=16",
    "width=0.25,resolution=16,batch=16",
    "width=0.5,resolution=16,batch=16",
    "width=0.5,resolution=16,batch=32",
    "width=0.5,batch=16",
    "width=0.5,batch=32",
    "width=0.5",
)
_SHALLOW = (
    "width=0.25,depth=0.2,resolution=8,batch=16",
    "width=0.5,depth=0.2,resolution=8,batch=16",
    "width=0.5,depth=0.2,resolution=16,batch=32",
    "width=0.5,depth=0.4,resolution=16,batch=32",
)
_TEXT = ("width=0.25,depth=0.5,batch=8", "width=0.25,batch=8", "width=0.5,batch=8", "width=0.5,batch=16")
_VISION = (
    "width=0.25,resolution=64,batch=8",
    "width=0.25,resolution=64",
    "width=0.5,resolution=64",
    "width=0.5,resolution=112",
    "width=0.5",
)
_OF_IMAGES = {
    **dict.fromkeys(("nasbench201", "nasbench101", "cnn", "nats_size", "darts"), _NARROW + _SHALLOW),
    **dict.fromkeys(("macro", "transnas_micro", "transnas_macro"), _NARROW),
}
_OTHERS: dict[str, dict[str, Any]] = {
    "gpt": {"data": "tokens:64:512:next", "task": "next_token", "batch": 16, "fidelities": _TEXT},
    "bert": {"data": "tokens:64:512:2", "batch": 32, "fidelities": _TEXT},
    "vit": {"data": "noise:3x224x224:100", "batch": 16, "fidelities": _VISION},
    "pit": {"data": "noise:3x224x224:100", "batch": 16, "fidelities": _VISION},
}


def main(
    images: str,
    spaces: Annotated[str, typer.Option(help="Which; all take hours.")] = ",".join(PRESETS),
    keep: Annotated[Path | None, typer.Option(help="A folder to keep scores in.")] = None,
    workers: int = 2,
    whole: Annotated[bool, typer.Option("--whole", help="All parts of the default together, no fewer.")] = False,
) -> None:
    torch.set_num_threads(1)
    if whole:
        tuning.part_sets = lambda combination, samples: [
            one for one in part_sets(combination, samples) if one.combination == combination
        ]
    print("| space | fidelity | ranked by | τ | 95 % interval | networks | cost | τ of each proxy with itself |")
    print("|---" * 8 + "|")
    for name in spaces.split(","):
        given = _OTHERS.get(name) or {"data": images, "fidelities": _OF_IMAGES[name]}
        place = None if keep is None else keep / f"{name}.db"
        found = zc.fidelity.calibrate(
            name, kendall=0.75, interval=0.2, networks=64, store=place, workers=workers, progress=False, **given
        )
        parts = ", ".join(f"`{proxy}` {tau:.2f}" for proxy, tau in found.parts.items())
        cells = f"{found.kendall:.2f} | {found.low:.2f} to {found.high:.2f} | {found.networks} | {percent(found.cost)}"
        ranked = ", ".join(f"`{proxy}`" for proxy in found.proxies)
        print(f"| `{name}` | `{found.fidelity}` | {ranked} | {cells} | {parts} |", flush=True)


if __name__ == "__main__":
    typer.run(main)
