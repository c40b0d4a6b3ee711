"""What each way of spending a budget of trainings finds, and what it costs.

    python bench/spend.py compare digits FOLDER
    python bench/spend.py compare weather FOLDER
    python bench/spend.py nasbench201 SCORES.csv TRUTH.csv

`compare` reads the trainings that `bench/trainings.py` has kept in FOLDER. In each draw half of the architectures are
candidates, each way chooses which of them to train, and what that gives is looked up. A budget is in units of one full
training, the mean over all architectures; an epoch costs its share, and scoring is counted beside it. `nasbench201`
does the same with 1,000 candidates, whose accuracy, the mean over seeds, is looked up; its scores are those of
`bench/loop.py score`. TPE is told the metric alone, and proposes in the whole space.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import pandas as pd
import typer
from scipy.special import gammaln

import nasbench201_scores as known
import zerocost as zc
from loop import COUNTS as BUDGETS
from loop import LEARNING, POOL, Trained, of_space, orders
from trainings import SHORT, Trainings, problem, tpe_order
from zerocost.predict import learn

REDUCTION = 3

app = typer.Typer(add_completion=False)


class Draw(NamedTuple):
    """Candidates in random order, and what trainings of them gave, as `Trainings.curve` does."""

    pool: list[str]
    score: pd.Series[float]
    curve: Callable[[str, int], list[float]]
    epochs: int

    def value(self, name: str) -> float:
        """What a full training gives."""
        return self.curve(name, self.epochs)[-1]

    def best(self, names: Sequence[str]) -> float:
        """The best of these, fully trained."""
        return max(map(self.value, names))


def short_first(draw: Draw, epochs: int, budget: int) -> float:
    """Half of the budget for trainings with a short schedule, the rest for full trainings of their best."""
    tried = draw.pool[: budget * draw.epochs // (2 * epochs)]
    ranked = sorted(tried, key=lambda name: draw.curve(name, epochs)[-1], reverse=True)
    return draw.best(ranked[: math.floor(budget - len(tried) * epochs / draw.epochs)])


def halve(draw: Draw, names: Sequence[str], budget: int) -> float:
    """Successive halving of as many candidates, the first ones, as the budget allows."""
    for count in range(len(names), 0, -1):
        alive, spent, done, step = list(names[:count]), 0, 0, 1
        while done < draw.epochs:
            spent += len(alive) * (step - done)
            done, step = step, min(step * REDUCTION, draw.epochs)
            alive.sort(key=lambda name, done=done: draw.curve(name, draw.epochs)[done - 1], reverse=True)
            alive = alive if done == draw.epochs else alive[: math.ceil(len(alive) / REDUCTION)]
        if spent <= budget * draw.epochs:
            return draw.best(alive)
    raise ValueError(f"{budget} trainings are too few for one candidate")


def learn_from_short(draw: Draw, features: pd.DataFrame, epochs: int, budget: int) -> float:
    """Half of the budget for the first epochs of the best by score; what they reach is the score to learn from.

    The surrogate chooses which of them are trained to the end, two at a time; that costs the other epochs.
    """
    by_score = draw.score.sort_values(ascending=False, kind="stable").index
    tried = [str(name) for name in by_score[: budget * draw.epochs // (2 * epochs)]]
    early = pd.Series({name: draw.curve(name, draw.epochs)[epochs - 1] for name in tried})
    known = features.loc[tried].assign(**{"rank:early": early})
    left = math.floor((budget * draw.epochs - len(tried) * epochs) / (draw.epochs - epochs))
    trained: dict[str, float] = {}
    while len(trained) < min(left, len(tried)):
        chosen = learn(known, early, trained).next(min(2, left - len(trained)))
        trained |= {name: draw.value(name) for name in chosen}
    return max(trained.values())


def ways(draw: Draw, table: Trained, rng: np.random.Generator) -> dict[str, list[float]]:
    """The best that each way finds, for each of the budgets."""
    found = {
        way: [draw.best(order[:budget]) for budget in BUDGETS] for way, order in orders(table, draw.pool, rng).items()
    }
    del found["learning, rounds of 5"]
    for epochs in SHORT:
        found[f"short trainings of {epochs}, the best in full"] = [short_first(draw, epochs, b) for b in BUDGETS]
    by_score = list(draw.score.sort_values(ascending=False, kind="stable").index)
    found["successive halving"] = [halve(draw, draw.pool, budget) for budget in BUDGETS]
    found["successive halving of the best scores"] = [halve(draw, by_score, budget) for budget in BUDGETS]
    features = table.features(draw.pool)
    for epochs in SHORT[:2]:
        way = f"learning from the first {epochs} of {draw.epochs} epochs"
        found[way] = [learn_from_short(draw, features, epochs, budget) for budget in BUDGETS]
    return found


def random_needs(values: Sequence[float], wanted: float) -> str:
    """How many random trainings reach a value on average; more than all candidates where the best does not."""
    ranked = np.sort(values)
    places = np.arange(len(ranked))
    for count in range(1, len(ranked) + 1):
        below = places[count - 1 :]  # where the best of so many may be
        others = gammaln(below + 1) - gammaln(count) - gammaln(below - count + 2)
        every = gammaln(len(ranked) + 1) - gammaln(count + 1) - gammaln(len(ranked) - count + 1)
        if np.exp(others - every) @ ranked[count - 1 :] >= wanted - 1e-9:
            return str(count)
    return f"over {len(ranked)}"


def print_ways(
    found: dict[str, list[list[float]]], scoring: dict[str, str], every: Sequence[float], digits: int
) -> None:
    """A Markdown table: what each way finds with each budget, and how much better learning is in the same draws.

    Less is better where all values are negative.
    """
    sign = -1 if max(every) < 0 else 1
    print(f"{len(every):,} candidates were trained; the best has {sign * max(every):.{digits}f}\n")
    print(
        "| way | scoring costs | "
        + " | ".join(map(str, BUDGETS))
        + f" | learning is better by, at {BUDGETS[-1]} | random needs |"
    )
    print("|---|---|" + "---|" * (len(BUDGETS) + 2))
    learning = found[LEARNING]
    for way, draws in found.items():
        columns = [[sign * value for value in column] for column in zip(*draws, strict=True)]
        cells = [known.mean_with_interval(column, digits) for column in columns]
        last = [one[-1] for one in draws]
        gain = [one[-1] - value for one, value in zip(learning, last, strict=False)]
        better = "–" if way == LEARNING or len(last) < len(learning) else known.mean_with_interval(gain, digits)
        needs = random_needs(every, float(np.mean(last)))
        print(f"| {way} | {scoring.get(way, '0')} | " + " | ".join(cells) + f" | {better} | {needs} |", flush=True)


@app.command()
def compare(
    name: str, folder: Path, draws: Annotated[int, typer.Option(min=2, help="Draws of candidates.")] = 20
) -> None:
    """What each way finds in the trainings of a task, Markdown."""
    one = problem(name, folder)
    trainings = Trainings(one, folder)
    scores = pd.read_csv(folder / f"{name}-scores.csv", index_col="arch")
    texts = list(scores.index)
    values = pd.Series({text: trainings.curve(text, one.epochs)[-1] for text in texts})
    seconds = json.loads((folder / f"{name}-seconds.json").read_text())
    table = of_space(name, one.space, scores, values.replace(-np.inf, np.nan))
    found: dict[str, list[list[float]]] = {}
    for seed in range(draws):
        rng = np.random.default_rng(seed)
        pool = [texts[i] for i in rng.permutation(len(texts))[: len(texts) // 2]]
        draw = Draw(pool, table.score(pool), trainings.curve, one.epochs)
        for way, best in ways(draw, table, rng).items():
            found.setdefault(way, []).append(best)
    tried = json.loads((folder / f"{name}-tpe.json").read_text())
    for order in tried.values():
        best = [max(trainings.curve(text, one.epochs)[-1] for text in order[:budget]) for budget in BUDGETS]
        found.setdefault("TPE, without candidates", []).append(best)
    cost = (len(texts) // 2) * seconds["score"] / seconds["train"]
    print(f"**{name}**, {len(texts) // 2} candidates a draw; scoring one costs 1/{1 / cost * (len(texts) // 2):.0f}")
    scored = {way: f"{cost:.1f}" for way in found if "score" in way or way.startswith("learning")}
    print_ways(found, scored, list(values), 3)


@app.command()
def nasbench201(
    scores: Path, file: Path, draws: Annotated[int, typer.Option(min=2, help="Draws of candidates.")] = 20
) -> None:
    """What each way finds in NAS-Bench-201, Markdown."""
    benchmark = zc.benchmarks.get("nasbench201", file)
    table = of_space(
        "nasbench201", benchmark.space, pd.read_csv(scores, index_col=0), benchmark.truth(**benchmark.default._asdict())
    )
    found: dict[str, list[list[float]]] = {}
    for seed in range(draws):
        rng = np.random.default_rng(seed)
        pool = [str(text) for text in rng.choice(table.accuracy.index, POOL, replace=False)]
        tried = orders(table, pool, rng) | {
            "TPE, without candidates": tpe_order(benchmark.space, table.accuracy.__getitem__, seed)
        }
        for way, order in tried.items():
            found.setdefault(way, []).append([table.accuracy[order[:budget]].max() for budget in BUDGETS])
    del found["learning, rounds of 5"]
    print_ways(found, {}, list(table.accuracy), 2)


if __name__ == "__main__":
    app()
