"""Tables of transformers in which an architecture has a column for each of its parts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from zerocost.benchmarks.base import MEAN, Query
from zerocost.benchmarks.csv_table import finite_number, open_csv, read_csv, whole_lines
from zerocost.benchmarks.table import Row
from zerocost.spaces.base import SearchSpace


class _Form(NamedTuple):
    """How a table is written.

    Attributes:
        parts: the columns that, joined by colons, are the architecture.
        truth: the other columns that are read, and what they answer.
    """

    parts: tuple[str, ...]
    truth: Mapping[str, Query]


_IMAGES = {
    f"{column}_{training}_acc": Query(dataset, metric, 300, MEAN)
    for column, dataset in (("c100", "cifar100"), ("flower", "flowers"), ("chaoyang", "chaoyang"))
    for training, metric in (("base", "accuracy"), ("kd", "distilled_accuracy"))
}
_IMAGENET = {"imagenet_super_acc": Query("imagenet", "supernet_accuracy", 300, MEAN)}
_GLUE = ("glue", "cola", "mnli", "mrpc", "qnli", "qqp", "rte", "sst", "sts")
_FORMS = {
    "bert": _Form(("architecture",), {task: Query(task, "score", 1, MEAN) for task in _GLUE}),
    "gpt": _Form(
        ("embed_dim", "heads", "mlp_ratios", "bias"),
        {metric: Query("openwebtext", metric, 1, MEAN) for metric in ("perplexity", "accuracy")},
    ),
    "pit": _Form(("base_dim", "depth", "heads", "mlp_ratio"), _IMAGES),
    "vit": _Form(("hidden_dim", "heads", "mlp_ratios"), _IMAGES | _IMAGENET),
}
"""By the name of a benchmark, how its table is written."""


def read_parts(path: Path, space: SearchSpace, default: Query) -> Iterator[Row]:
    """The rows of a CSV in the form of the space's benchmark, or of any that `read_csv` reads.

    An architecture on several lines was trained as often: seeds 0, 1, 2, …

    Raises:
        InputError: a line cannot be read; the message names it.
    """
    form = _FORMS[space.name]
    with open_csv(path) as lines:
        heading = lines.fieldnames or ()
        columns = [column for column in heading if column in form.truth] if set(form.parts) <= set(heading) else []
        trainings: Counter[str] = Counter()
        for line in whole_lines(lines) if columns else ():
            text = str(space.parse(":".join([line[part] for part in form.parts])))
            known = {
                form.truth[column]._replace(seed=trainings[text]): finite_number(column, line[column])
                for column in columns
                if line[column].strip()
            }
            trainings[text] += 1
            yield Row(text, known)
    if not columns:
        yield from read_csv(path, space, default)
