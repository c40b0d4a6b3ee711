"""How the metric that trained networks are judged by is written on the page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import pandas as pd

from zerocost.base.format import formatter_for, number, signed
from zerocost.tasks import Task, classification
from zerocost.tasks.metrics import is_share
from zerocost.tasks.text import metric_text


def formatter_of(name: str) -> Callable[[float], str]:
    """The function that writes the values of a metric, a score or a cost.

    >>> formatter_of("accuracy")(0.5).replace("\u00a0", " "), formatter_of("snip")(0.5)
    ('50.0 %', '0.5')
    """
    return partial(metric_text, name) if is_share(name) else formatter_for(name)


@dataclass(frozen=True)
class WrittenMetric:
    """A task's metric in words, on axes and in numbers.

    >>> squared = WrittenMetric("mean_squared_error", False)
    >>> squared.axis, squared.text(0.25), WrittenMetric("accuracy", True).axis
    ('mean squared error, less is better', '0.25', 'accuracy (%)')
    """

    name: str
    higher_is_better: bool

    @classmethod
    def of(cls, task: Task = classification) -> WrittenMetric:
        """The metric of a task."""
        return cls(task.metric_name, task.higher_is_better)

    @property
    def words(self) -> str:
        """The name in words."""
        return self.name.replace("_", " ")

    @property
    def axis(self) -> str:
        """The title of an axis."""
        if is_share(self.name):
            return f"{self.words} (%)" if self.higher_is_better else f"{self.words} (%), less is better"
        return f"{self.words}, {'more' if self.higher_is_better else 'less'} is better"

    @property
    def scale(self) -> int:
        """What values are multiplied by on an axis."""
        return 100 if is_share(self.name) else 1

    @property
    def hover(self) -> str:
        """The value on the vertical axis of a point, as plotly formats it."""
        return "%{y:.1f} %" if is_share(self.name) else "%{y:.4g}"

    def text(self, value: float | None) -> str:
        """A value."""
        return metric_text(self.name, value)

    def difference(self, value: float) -> str:
        """A signed difference, in percentage points where the metric is a share.

        >>> WrittenMetric("accuracy", True).difference(0.0481), WrittenMetric("accuracy", True).difference(-0.0001)
        ('+4.8', '+0.0')
        >>> WrittenMetric("mean_squared_error", False).difference(-12.5)
        '−12.5'
        """
        return signed(100 * value, 1) if is_share(self.name) else ("+" if value >= 0 else "") + number(value)

    def best(self, values: pd.Series[float]) -> int:
        """The place of the best value."""
        return int(values.argmax() if self.higher_is_better else values.argmin())


ACCURACY = WrittenMetric.of()
