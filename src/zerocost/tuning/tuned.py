"""The result of a tuning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from zerocost.base.format import fixed, signed
from zerocost.combine import Combination
from zerocost.combine.ranks import METHODS
from zerocost.tuning.find import Recipe, kendall_tau
from zerocost.tuning.nested import CrossValidation, kendall_gain, mean_kendall, share_chosen, tabulate_parts


@dataclass(frozen=True)
class Tuned:
    """A tuned combination, and how well it ranks architectures that it was not tuned on.

    Attributes:
        combination: the weights and settings found, which `rank`, `search` and `evaluate` take. It ranks among the
            trained architectures, or among the pool if there is one.
        gain: Kendall's τ on held-out architectures, less that of the default combination on the same ones.
        low: lower end of the gain's 95 % interval.
        high: upper end of the gain's 95 % interval.
        kendall: Kendall's τ on held-out architectures, a mean over the held-out parts.
        tuned_kendall: Kendall's τ on the architectures that were tuned on. It is optimistic; use `kendall`.
        baseline: `kendall` of the default combination.
        params: `kendall` of the number of parameters.
        table: one row a proxy: its `weight`; `alone`, Kendall's τ of the score itself; `without`, what τ on all
            trained architectures loses without the proxy; `chosen`, the share of the nested tunings that gave it a
            weight. All but the last are optimistic, like `tuned_kendall`.
        parts: one row a held-out part: its number of `pairs`, and Kendall's τ of `tuned`, `default` and `params`.
        settings: everything that the result depends on.
    """

    combination: Combination
    gain: float
    low: float
    high: float
    kendall: float
    tuned_kendall: float
    baseline: float
    params: float
    table: pd.DataFrame
    parts: pd.DataFrame = field(repr=False)
    settings: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def better(self) -> bool:
        """Whether the whole interval of the gain over the default combination lies above 0."""
        return self.low > 0

    def save(self, path: str | Path) -> None:
        """Write the combination as JSON, with how it was tuned and what was measured."""
        self.combination.save(path)

    @property
    def verdict(self) -> str:
        """How well the combination ranks held-out architectures, in words."""
        answer = "it is better" if self.better else "it is worse" if self.high < 0 else "no difference is certain"
        return (
            f"on held-out architectures: Kendall {fixed(self.kendall)} against {fixed(self.baseline)} of the default "
            f"and {fixed(self.params)} of params; gain over the default {signed(self.gain, 3)}, 95 % interval "
            f"{signed(self.low, 3)} to {signed(self.high, 3)}: {answer}"
        )

    def __str__(self) -> str:
        return f"{self.combination}; {self.verdict}"


def summarise(
    best: Recipe, found: CrossValidation, combination: Combination, table: pd.DataFrame, used: Mapping[str, Any]
) -> Tuned:
    """The result of a tuning, whose combination says how it was made and how well it ranks.

    Args:
        best: the recipe tuned on all trained architectures.
        found: the nested validation.
        combination: the recipe as a combination.
        table: `weights_table`.
        used: the settings of the tuning.
    """
    gain, parts, passes = kendall_gain(found.held), tabulate_parts(found.held), found.passes
    means = {name: mean_kendall(parts, name) for name in ("tuned", "default", "params")}
    measured: dict[str, Any] = {
        "kendall": means["tuned"],
        "kendall of the default": means["default"],
        "kendall of params": means["params"],
        "gain": list(gain),
        "kendall on what was tuned on": best.kendall,
        "filter, held-out best": f"{passes.best_passed} of {passes.best} passed",
        "filter, held-out others": f"{passes.others_passed} of {passes.others} passed",
    }
    return Tuned(
        replace(combination, made={"by": "zerocost.tuning.tune", **used, "measured": measured}),
        *gain,
        means["tuned"],
        best.kendall,
        means["default"],
        means["params"],
        table,
        parts,
        {**used, "measured": measured},
    )


def weights_table(
    best: Recipe, scores: pd.DataFrame, accuracy: pd.Series[float], recipes: list[Recipe], names: Sequence[str]
) -> pd.DataFrame:
    """The table of weights, that of greatest magnitude first; see `Tuned.table`.

    Args:
        best: the recipe tuned on all trained architectures.
        scores: their scores under its setting.
        accuracy: their accuracies.
        recipes: what the nested tunings found.
        names: the proxies that could get a weight.
    """
    rows = {}
    often = share_chosen(recipes, dict.fromkeys([*names, *best.weights]))
    for name, share in often.items():
        others = {n: w for n, w in best.weights.items() if n != name}
        less = kendall_tau(METHODS[best.method](scores[list(others)], others), accuracy) if others else 0.0
        loss = best.kendall - less if name in best.weights else float("nan")
        rows[name] = (best.weights.get(name, 0.0), kendall_tau(scores[name], accuracy), loss, share)
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["weight", "alone", "without", "chosen"], dtype=float)
    return table.sort_values("weight", key=lambda w: -w.abs(), kind="stable").rename_axis("proxy")
