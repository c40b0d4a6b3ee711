"""The table of an evaluation for a paper."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from zerocost.statistics.bootstrap import LESS_IS_BETTER

SHOWN = ("spearman", "kendall", "kendall_top", "partial_params", "partial_flops", "ndcg")
_TITLES = {
    "spearman": r"$\rho$",
    "kendall": r"$\tau$",
    "kendall_all": r"$\tau$, with twins",
    "kendall_top": r"$\tau$, top 10\,\%",
    "kendall_bins": r"$\tau$ in FLOPs bins",
    "partial_params": r"$\rho$ given params",
    "partial_flops": r"$\rho$ given FLOPs",
    "ndcg": "nDCG",
    "ndcg_vkdnw": "nDCG (VKDNW)",
    "precision": "precision@{}",
    "best_rank": "best rank@{}",
    "regret": "regret@{}",
}


def tabular(table: pd.DataFrame, statistics: Sequence[str] = SHOWN) -> str:
    r"""A booktabs tabular, one row a score: each statistic with its 95 % interval, the best of a column in bold.

    >>> values = {"kendall": [0.61, 0.5], "kendall_low": [0.5, 0.4], "kendall_high": [0.7, 0.6]}
    >>> print(tabular(pd.DataFrame(values, index=["jacob_cov", "params"]), ["kendall"]))
    \begin{tabular}{lc}
    \toprule
     & $\tau$ \\
    \midrule
    jacob\_cov & \textbf{.61 {\mdseries\scriptsize[.50, .70]}} \\
    params & .50 {\mdseries\scriptsize[.40, .60]} \\
    \bottomrule
    \end{tabular}
    <BLANKLINE>
    """
    columns = {s: [table[f"{s}{part}"] for part in ("", "_low", "_high")] for s in statistics}
    cells = pd.DataFrame(
        {_title(s): list(map(_cell, *three)) for s, three in columns.items()}, table.index.rename(None)
    )
    best = {s: table[s].min() if s.startswith(LESS_IS_BETTER) else table[s].max() for s in statistics}
    bold = np.where(table[list(statistics)] == pd.Series(best), "textbf:--rwrap", "")
    style = cells.style.format_index(escape="latex").apply(lambda _: bold, axis=None)
    return style.to_latex(hrules=True, column_format=f"l{'c' * len(columns)}")


def _title(statistic: str) -> str:
    """The heading of a statistic's column."""
    base, _, k = statistic.partition("@")
    return _TITLES[base].format(k) if k else _TITLES[base]


def _cell(value: float, low: float, high: float) -> str:
    """A value and its interval; a dash for one that does not exist."""
    if math.isnan(value):
        return "--"
    return rf"{_short(value)} {{\mdseries\scriptsize[{_short(low)}, {_short(high)}]}}"


def _short(value: float) -> str:
    """Two decimals, without the zero of a value below one; minus as TeX sets it.

    >>> _short(0.5), _short(-0.123), _short(12.0), _short(-0.001)
    ('.50', '$-$.12', '12.00', '.00')
    """
    digits = f"{abs(value):.2f}"
    sign = "$-$" if value < 0 and float(digits) else ""
    return sign + (digits[1:] if digits.startswith("0.") else digits)
