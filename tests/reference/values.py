"""The numbers that the authors' own code returns on the cases; run as a script, makes the two tables anew."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).parent
GOLDEN = HERE.parents[1].parent / "shared" / "reference" / "golden.json"
WEIGHTS_SEED, BATCH_SEED = 1, 11
SAMSUNG, ZENNAS, AZNAS = "SamsungLabs/zero-cost-nas", "idstcv/ZenNAS", "cvlab-yonsei/AZ-NAS"
# Which of the golden records defines a proxy: (proxy, variant, repository), with batches of 20 or the smaller ones.
DEFINING = {
    **{
        (proxy, "default", SAMSUNG): (8, 16)
        for proxy in ("grad_norm", "snip", "plain", "grasp", "fisher", "l2_norm", "synflow")
    },
    ("jacob_cov", "default", SAMSUNG): (8, 16, 20),
    ("naswot", "zennas", ZENNAS): (8, 16),
    ("naswot", "zennas", AZNAS): (20,),  # the same function copied; batches of 20 were recorded with this copy only
    ("params", "xautodl", AZNAS): (8, 16),
    ("flops", "xautodl", AZNAS): (8, 16),
}


class Record(NamedTuple):
    """What `proxy` of a repository returned for a case and batch size, all in float64; nan and infinities included."""

    case: str
    samples: int
    proxy: str
    value: float
    repository: str


def records() -> list[Record]:
    """The committed table."""
    with (HERE / "values.csv").open(newline="") as file:
        rows = csv.reader(file)
        next(rows)
        return [Record(case, int(samples), proxy, float(value), source) for case, samples, proxy, value, source in rows]


def tables(golden: Path) -> dict[str, str]:
    """The texts of values.csv and sources.csv, filtered out of the full list of recorded values."""
    kept = [record for record in json.loads(golden.read_text()) if defines(record)]
    values = [(r["case"], r["batch_size"], r["proxy"], repr(float(r["value"])), repository(r)) for r in kept]
    sources = sorted({(r["proxy"], repository(r), r["peer_commit"], r["peer_file"]) for r in kept})
    return {
        "values.csv": written(Record._fields, sorted(values)),
        "sources.csv": written(("proxy", "repository", "commit", "file"), sources),
    }


def defines(record: dict[str, Any]) -> bool:
    """Whether a record is well-conditioned, in float64, and the one that defines a proxy of ours."""
    sizes = DEFINING.get((record["proxy"], record["variant"], repository(record)), ())
    seeds = record["fill_seed"] == WEIGHTS_SEED and record["batch_seed"] in (BATCH_SEED, None)
    exact = record["dtype"] == "float64" and not record.get("ill_conditioned")
    return seeds and exact and record["batch_size"] in sizes


def repository(record: dict[str, Any]) -> str:
    return str(record["peer"]).replace("+", "/")


def written(header: tuple[str, ...], rows: list[tuple[Any, ...]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    return text.getvalue()


if __name__ == "__main__":
    for name, text in tables(GOLDEN).items():
        (HERE / name).write_text(text)
