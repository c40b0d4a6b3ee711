"""`zerocost explain`: the passes that will run and why."""

from __future__ import annotations

from typing import Annotated

import typer

from zerocost.cli.expand import command
from zerocost.cli.options import Json
from zerocost.cli.output import print_json, print_line
from zerocost.scoring.score import explain as explained


@command
def explain(
    proxies: Annotated[list[str], typer.Argument(help="Names, separated by spaces or commas.")],
    as_json: Json = False,
) -> None:
    """Show which passes scoring with these proxies will run, and why."""
    steps = explained(",".join(proxies))
    if as_json:
        passes = [
            {
                "name": step.name,
                "forwards": step.forwards,
                "backwards": step.backwards,
                "runs": step.description,
                "settings": group.settings.changed,
                "signals": steps.requests(step.name, group.settings),
            }
            for group in steps.groups
            for step in group.passes
        ]
        print_json({"forwards": steps.forwards, "backwards": steps.backwards, "passes": passes})
    else:
        print_line(str(steps))
