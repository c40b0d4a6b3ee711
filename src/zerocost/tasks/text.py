"""How the values of metrics are written."""

from __future__ import annotations

from zerocost.base.format import number, percent
from zerocost.tasks.metrics import is_share


def metric_text(name: str, value: float | None) -> str:
    """The value of a metric: a share as a percentage, else a number.

    >>> from zerocost.base.format import SPACE
    >>> metric_text("accuracy", 0.5).replace(SPACE, " "), metric_text("mean_squared_error", 0.51234)
    ('50.0 %', '0.5123')
    """
    return percent(value) if is_share(name) else number(value)
