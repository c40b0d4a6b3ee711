"""From images with several labels each to a network that gives them: a folder of images and a CSV of 0 and 1."""

import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image, ImageDraw

import zerocost as zc


def picture(labels: list[int], rng: np.random.Generator) -> Image.Image:
    """A noisy image with a disc, a square, a line, or several of them."""
    image = Image.fromarray(rng.integers(0, 120, (16, 16, 3), dtype=np.uint8))
    draw, ink = ImageDraw.Draw(image), (200, 200, 200)
    for shape, there in zip((draw.ellipse, draw.rectangle, draw.line), labels, strict=True):
        x, y = rng.integers(0, 9, 2).tolist()
        if there:
            shape((x, y, x + 7, y + 7), ink)
    return image


rng = np.random.default_rng(0)
labels = rng.integers(0, 2, (160, 3))
with tempfile.TemporaryDirectory() as folder:
    for i, row in enumerate(labels):
        picture(row.tolist(), rng).save(f"{folder}/{i}.png")
    table = pd.DataFrame(labels, columns=["disc", "square", "line"], index=[f"{i}.png" for i in range(len(labels))])
    table.to_csv(f"{folder}/labels.csv", index_label="file")

    settings = {"candidates": 10, "keep": 2, "epochs": 4, "workdir": f"{folder}/trainings"}
    found = zc.search("cnn", f"labels:{folder}/labels.csv:16", **settings)
    for title, runs in (("survivors", found.survivors), ("random picks", found.random)):
        print(f"{title:<13}{found.metric_name}:", *(f"{run.metric:.3f}" for run in runs))
    found.export(f"{folder}/shape_network")

    sys.path.append(folder)  # from here on as on another machine, without zerocost
    from shape_network import network

    images = torch.tensor(np.stack([Image.open(Path(folder, f"{i}.png")) for i in range(3)]))
    likely = network.load()(network.prepare(images)).sigmoid() > 0.5
    print(f"\n{found.best}\nfinds", likely.int().tolist(), "where there is", labels[:3].tolist())
