"""Are the networks of TransNAS-Bench-101 ranked better with the head and loss of the task that they were trained on?

    python bench/transnas_tasks.py score TRUTHS SCORES --images npz:IMAGES.npz [--n 120]
    python bench/transnas_tasks.py table TRUTHS SCORES

`score` draws networks of both spaces with seed 0 and scores each with seed 0 behind every head, all on the same 16
CIFAR-10 images of 64 × 64 pixels, at half the width, and writes SCORES/SPACE-HEAD.csv. Heads and losses are those of
the benchmark's code, but that what draws images has no discriminator and no tanh at the end, and that objects and
scenes have hard labels. Targets are random ones of the task's kind, as the benchmark's are not at hand; an
autoencoder's are the images. `table` compares Spearman's correlation with the truth of each task behind a classifier of
the images' 10 classes and behind the task's own head. Intervals are percentiles of 1,000 resamples of architectures.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import product
from operator import itemgetter
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import pandas as pd
import torch
import typer
from torch import Tensor, nn

import zerocost as zc
from tables import open_table
from zerocost.base.resize import resize
from zerocost.combine import default
from zerocost.evaluation.evaluate import draw_architectures
from zerocost.run import draw_job_batches
from zerocost.statistics.bootstrap import resampled_places
from zerocost.statistics.ranking import spearman

SPACES = ("transnas_macro", "transnas_micro")
FIDELITY = zc.Fidelity(width=0.5, resolution=64, batch=16)
PROXIES = (*default.proxies, "naswot", "snip", "grad_norm", "fisher")
NEVER = 7
"""More often than any head doubles an image."""
SEGMENTING = ((1024, NEVER), (512, 6), (256, 5), (128, 4), (64, 3), (32, 0), (32, 0))
DRAWING = (
    *((1024, NEVER), (1024, NEVER), (512, 6), (512, NEVER), (256, 5), (128, NEVER), (64, 4), (64, NEVER)),
    *((32, 3), (32, NEVER), (16, 0), (32, NEVER), (16, 0)),
)
"""Layers of a head that gives images: channels, and by how many doublings the image must grow for this one to do it."""

app = typer.Typer(add_completion=False)


def classifier(channels: int, _: int, outputs: int) -> nn.Module:
    """The average of each channel, and a linear layer."""
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, outputs))


def decoder(channels: int, doublings: int, layers: Sequence[tuple[int, int]], outputs: int) -> nn.Module:
    """Convolutions, some of which double the image, each with normalisation and a leaky ReLU."""
    found: list[nn.Module] = []
    for full, least in layers:
        width = FIDELITY.channels(full)
        doubles = doublings >= least
        layer = partial(nn.ConvTranspose2d, output_padding=1) if doubles else nn.Conv2d
        found += [layer(channels, width, 3, 1 + doubles, 1), nn.BatchNorm2d(width), nn.LeakyReLU(0.2)]
        channels = width
    return nn.Sequential(*found, nn.Conv2d(channels, outputs, 3, padding=1))


class Siamese(nn.Module):
    """The same encoder on each of nine tiles, and a classifier of all their features."""

    def __init__(self, encoder: nn.Module, channels: int) -> None:
        super().__init__()
        self.encoder, self.head = encoder, classifier(9 * channels, 0, 1000)

    def forward(self, tiles: Tensor) -> Tensor:
        """Tiles N×9×C×H×W."""
        found: Tensor = self.head(torch.cat([self.encoder(tile) for tile in tiles.unbind(1)], dim=1))
        return found


class Head(NamedTuple):
    """What comes after the features, and what the network is then scored on.

    Attributes:
        make: of channels and how often the image was halved; None for the nine tiles.
        targets: random ones, of the images.
        task: its name.
        loss: another one than the task's.
    """

    make: Callable[[int, int], nn.Module] | None
    targets: Callable[[Tensor], Tensor]
    task: str = "classification"
    loss: Any = None


def classes(count: int, images: Tensor) -> Tensor:
    return torch.randint(count, (len(images),))


DRAWN = partial(decoder, layers=DRAWING, outputs=3)
HEADS = {
    "class_object": Head(partial(classifier, outputs=75), partial(classes, 75)),
    "class_scene": Head(partial(classifier, outputs=47), partial(classes, 47)),
    "room_layout": Head(partial(classifier, outputs=9), lambda images: torch.randn(len(images), 9), "regression"),
    "jigsaw": Head(None, partial(classes, 1000)),
    "segmentsemantic": Head(
        partial(decoder, layers=SEGMENTING, outputs=17),
        lambda images: torch.randint(17, (len(images), *images.shape[2:])),
        "segmentation",
    ),
    "normal": Head(DRAWN, lambda images: torch.rand_like(images) * 2 - 1, "regression", nn.functional.l1_loss),
    "autoencoder": Head(DRAWN, lambda images: images.clamp(-1, 1), "regression", nn.functional.l1_loss),
}
CLASSIFIED = "classification"


def build(space: zc.SearchSpace, text: str, head: Head) -> nn.Module:
    """The network of an architecture behind a head."""
    whole: Any = space.build(space.parse(text), FIDELITY)
    encoder, channels = nn.Sequential(whole.stem, whole.stages), whole.classifier.in_features
    if head.make is None:
        return Siamese(encoder, channels)
    halvings = 2 + sum(module in "34" for module in text.split("-")[1])
    return nn.Sequential(encoder, head.make(channels, halvings))


def tiles(images: Tensor) -> Tensor:
    """Nine tiles of half the height and width of the images, cut from these at twice the size: N×9×C×H×W."""
    doubled, size = nn.functional.interpolate(images, scale_factor=2), images.shape[-1] // 2
    starts = (0, size + size // 2, 3 * size)
    return torch.stack([doubled[:, :, y : y + size, x : x + size] for y, x in product(starts, starts)], dim=1)


@app.command()
def score(
    truths: Path,
    scores: Path,
    images: Annotated[str, typer.Option(help="CIFAR-10 images.")],
    n: Annotated[int, typer.Option(help="Networks of a space.")] = 120,
) -> None:
    """Score networks behind every head."""
    torch.set_num_threads(1)
    scores.mkdir(exist_ok=True)
    ((x, labels, *_),) = draw_job_batches(images, [0], 16, 1, False, zc.Fidelity())[0]
    x = resize(x, FIDELITY.resolution)  # larger than they are, as the benchmark's images are
    heads = {CLASSIFIED: Head(partial(classifier, outputs=10), lambda _: labels)} | HEADS
    for name, (title, head) in product(SPACES, heads.items()):
        file, benchmark = scores / f"{name}-{title}.csv", open_table(name, truths)
        if file.exists():
            continue
        torch.manual_seed(0)
        texts = list(map(str, draw_architectures(benchmark.space, list(benchmark.architectures()), n, 0)))
        networks = {text: partial(build, benchmark.space, text, head) for text in texts}
        batch = (tiles(x) if head.make is None else x, head.targets(x))
        table = zc.rank(networks, batch, PROXIES, batch=len(x), task=head.task, loss=head.loss)
        table.frame.loc[texts, [*PROXIES, "params"]].rename_axis("arch").to_csv(file)
        print(name, title, "failed:", table.failures["proxy"].value_counts().to_dict(), flush=True)


Measured = np.ndarray
"""Spearman's correlation behind the classifier and behind the task's own head, of all networks and of each resample."""


def measure(
    rank: Callable[[pd.DataFrame], pd.Series[float]], frames: list[pd.DataFrame], truth: np.ndarray
) -> Measured:
    """Of what `rank` makes of the scores behind both heads."""
    places = np.concatenate([np.arange(len(truth))[None], *resampled_places(len(truth), 1000, 0)])
    values = [rank(frame).astype(float).fillna(-np.inf).to_numpy() for frame in frames]
    return np.array([spearman(scores[places], truth[places]) for scores in values])


def number(value: float) -> str:
    """Two decimals, without the zero before them."""
    return f"{value:.2f}".replace("0.", ".", 1).replace("-", "−")


def interval(row: np.ndarray) -> str:
    """The first value, and the 95 % interval of the others."""
    low, high = np.percentile(row[1:], (2.5, 97.5))
    return f"{number(row[0])} ({number(low)} to {number(high)})"


@app.command("table")
def print_table(truths: Path, scores: Path) -> None:
    """Print correlations behind both heads: the default's for each task, and of each score the means over tasks."""
    every: dict[str, dict[str, list[Measured]]] = {}
    print("| space | task | default, classifier | own head | difference | with failed ones from the classifier |")
    print("|---|---|---|---|---|---|")
    for name in SPACES:
        benchmark = open_table(name, truths)
        for task in HEADS:
            frames = [pd.read_csv(scores / f"{name}-{head}.csv", index_col="arch") for head in (CLASSIFIED, task)]
            truth = benchmark.truth(**benchmark.default._asdict() | {"metric": task}).loc[frames[0].index].to_numpy()
            first, own = measure(default, frames, truth)
            _, filled = measure(default, [frames[0], frames[1].fillna(frames[0])], truth)
            found = {"**default**": [first, own], "default, failed ones from the classifier": [first, filled]}
            found |= {f"`{part}`": measure(itemgetter(part), frames, truth) for part in (*PROXIES, "params")}
            for way, values in found.items():
                every.setdefault(way, {}).setdefault(name, []).append(np.array(values))
            cells = [number(first[0]), number(own[0]), interval(own - first), interval(filled - first)]
            print("|", " | ".join([name, task, *cells]), "|")
    print("\n| score |" + "".join(f" {name}, classifier | own head | difference |" for name in SPACES))
    print("|---|" + "---|---|---|" * len(SPACES))
    for way, of in every.items():
        cells = []
        for rows in of.values():
            scored = [row for row in rows if np.isfinite(row).all()]
            first, own = np.mean(scored, axis=0)
            tasks = "" if len(scored) == len(rows) else f", {len(scored)} tasks"
            cells += [number(first[0]), number(own[0]), interval(own - first) + tasks]
        print("|", " | ".join([way, *cells]), "|")


if __name__ == "__main__":
    app()
