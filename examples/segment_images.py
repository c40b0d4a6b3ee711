"""From images with masks to a network that segments them, in a space of one's own."""

import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import nn

from zerocost.spaces import Choose


def segmenter(choose: Choose) -> nn.Module:
    """Convolutions at half the resolution, and logits of two classes for each pixel."""
    width, kernel = choose.int("width", 8, 32, step=8), choose.one_of("kernel", [3, 5])
    activation = {"relu": nn.ReLU, "silu": nn.SiLU}[choose.one_of("activation", ["relu", "silu"])]
    layers: list[nn.Module] = [nn.Conv2d(3, width, 4, stride=2, padding=1), activation()]
    for _ in range(choose.int("depth", 1, 4)):
        layers += [nn.Conv2d(width, width, kernel, padding=kernel // 2), nn.BatchNorm2d(width), activation()]
    return nn.Sequential(*layers, nn.ConvTranspose2d(width, 2, 4, stride=2, padding=1))


def write_pictures(folder: Path, count: int) -> None:
    """Noisy images of discs and squares, where the discs are the masks."""
    rng = np.random.default_rng(0)
    for name in ("images", "masks"):
        (folder / name).mkdir()
    for i in range(count):
        image = Image.fromarray(rng.integers(0, 120, (24, 24, 3), dtype=np.uint8))
        mask = Image.new("L", image.size)
        for disc in (True, False, True):
            x, y, size = rng.integers([0, 0, 5], [17, 17, 9]).tolist()
            for drawn, ink in ((image, (200, 160, 120)), (mask, 255 * disc)):
                draw = ImageDraw.Draw(drawn)
                (draw.ellipse if disc else draw.rectangle)((x, y, x + size, y + size), ink)
        image.save(folder / "images" / f"{i}.png")
        mask.save(folder / "masks" / f"{i}.png")


if __name__ == "__main__":
    import zerocost as zc

    with tempfile.TemporaryDirectory() as folder:
        write_pictures(Path(folder), 100)

        settings = {"candidates": 10, "keep": 2, "epochs": 4, "workdir": f"{folder}/trainings"}
        found = zc.search(segmenter, f"masks:{folder}:24", **settings)
        for title, runs in (("survivors", found.survivors), ("random picks", found.random)):
            print(f"{title:<13}{found.metric_name}:", *(f"{run.metric:.3f}" for run in runs))
        found.export(f"{folder}/disc_network", space=f"{__file__}:segmenter")

        sys.path.append(folder)  # from here on as on another machine, without zerocost
        from disc_network import network

        image, mask = (np.asarray(Image.open(Path(folder, kind, "0.png"))) for kind in ("images", "masks"))
        right = network.load()(network.prepare(torch.tensor(image)[None]))[0].argmax(0).numpy() == (mask == 255)
        print(f"\n{found.best}\nis right on {100 * right.mean():.0f} % of the pixels of the first image")
