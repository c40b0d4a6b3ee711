"""A search result as large and as untidy as a real one, and the parts to make smaller ones."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from torch import nn

from zerocost.combine import Combination
from zerocost.scoring.card import ScoreCard
from zerocost.scoring.select import select
from zerocost.scoring.table import ScoreTable
from zerocost.search.objectives import Objectives
from zerocost.search.pipeline import SearchResult, Stage
from zerocost.search.result import Expected
from zerocost.tasks import Task, classification
from zerocost.train import Epoch, Run

PROXIES = ["snip", "grasp", "synflow", "log_synflow", "jacob_cov", "naswot"]
NASTY = "<script>alert(\"x\")</script> & 'é' </script> {{ 7 * 7 }}"


def score_cards(count: int, seed: int = 0) -> dict[str, ScoreCard]:
    """Cards whose scores share a hidden quality (kept in their provenance)."""
    rng = np.random.default_rng(seed)
    cards = {}
    for place in range(count):
        quality = rng.normal()
        snip, grasp, synflow, jacob_cov, naswot, size = 0.7 * quality + rng.normal(size=6)
        scores = {
            "snip": np.exp(3 + snip),
            "grasp": 40 * grasp,
            "synflow": 10 ** (30 + 6 * synflow),
            "log_synflow": 69 + 13.8 * synflow,
            "jacob_cov": -70 + 4 * jacob_cov,
            "naswot": 420 + 25 * naswot,
            "params": float(int(np.exp(11.5 + 0.8 * size))),
        }
        name = f"cnn-{place:04d}-d{rng.integers(2, 9)}-w{8 * rng.integers(1, 9)}"
        cards[name] = ScoreCard(scores, {}, provenance={"quality": quality})
    return cards


def table_of(cards: dict[str, ScoreCard], proxies: list[str]) -> ScoreTable:
    wanted = Combination(dict.fromkeys(proxies, 1))
    return ScoreTable.of(cards, dict.fromkeys(cards, nn.Identity), wanted, [*proxies, "params"], 1.0)


def run(name: str, seed: int, ceiling: float, epochs: int = 12) -> Run:
    rng = np.random.default_rng([seed, *name.encode()])
    curve = []
    for epoch in range(1, epochs + 1):
        progress = 1 - np.exp(-epoch / 4)
        accuracy = 0.1 + (ceiling - 0.1) * progress + rng.normal(scale=0.006)
        loss = 2.3 - (0.9 + ceiling) * progress
        noise = abs(rng.normal(scale=0.03))
        curve.append(Epoch(epoch, loss - 0.1 * progress, loss + noise, float(accuracy), 3.1))
    return Run.of(name, seed, curve)


def search_result() -> SearchResult:
    """203 candidates, 3 of them without any score, 5 kept, 5 random picks, 3 seeds each, one failed run."""
    cards = score_cards(200)
    names = list(cards)
    best = table_of(cards, PROXIES).frame.index[0]
    cards = {NASTY if name == best else name: card for name, card in cards.items()}
    cards[names[7]].scores.pop("grasp")
    cards[names[7]].failures["grasp"] = "the second derivative is not finite"
    for name, reason in (
        ("cnn-zero-channels", "building the network raised ValueError: 0 channels"),
        ("cnn-too-deep", "out of memory at batch 128; try batch=32"),
        ("cnn-no-path", "no path from input to output"),
    ):
        cards[name] = ScoreCard({}, dict.fromkeys([*PROXIES, "params"], reason))
    table = table_of(cards, PROXIES)
    kept = select(table, top=5)

    def trained(name: str, seed: int) -> Run:
        return run(name, seed, 0.68 + 0.04 * cards[name].provenance["quality"])

    survivors = [trained(name, seed) for seed in range(3) for name in kept.frame.index]
    picks = np.random.default_rng(4).choice(names[8:], (3, 5), replace=False)
    picks[0, 0] = kept.frame.index[1]
    random = [trained(str(name), seed) for seed in range(3) for name in picks[seed]]
    last = random[-1]
    random[-1] = Run.of(last.name, last.seed, last.epochs[:3], failure="loss became NaN at epoch 4")
    stages = [
        Stage("sample", 203, 0.04, "distinct architectures of cnn"),
        Stage("score", 203, 74.2, ",".join(PROXIES)),
        Stage("filter", 5, 0.0, "top 5 by rank_score"),
        Stage("train", 29, 1090.0, "survivors and as many random picks, 12 epochs, 3 seeds"),
    ]
    settings: dict[str, object] = {
        "zerocost": "0.1.0",
        "torch": "2.13.0",
        "space": "cnn",
        "data": "digits",
        "candidates": 203,
        "proxies": ",".join(PROXIES),
        "where": None,
        "keep": 5,
        "epochs": 12,
        "training_seeds": 3,
        "batch": 64,
        "fidelity": "full",
        "seed": 0,
        "device": "cpu",
    }
    return SearchResult("cnn", table, kept, survivors, random, stages, settings)


def ranked_only(candidates: int, proxies: list[str] = PROXIES, top: int | None = None) -> SearchResult:
    table = table_of(score_cards(candidates), proxies)
    return SearchResult("cnn", table, select(table, top=top) if top else table)


def ranked_table(cards: dict[str, ScoreCard], objectives: Objectives) -> ScoreTable:
    columns = dict.fromkeys([*objectives.columns, "params"])
    wanted = Combination(dict.fromkeys(objectives.columns, 1))
    table = ScoreTable.of(cards, dict.fromkeys(cards, nn.Identity), wanted, list(columns), 1.0)
    frame = table.frame.assign(rank_score=objectives.fitness(table.frame))
    return replace(table, frame=frame.sort_values("rank_score", ascending=False, kind="stable"))


def searched(count: int = 60, names: tuple[str, ...] = ("score", "params")) -> SearchResult:
    """A search with limits, the best quarter scored again, and survivors that successive halving stopped but two."""
    proxies = ("log_synflow", "jacob_cov")
    objectives = Objectives(names, Combination(dict.fromkeys(proxies, 1)))
    first = score_cards(count)
    best = next(iter(first))
    first = {NASTY if name == best else name: card for name, card in first.items()}
    low = ranked_table(first, objectives)
    again = {}
    for place, name in enumerate([NASTY, *low.frame.index.drop(NASTY)][: count // 4]):
        scores = dict(first[name].scores)
        again[name] = ScoreCard(scores | {"jacob_cov": scores["jacob_cov"] + (-1) ** place}, {})
    high = ranked_table(again, objectives)
    kept = select(high, top=5)
    runs = [run(name, 0, 0.7 - 0.05 * place) for place, name in enumerate(kept.frame.index)]
    survivors = [*runs[:2], *(Run.of(r.name, 0, r.epochs[: 4 - 3 * (r is runs[-1])], stopped=True) for r in runs[2:])]
    random = [run("elsewhere", 0, 0.5), Run.of("far away", 0, run("far away", 0, 0.4).epochs[:4], stopped=True)]
    stages = [Stage(name, 9, 1.0, "") for name in ("sample", "score", "score again", "filter", "train")]
    settings = {
        "space": "cnn",
        "strategy": "evolution",
        "proxies": ",".join(proxies),
        "objectives": ",".join(names),
        "fidelity": "width=0.5 > full",
        "epochs": 12,
        "training_seeds": 1,
    }
    rejected = {f"large {i}": f"params < 2e5 is false: params = {200_000 + i:,}" for i in range(7)}
    rejected["trial 9"] = "no path from input to output"
    return SearchResult(
        **{"space": "cnn", "table": high, "kept": kept, "survivors": survivors, "random": random, "stages": stages},
        **{"settings": settings, "objectives": names, "front": objectives.front(high.frame), "order": list(first)},
        **{"rejected": rejected, "earlier": [low], "combination": objectives.combination},
    )


def budgeted(values: list[float], picks: list[float], task: Task = classification) -> SearchResult:
    """A search that trained one candidate for each value, the first two without an expectation, and random picks."""
    table = table_of(score_cards(20), ["snip"])
    names, others = list(table.frame.index[: len(values)]), list(table.frame.index[-len(picks) :])

    def trained(name: str, value: float) -> Run:
        epochs = tuple(Epoch(epoch, 1.0, 1.0, value, 2.0) for epoch in (1, 2))
        return Run.of(name, 0, epochs, metric_name=task.metric_name, higher_is_better=task.higher_is_better)

    seconds = 4.0 * (len(values) + len(picks))
    left = dict.fromkeys(table.frame.index[len(values) :], "not trained: expected 0.5")
    return SearchResult(
        **{"space": "cnn", "table": table, "kept": table.narrow(names, left), "task": task},
        **{"survivors": list(map(trained, names, values)), "random": list(map(trained, others, picks))},
        **{"stages": [Stage("score", 20, 3.0, ""), Stage("filter", 20, 0.0, ""), Stage("train", 9, seconds, "")]},
        **{"settings": {"strategy": "random", "trainings": len(values), "epochs": 2}, "order": list(table.frame.index)},
        **{"expected": [Expected(n, *((None, None) if i < 2 else (0.5, 0.1))) for i, n in enumerate(names)]},
        **{"trust": {"score": 0.02, "snip": -0.01}},
    )


@pytest.fixture(scope="session")
def found() -> SearchResult:
    return searched()


@pytest.fixture(scope="session")
def result() -> SearchResult:
    return search_result()


@pytest.fixture(scope="session")
def make() -> SimpleNamespace:
    """The makers above, for tests that need another result."""
    return SimpleNamespace(
        run=run,
        score_cards=score_cards,
        table_of=table_of,
        ranked_only=ranked_only,
        ranked_table=ranked_table,
        searched=searched,
        budgeted=budgeted,
        nasty=NASTY,
    )
