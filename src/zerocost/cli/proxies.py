"""`zerocost proxies`: what there is."""

from __future__ import annotations

from rich.table import Table

from zerocost.base.fidelity import FULL
from zerocost.cli.expand import command
from zerocost.cli.options import Json
from zerocost.cli.output import out, print_json
from zerocost.engine.proxy import REGISTRY, names


@command
def proxies(as_json: Json = False) -> None:
    """List the zero-cost proxies with paper, sign and the signals they need."""
    known = [REGISTRY[name] for name in names()]
    if as_json:
        print_json(
            [
                {
                    "name": p.name,
                    "paper": p.paper,
                    "higher_is_better": p.higher_is_better,
                    "group": p.group,
                    "signals": p.signals,
                    "shrinks_badly": None if p.shrinks_badly == FULL else str(p.shrinks_badly),
                    "summary": p.summary,
                }
                for p in known
            ]
        )
        return
    table = Table(box=None, pad_edge=False)
    for title in ("proxy", "sign", "signals", "shrinks badly", "paper"):
        table.add_column(title, overflow="fold")
    for p in known:
        small = "" if p.shrinks_badly == FULL else str(p.shrinks_badly).replace(",", ", ")
        sign = "less" if p.is_budget else "+" if p.higher_is_better else "−"
        table.add_row(p.name, sign, ", ".join(p.signals), small, p.paper)
    out.print(table)
    out.print("sign −: the formula's value is negated, so that for every score higher is better", style="dim")
    out.print("less: a budget, of which less is better; it has the weight −1 in a ranking", style="dim")
    out.print("shrinks badly: from such sizes down scores lose the order that they have at full size", style="dim")
