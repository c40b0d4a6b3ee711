from __future__ import annotations

import pandas as pd

from zerocost.evaluation.latex import tabular


def row(value: float, statistic: str) -> dict[str, float]:
    return {statistic: value, f"{statistic}_low": value - 0.1, f"{statistic}_high": value + 0.1}


def test_the_best_of_a_column_is_bold_and_of_regret_the_least():
    rows = {"a": row(0.5, "kendall") | row(2.0, "regret@5"), "b": row(0.7, "kendall") | row(1.0, "regret@5")}
    text = tabular(pd.DataFrame.from_dict(rows, orient="index"), ["kendall", "regret@5"])
    [first, second] = [line for line in text.splitlines() if line.startswith(("a &", "b &"))]
    assert r"\textbf" not in first
    assert r"\textbf{.70 {" in second
    assert r"\textbf{1.00 {" in second
    assert text.count("{") == text.count("}")
    assert "regret@5" in text


def test_a_missing_value_is_a_dash_and_names_are_plain_text():
    frame = pd.DataFrame({"ndcg": [float("nan")], "ndcg_low": [0.0], "ndcg_high": [0.0]}, index=["50%_of{x}"])
    assert r"50\%\_of\{x\} & --" in tabular(frame, ["ndcg"])
