"""`zerocost proxies`: what there is."""

from __future__ import annotations

from rich.table import Table

from zerocost.cli.common import Json, command, out, print_json
from zerocost.engine.proxy import REGISTRY


@command
def proxies(as_json: Json = False) -> None:
    """List the zero-cost proxies with paper, sign and the signals they need."""
    if as_json:
        print_json(
            [
                {
                    "name": p.name,
                    "paper": p.paper,
                    "higher_is_better": p.higher_is_better,
                    "signals": p.signals,
                    "summary": p.summary,
                }
                for p in REGISTRY.values()
            ]
        )
        return
    table = Table("proxy", "sign", "signals", "paper", box=None, pad_edge=False)
    for p in REGISTRY.values():
        table.add_row(p.name, "+" if p.higher_is_better else "−", ", ".join(p.signals), p.paper)
    out.print(table)
    out.print("sign −: the formula's value is negated, so that for every score higher is better", style="dim")
