"""The numbers that the authors' own code returns on the cases; run as a script, makes the three tables anew."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).parent
GOLDEN = HERE.parents[1].parent / "shared" / "reference" / "golden.json"
WEIGHTS_SEED, BATCH_SEED = 1, 11
SAMSUNG, AZNAS, ZENNAS = "SamsungLabs/zero-cost-nas", "cvlab-yonsei/AZ-NAS", "idstcv/ZenNAS"
IVIOLIN, SWAP, VKDNW = "iViolinSolo/zero-cost-proxies", "pym1024/SWAP", "ondratybl/VKDNW"
TENAS, MECO, EPE_NAS = "VITA-Group/TENAS", "HamsterMimi/MeCo", "VascoLopes/EPE-NAS"
SMALL, ALL, LARGE = (8, 16), (8, 16, 20), (20,)
# Which of the recorded values define a proxy: our name for it, the authors', variant, repository and batch sizes.
DEFINING = (
    *((name, name, "default", SAMSUNG, SMALL) for name in ("grad_norm", "snip", "plain", "grasp", "fisher", "l2_norm")),
    *((name, name, "default", SAMSUNG, SMALL) for name in ("synflow", "synflow_bn")),
    ("jacob_cov", "jacob_cov", "default", SAMSUNG, ALL),
    ("epe_nas", "epe_nas", "default", EPE_NAS, ALL),
    ("naswot", "naswot", "zennas", ZENNAS, SMALL),
    ("naswot", "naswot", "zennas", AZNAS, LARGE),  # the same function copied; only this copy was run on batches of 20
    ("params", "params", "xautodl", AZNAS, SMALL),
    ("flops", "flops", "xautodl", AZNAS, SMALL),
    ("global_grad_norm", "grad_norm", "all-parameters", ZENNAS, SMALL),
    ("snr_synflow", "snr_synflow", "default", IVIOLIN, SMALL),
    ("snr_snip", "snr_snip", "default", IVIOLIN, SMALL),
    ("lnwot", "lnwot", "eval BN", IVIOLIN, SMALL),
    ("naswot_conv", "naswot_conv", "eval BN", IVIOLIN, SMALL),
    ("t_cet", "t_cet", "synflow", IVIOLIN, SMALL),
    ("linear_regions", "linear_regions", "default", IVIOLIN, SMALL),
    ("linear_regions", "linear_regions", "default", AZNAS, LARGE),
    ("swap", "swap", "default", SWAP, ALL),
    ("swap_regularised", "swap_regularised", "patched", SWAP, SMALL),
    ("zico", "zico", "two batches", "SLDGroup/ZiCo", SMALL),
    ("gradsign", "gradsign", "default", "cmu-catalyst/GradSign", SMALL),
    ("ntk_condition", "ntk_cond", "train BN", TENAS, SMALL),
    ("zen", "zen", "given-weights", ZENNAS, SMALL),
    ("meco_modules", "meco", "batch input", MECO, SMALL),
    ("az_expressivity", "az_expressivity", "given-weights, fixed-signs", AZNAS, SMALL),
    ("az_progressivity", "az_progressivity", "given-weights, fixed-signs", AZNAS, SMALL),
    ("az_trainability", "az_trainability", "given-weights, fixed-signs", AZNAS, SMALL),
    ("layer_count", "vkdnw_dim", "p=1, patched", VKDNW, SMALL),
    ("vkdnw_entropy", "vkdnw_entropy", "p=1, patched", VKDNW, SMALL),  # not our vkdnw, see README.md
)
# The same for the recorded means over 32 runs with random weights, inputs or signs.
STOCHASTIC = (
    ("zen", "zen", "stochastic", ZENNAS, SMALL),
    ("ntk_condition", "ntk_cond", "stochastic", ZENNAS, SMALL),
    ("az_expressivity", "az_expressivity", "stochastic", AZNAS, SMALL),
    ("az_progressivity", "az_progressivity", "stochastic", AZNAS, SMALL),
    ("az_trainability", "az_trainability", "stochastic", AZNAS, SMALL),
    ("linear_regions", "linear_regions", "stochastic", AZNAS, SMALL),
    ("swap", "swap", "stochastic", SWAP, SMALL),
    ("meco_modules", "meco", "stochastic", MECO, (1,)),
)
# The record's name of a repository, where it is not owner+name.
NAMED = {"iviolin": IVIOLIN, "EPE-NAS": EPE_NAS}


class Record(NamedTuple):
    """What `proxy` of a repository returned for a case and batch size, all in float64.

    The name is ours. nan stands for no number: nan itself, None, or an exception.
    """

    case: str
    samples: int
    proxy: str
    value: float
    repository: str


class Mean(NamedTuple):
    """Mean and standard deviation of what `proxy` of a repository returned in `runs` runs, in float32."""

    case: str
    samples: int
    proxy: str
    mean: float
    deviation: float
    runs: int
    repository: str


class Source(NamedTuple):
    """Where the values of a proxy come from; `theirs` is the authors' name for it."""

    proxy: str
    theirs: str
    variant: str
    repository: str
    commit: str
    file: str


def records() -> list[Record]:
    """The committed table of values."""
    return [Record(case, int(n), proxy, float(value), source) for case, n, proxy, value, source in rows("values.csv")]


def means() -> list[Mean]:
    """The committed table of means."""
    return [
        Mean(case, int(n), proxy, float(mean), float(deviation), int(runs), source)
        for case, n, proxy, mean, deviation, runs, source in rows("stochastic.csv")
    ]


def sources() -> list[Source]:
    """The committed table of sources."""
    return [Source(*row) for row in rows("sources.csv")]


def repository_of(proxy: str) -> list[str]:
    """The repositories whose values define a proxy."""
    return sorted({record.repository for record in records() if record.proxy == proxy})


def rows(name: str) -> list[list[str]]:
    with (HERE / name).open(newline="") as file:
        return list(csv.reader(file))[1:]


def tables(golden: Path) -> dict[str, str]:
    """The texts of the three tables, filtered out of the full list of recorded values."""
    recorded = json.loads(golden.read_text())
    exact = [
        (name, r)
        for name, r in defining(recorded, DEFINING)
        if r["dtype"] == "float64" and r["batch_seed"] in (BATCH_SEED, None)
    ]
    random = [(name, r) for name, r in defining(recorded, STOCHASTIC) if r.get("n_finite") and r["n_finite"] == r["n"]]
    values = [(r["case"], r["batch_size"], name, repr(number(r["value"])), repository(r)) for name, r in exact]
    averages = [
        (r["case"], r["batch_size"], name, repr(r["mean"]), repr(r["std"]), r["n"], repository(r)) for name, r in random
    ]
    origins = {
        (name, r["proxy"], r["variant"], repository(r), r["peer_commit"], r["peer_file"]) for name, r in exact + random
    }
    return {
        "values.csv": written(Record._fields, sorted(values)),
        "stochastic.csv": written(Mean._fields, sorted(averages)),
        "sources.csv": written(Source._fields, sorted(origins)),
    }


def defining(recorded: list[dict[str, Any]], definitions: tuple[Any, ...]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The well-conditioned records that define a proxy of ours, with our name for it."""
    names = {(*key, size): name for name, *key, sizes in definitions for size in sizes}
    for r in recorded:
        name = names.get((r["proxy"], r["variant"], repository(r), r["batch_size"]))
        if name and r["fill_seed"] == WEIGHTS_SEED and not r.get("ill_conditioned"):
            yield name, r


def repository(record: dict[str, Any]) -> str:
    return NAMED.get(record["peer"], record["peer"].replace("+", "/"))


def number(value: Any) -> float:
    """A recorded value; nan for None and for the text of an exception."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return float("nan")


def written(header: tuple[str, ...], table: list[tuple[Any, ...]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *table])
    return text.getvalue()


if __name__ == "__main__":
    for name, text in tables(GOLDEN).items():
        (HERE / name).write_text(text)
