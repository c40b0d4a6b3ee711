"""search(): choose a space, initialise many architectures, score them, filter, train only the survivors."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from zerocost import data as data_
from zerocost.data.balance import class_labels
from zerocost.data.dataset import length
from zerocost.errors import InputError
from zerocost.proxies.registry import Proxy, resolve
from zerocost.scoring import rank_batch
from zerocost.seeding import Builder
from zerocost.select import proxies_in, select
from zerocost.spaces import FULL, Fidelity, SearchSpace, distinct, from_function, resize
from zerocost.spaces import get as get_space
from zerocost.tables import Interrupted as RankingInterrupted
from zerocost.tables import ScoreTable
from zerocost.train.run import Interrupted as TrainingInterrupted
from zerocost.train.run import Run
from zerocost.version import VERSION

PROXIES = ("jacob_cov", "log_synflow")


@dataclass(frozen=True)
class Stage:
    """One stage of a search: how many came out of it and how long it took."""

    name: str
    count: int
    seconds: float
    detail: str


@dataclass
class SearchResult:
    """What a search did and found; a search that was interrupted has what was done until then.

    Attributes:
        space: name of the search space.
        table: every scored architecture; its index is the architecture's exact text.
        kept: the survivors, best score first; `kept.dropped` says why each other one was dropped.
        survivors: training runs of the survivors, one for each of them and each training seed.
        random: training runs of as many architectures drawn at random, anew for each training seed.
        stages: what each stage produced and cost.
        settings: everything that the result depends on.
    """

    space: str
    table: ScoreTable
    kept: ScoreTable
    survivors: list[Run] = field(default_factory=list)
    random: list[Run] = field(default_factory=list)
    stages: list[Stage] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def best(self) -> str | None:
        """The survivor of the highest mean validation accuracy over its training seeds; None before training."""
        accuracies: dict[str, list[float]] = {}
        for run in self.survivors:
            if run.accuracy is not None and run.failure is None:
                accuracies.setdefault(run.name, []).append(run.accuracy)
        return max(accuracies, key=lambda name: float(np.mean(accuracies[name])), default=None)


class SearchInterrupted(KeyboardInterrupt):
    """Ctrl-C during a search; `result` holds what was done until then."""

    def __init__(self, result: SearchResult) -> None:
        super().__init__(f"interrupted; {len(result.table)} scored, {len(result.survivors)} survivor runs trained")
        self.result = result


def search(
    space: SearchSpace | str | Callable[..., nn.Module],
    data: Any,
    *,
    candidates: int = 200,
    proxies: Iterable[str | Proxy] | str = PROXIES,
    where: str | None = None,
    keep: int = 5,
    epochs: int = 8,
    training_seeds: int = 1,
    batch: int = 64,
    fidelity: Fidelity = FULL,
    seed: int = 0,
    device: str | torch.device | None = None,
    workdir: str | Path | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> SearchResult:
    """Search a space without training, then train only the survivors of the filter, and as many at random beside them.

    A fifth of the data, stratified, is held out for validation first; scores never see it. `candidates` distinct
    architectures are drawn, initialised and scored on one batch, ranked by the log-rank sum of the proxies, and the
    best `keep` of those that pass `where` are trained. For each training seed as many architectures are drawn at
    random from all that were scored and trained in the same way: the difference is what the filter bought.

    Args:
        space: a `SearchSpace`, the name of one ("cnn"), or a plain function of choices (see `spaces.from_function`).
        data: anything `zerocost.data.load` takes, with class labels.
        candidates: number of architectures to draw and score; all of a smaller space.
        proxies: names of the proxies to rank by.
        where: conditions on scores, as in `select`: "params < 2e6 and flops < 1e8". Proxies named here are scored too,
            but not ranked by.
        keep: number of survivors.
        epochs: epochs of training; 0 stops after the filter.
        training_seeds: trainings of each survivor, with seeds 0, 1, ….
        batch: samples in the scoring batch.
        fidelity: score scaled-down siblings; training is always at full size.
        seed: draws the split, the architectures, the batch and the random picks, and initialises the networks.
        device: where to score and train.
        workdir: folder in which trainings are kept, to go on after a break; None keeps nothing.
        progress: called with the stage ("score", "train"), the number of steps done and the total.

    Returns:
        A `SearchResult`; nothing was trained when no architecture passes `where`.

    Raises:
        InputError: settings or data that cannot be used.
        SearchInterrupted: at Ctrl-C, with what was done.

    >>> import zerocost as zc
    >>> def net(choose):
    ...     width = choose.int("width", 2, 16, step=2)
    ...     return nn.Sequential(nn.Flatten(), nn.Linear(192, width), nn.ReLU(), nn.Linear(width, 10))
    >>> found = search(net, "digits:8", candidates=6, proxies="snip", keep=2, epochs=1)
    >>> len(found.table), len(found.kept), len(found.survivors), len(found.random)
    (6, 2, 2, 2)
    """
    for name, number, least in (("candidates", candidates, 1), ("keep", keep, 1), ("epochs", epochs, 0)):
        if number < least:
            raise InputError(f"{name} must be at least {least}, but got {number}")
    fitting, validation = data_.split(data_.load(data), 0.2, seed=seed)
    chosen = resolve_space(space, fitting)
    ranked = resolve(proxies)
    names = ",".join(p.name for p in ranked)
    settings = {
        "zerocost": VERSION,
        "torch": torch.__version__,
        "space": chosen.name,
        "data": data if isinstance(data, str) else type(data).__name__,
        "candidates": candidates,
        "proxies": names,
        "where": where,
        "keep": keep,
        "epochs": epochs,
        "training_seeds": training_seeds,
        "batch": fidelity.batch or batch,
        "fidelity": str(fidelity),
        "seed": seed,
        "device": str(device or "cpu"),
    }
    draws = np.random.default_rng(seed)
    start = time.perf_counter()
    architectures = {str(a): a for a in distinct(chosen, candidates, draws)}
    stages = [
        Stage("sample", len(architectures), time.perf_counter() - start, f"distinct architectures of {chosen.name}")
    ]

    drawn = data_.draw(fitting, fidelity.batch or batch, seed=seed)
    drawn = data_.Batch(resize(drawn.inputs, fidelity.resolution), drawn.targets)
    siblings = {name: partial(chosen.build, a, fidelity) for name, a in architectures.items()}
    builders: dict[str, Builder | nn.Module] = {n: partial(chosen.build, a) for n, a in architectures.items()}
    try:
        table = rank_batch(
            siblings,
            drawn,
            ranked,
            also=proxies_in(where),
            seed=seed,
            device=device,
            fidelity=str(fidelity),
            progress=partial(progress, "score") if progress else None,
        )
    except RankingInterrupted as stop:
        table = stop.table
        stages.append(Stage("score", len(table), table.seconds, names))
        kept = select(table, where, top=keep)
        raise SearchInterrupted(SearchResult(chosen.name, table, kept, stages=stages, settings=settings)) from None
    table = ScoreTable(table.frame, table.proxies, table.cards, builders, seconds=table.seconds)
    stages.append(Stage("score", len(table), table.seconds, names))

    kept = select(table, where, top=keep)
    stages.append(Stage("filter", len(kept), 0.0, f"top {keep} by rank_score" + (f" where {where}" if where else "")))
    result = SearchResult(chosen.name, table, kept, stages=stages, settings=settings)
    if epochs and len(kept):
        train_both(result, fitting, validation, epochs, training_seeds, draws, device, workdir, progress)
    return result


def train_both(
    result: SearchResult,
    fitting: Dataset[Any],
    validation: Dataset[Any],
    epochs: int,
    seeds: int,
    draws: np.random.Generator,
    device: str | torch.device | None,
    workdir: str | Path | None,
    progress: Callable[[str, int, int], None] | None,
) -> None:
    """Train the survivors and, for each seed, as many random picks; fills in the result's runs."""
    from zerocost.train import train

    names, count = list(result.table.candidates), len(result.kept)
    picks = {seed: [names[i] for i in draws.choice(len(names), count, replace=False)] for seed in range(seeds)}
    jobs = [(result.survivors, seed, name) for seed in range(seeds) for name in result.kept.frame.index]
    jobs += [(result.random, seed, name) for seed in range(seeds) for name in picks[seed]]
    finished: dict[tuple[int, str], Run] = {}
    start = time.perf_counter()

    try:
        for done, (runs, seed, name) in enumerate(jobs):
            if (seed, name) not in finished:
                [finished[seed, name]] = train(
                    {name: result.table.candidates[name]},
                    train=fitting,
                    validation=validation,
                    epochs=epochs,
                    seeds=[seed],
                    device=device,
                    workdir=workdir,
                    progress=epoch_progress(progress, done, len(jobs)),
                )
            runs.append(finished[seed, name])
    except TrainingInterrupted:
        raise SearchInterrupted(result) from None
    finally:
        detail = f"survivors and as many random picks, {epochs} epochs, {seeds} seeds"
        result.stages.append(Stage("train", len(finished), time.perf_counter() - start, detail))


def epoch_progress(
    progress: Callable[[str, int, int], None] | None, done: int, jobs: int
) -> Callable[[str, int, int, int, float], None] | None:
    """Turns the trainer's report after each epoch into the search's: epochs done of all epochs to do."""
    if progress is None:
        return None

    def report(_name: str, _seed: int, epoch: int, epochs: int, _accuracy: float) -> None:
        progress("train", done * epochs + epoch, jobs * epochs)

    return report


def resolve_space(space: SearchSpace | str | Callable[..., nn.Module], data: Dataset[Any]) -> SearchSpace:
    """The space itself, a function of choices made one, or the named one sized for the data's images and classes."""
    if isinstance(space, SearchSpace):
        return space
    if callable(space):
        return from_function(space)
    first = data[0]
    if not isinstance(first, tuple | list) or len(first) != 2:
        raise InputError(f"space {space!r} needs class labels, one output each, but the data has none")
    sample = first[0]
    if not isinstance(sample, Tensor) or sample.ndim != 3 or sample.shape[1] != sample.shape[2]:
        shape = tuple(sample.shape) if isinstance(sample, Tensor) else type(sample).__name__
        raise InputError(f"space {space!r} takes square images C×H×W, but the data's samples are {shape}")
    labels = class_labels(data)
    classes = 1 + int(max(data[i][1] for i in range(length(data))) if labels is None else labels.max())
    return get_space(space, classes=classes, in_channels=sample.shape[0], resolution=sample.shape[1])
