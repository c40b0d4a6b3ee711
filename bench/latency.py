"""Latency by a table of layers against latency measured, and fronts by measured latency against fronts by FLOPs.

    python bench/latency.py table
    python bench/latency.py front [--space macro --data npz:IMAGES.npz]

`table` records a table of layers on random networks of the space `cnn` (`zerocost latency record`) and predicts others
that were held out. These are measured twice, in two rounds, so that it can be seen how far a measurement is off itself.

`front` searches a space with the objectives score and latency, measured by onnxruntime, and again with score and FLOPs.
What is on either front is then measured anew, both fronts mixed, in several rounds, of which the median counts, so that
no front gains by lucky measurements. The score compares all that either search scored. The hypervolume is that in score
and logarithm of latency; its reference point is the worst of both fronts.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import numpy as np
import pandas as pd
import torch
import typer
from rich.console import Console
from rich.progress import track
from scipy.stats import spearmanr

import zerocost as zc
from nasbench201_scores import mean_with_interval
from zerocost.combine import as_combination
from zerocost.search.fit_space import fit_space
from zerocost.search.latency import LatencyMeter
from zerocost.search.latency_sources import latency_meter
from zerocost.search.latency_table import record_table
from zerocost.search.sizes import build_network, size_costs
from zerocost.spaces import SearchSpace
from zerocost.statistics.pareto import hypervolume

ERR = Console(stderr=True)
app = typer.Typer(add_completion=False)
By = Annotated[str, typer.Option(help="What measures: torch:THREADS or onnxruntime:THREADS.")]
Images = Annotated[str, typer.Option(help="The images.")]


def measure_rounds(
    space: SearchSpace, names: list[str], image: torch.Tensor, meter: LatencyMeter, rounds: int
) -> pd.DataFrame:
    """Milliseconds of networks, a row each, a column each round; every round measures all of them in another order."""
    rng, found = np.random.default_rng(0), pd.DataFrame(index=names, columns=range(rounds), dtype=float)
    for place in range(rounds):
        for i in track(rng.permutation(len(names)), f"round {place + 1}", console=ERR):
            model = build_network(space, space.parse(names[i]), "cpu")
            found.iloc[i, place] = meter.measure(model, image).median
    return found


def off(predicted: pd.Series[float], measured: pd.Series[float]) -> str:
    """Spearman's correlation, and the median and largest relative error."""
    relative = (predicted / measured - 1).abs()
    rho = float(spearmanr(predicted, measured).statistic)
    return f"{rho:.3f} | {100 * relative.median():.1f} % | {100 * relative.max():.1f} %"


@app.command()
def table(
    by: By = "onnxruntime:1",
    data: Images = "noise:3x32x32",
    networks: Annotated[int, typer.Option(min=3, help="Networks that the table is recorded on.")] = 30,
    held_out: Annotated[int, typer.Option(min=3, help="Networks that it predicts.")] = 50,
    seconds: Annotated[float, typer.Option(help="The longest that one measurement takes.")] = 0.3,
) -> None:
    """Spearman's correlation and relative errors on networks that were held out, Markdown."""
    torch.set_num_threads(1)
    space, meter = zc.spaces.get("cnn"), latency_meter(by, seconds=seconds)
    image = zc.data.draw(zc.data.load(data), 1, seed=0).inputs
    recorded = record_table(space, image, meter, networks=networks, held_out=held_out)
    rng = np.random.default_rng(0)
    draws = dict.fromkeys(space.sample(rng) for _ in range(20 * (networks + held_out)))
    archs = list(draws)[networks : networks + held_out]
    rounds = measure_rounds(space, list(map(str, archs)), image, meter, 2)
    measured, sizes = rounds.mean(axis=1), size_costs(space, image)
    predicted = [recorded.predict(build_network(space, arch, "cpu"), image) for arch in archs]
    print(f"{meter.conditions}; {len(recorded.layers)} layers; {measured.min():.3f} to {measured.max():.3f} ms\n")
    print(f"| {held_out} held-out networks | Spearman | median error | largest error |\n|---|---|---|---|")
    print(f"| table of layers | {off(pd.Series(predicted, rounds.index), measured)} |")
    print(f"| one measurement, against another | {off(rounds[0], rounds[1])} |")
    for name in ("flops", "params"):
        found = [float(sizes[name](arch)) for arch in archs]
        print(f"| {name} | {float(spearmanr(found, measured).statistic):.3f} | | |")


def search_front(space: SearchSpace, data: str, cost: str, meter: LatencyMeter, settings: dict[str, Any]) -> Any:
    """A search for the front of the score and a cost."""
    return zc.search(
        *(space, data),
        objectives=f"score,{cost}",
        latency=lambda model, sample: meter.measure(model, sample).median,
        keep=1,
        epochs=0,
        batch=32,
        **settings,
    )


@app.command()
def front(
    searched: Annotated[str, typer.Option("--space", help="The space to search.")] = "cnn",
    by: By = "onnxruntime:1",
    data: Images = "digits:16",
    proxies: Annotated[str, typer.Option(help="What the score combines.")] = "jacob_cov,log_synflow",
    strategy: Annotated[str, typer.Option(help="What proposes; of `random` both searches see the same.")] = "random",
    candidates: Annotated[int, typer.Option(min=10, help="Architectures that each search scores.")] = 60,
    seeds: Annotated[int, typer.Option(min=2, help="Searches by each cost.")] = 5,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds in which the fronts are measured anew.")] = 3,
) -> None:
    """The hypervolume of the fronts by latency and by FLOPs, and their ratio, Markdown."""
    torch.set_num_threads(1)
    source, meter, score_by = zc.data.load(data), latency_meter(by, seconds=0.3), as_combination(proxies)
    space, image = fit_space(searched, source)[0], zc.data.draw(source, 1, seed=0).inputs
    found: dict[str, list[float]] = {"latency": [], "flops": [], "ratio": []}
    for seed in range(seeds):
        settings = {"proxies": proxies, "candidates": candidates, "seed": seed, "strategy": strategy}
        with TemporaryDirectory() as folder:
            settings["store"] = Path(folder) / "scores.db"
            results = {cost: search_front(space, data, cost, meter, settings) for cost in ("latency", "flops")}
        scored = pd.concat([result.table.frame[list(score_by.proxies)] for result in results.values()])
        score = score_by(scored[~scored.index.duplicated()]).replace(-np.inf, np.nan)
        names = sorted({name for result in results.values() for name in result.front})
        measured = measure_rounds(space, names, image, meter, rounds).median(axis=1)
        points = pd.DataFrame({"score": score[names], "latency": -np.log10(measured)}).dropna()
        worst = points.min().to_numpy()
        volumes = {
            cost: hypervolume(points.loc[points.index.intersection(result.front)], worst)
            for cost, result in results.items()
        }
        found["latency"].append(volumes["latency"])
        found["flops"].append(volumes["flops"])
        found["ratio"].append(volumes["latency"] / volumes["flops"])
        ERR.print(f"seed {seed}: {volumes}, fronts of {[len(result.front) for result in results.values()]}")
    print(f"{searched}; {meter.conditions}; {strategy}, {candidates} candidates each, {seeds} seeds, 95 % intervals\n")
    print("| front by | hypervolume |\n|---|---|")
    for cost in ("latency", "flops"):
        print(f"| {cost} | {mean_with_interval(found[cost], 3)} |")
    print(f"| ratio | {mean_with_interval(found['ratio'], 3)} |")


if __name__ == "__main__":
    app()
