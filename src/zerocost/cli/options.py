"""The options that several subcommands have."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from zerocost import spaces
from zerocost.combine import default, tokens
from zerocost.data import SOURCES
from zerocost.search.origin import own_space
from zerocost.spaces import SearchSpace
from zerocost.tasks import TASKS
from zerocost.tasks.metrics import METRICS

SPECS = ", ".join(source.usage for source in SOURCES.values())
SPACE_FORMS = f"A space by name ({', '.join(spaces.names())}), or FILE.py:NAME"
_BY_DEFAULT = "or what the combination of --proxies says"
Data = Annotated[str, typer.Option("--data", help=f"Where batches come from: {SPECS}.")]
Space = Annotated[str, typer.Option("--space", help=f"{SPACE_FORMS}.")]
OptionalBatch = Annotated[
    int | None,
    typer.Option(
        "--batch",
        min=1,
        help=f"Samples in the batch that networks are scored on. By default 64 (all of fewer), {_BY_DEFAULT}.",
    ),
]
Repeats = Annotated[
    int | None,
    typer.Option(
        min=1, help=f"Initialisations that each network is scored from; scores are means. By default 1, {_BY_DEFAULT}."
    ),
]
Scale = Annotated[
    str | None,
    typer.Option(
        "--fidelity",
        help="Score smaller siblings, as in width=0.5,resolution=16; or the name of a space, for what was measured in "
        f"it. By default full size, {_BY_DEFAULT}.",
    ),
]
Proxies = Annotated[
    str,
    typer.Option(
        "--proxies",
        help="Proxies, comma-separated, as in 'snip,zico(parts=4)' (`zerocost proxies` lists them), your own as "
        f"my_proxy.py:mine; or the .json file of a combination. 'default' stands for {', '.join(default.proxies)}; "
        f"for token ids {', '.join(tokens.proxies)}.",
    ),
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="The same seed gives the same result.")]
Device = Annotated[str, typer.Option("--device", help="Where networks run: cpu, cuda, cuda:1, …")]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers",
        min=1,
        help="Processes, one torch thread each. By default 1, or with --device cuda one for each GPU; with --ray one "
        "for each CPU, or GPU, of the cluster.",
    ),
]
Ray = Annotated[
    str | None,
    typer.Option(
        "--ray",
        help="Work on a Ray cluster: auto for the one that this machine belongs to, its address as HOST:PORT, or local "
        "for a new one on this machine. Needs the extra ray.",
    ),
]
Explain = Annotated[
    bool,
    typer.Option("--explain", help="Explain the ranking: what each proxy moved, and how much of it is only size."),
]
TaskName = Annotated[
    str | None,
    typer.Option(
        "--task", help=f"What the outputs are for: {', '.join(TASKS)}. By default it is inferred from the data."
    ),
]
MetricName = Annotated[
    str | None, typer.Option("--metric", help=f"What trained networks are judged by: {', '.join(METRICS)}.")
]
LossFile = Annotated[
    str | None, typer.Option(metavar="FILE.py:NAME", help="A function of outputs and targets, a mean over samples.")
]
OutputPlace = Annotated[
    str | None,
    typer.Option(help="The tensor in what a network returns: a key, an attribute, a place such as 0, or FILE.py:NAME."),
]
Report = Annotated[Path | None, typer.Option("--report", help="Write an HTML report to this file.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object, for other programs, instead of tables.")]


@dataclass(frozen=True, kw_only=True)
class TaskOptions:
    """What the outputs are for."""

    task: TaskName = None
    loss: LossFile = None
    output: OutputPlace = None


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """How networks are scored."""

    batches: Annotated[
        int, typer.Option("--batches", min=1, help="Batches to draw, for proxies that compare batches.")
    ] = 1
    balanced: Annotated[bool, typer.Option("--balanced", help="Draw equally many samples of each class.")] = False
    seed: Seed = 0
    device: Device = "cpu"


def read_space(name: str) -> SearchSpace | str:
    """The space that FILE.py:NAME names; any other name as it is, as that of a shipped space."""
    return own_space(name) if ":" in name else name
