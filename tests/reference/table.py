"""Compares every record with ours and writes the tables of the documentation: `make reference`."""

from __future__ import annotations

import csv
import math
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import torch

from reference import vkdnw
from reference.cases import batch
from reference.compare import (
    ILL_CONDITIONED,
    TOLERANCE,
    WHY,
    apart,
    cases,
    changed,
    differs,
    group,
    mean_of_repeats,
    network,
    reason,
    repeated,
    scored,
    standard_error,
    wanted,
)
from reference.values import BATCH_SEED, HERE, records, repository_of, sources, written

DOCS = HERE.parents[1] / "docs"
VALUES, MEANS, PAGE = DOCS / "reference-values.csv", DOCS / "reference-means.csv", DOCS / "reference.md"
TOO_SMALL = 1e-3  # an entropy below it, of the authors' VKDNW, is rounding


class Row(NamedTuple):
    """One record against ours: a number, or a failure.

    `difference` is relative and empty where none is expected; `condition` is the relative change of ours where weights
    are changed by about 1e-14 of them, and empty where ours is a failure.
    """

    case: str
    samples: int
    proxy: str
    theirs: float
    ours: str
    difference: str
    condition: str


class MeanRow(NamedTuple):
    """Means of repeats: ours and theirs, and how many standard errors lie between them."""

    case: str
    samples: int
    proxy: str
    runs: int
    theirs: float
    ours: float
    errors: float


def compared() -> Iterator[Row]:
    """Every record against ours, measured now."""
    for (case, samples), group_ in cases().items():
        model, proxies = network(case), [record.proxy for record in group_]
        ours = scored(model, case, samples, proxies)
        moved = scored(changed(network(case), 0), case, samples, proxies)
        for record in group_:
            theirs, value, other = wanted(record, model), ours[record.proxy], moved[record.proxy]
            comparable = reason(record) is None and not differs(record)
            yield Row(
                *(case, samples, record.proxy, theirs),
                f"{value:.12g}" if isinstance(value, float) else value,
                f"{apart(float(value), theirs):.0e}" if comparable else "",
                f"{apart(other, value):.0e}" if isinstance(value, float) and isinstance(other, float) else "",
            )
    for record in records():
        if record.proxy == "vkdnw_entropy":
            value = vkdnw.vkdnw(
                network(record.case), batch(BATCH_SEED, record.samples, record.case)[0], vkdnw.transposed
            )
            difference = f"{apart(value, record.value):.0e}" if record.value > TOO_SMALL else ""
            yield Row(record.case, record.samples, record.proxy, record.value, f"{value:.12g}", difference, "")


def compared_means() -> Iterator[MeanRow]:
    """Every mean of the small cases against ours, measured now."""
    for theirs in repeated():
        ours, spread = mean_of_repeats(theirs)
        error = standard_error(spread, theirs)
        errors = abs(ours - theirs.mean) / error if error else 0.0
        yield MeanRow(*theirs[:3], theirs.runs, *(float(f"{v:.4g}") for v in (theirs.mean, ours)), round(errors, 1))


def page(rows: Iterable[Row], means: Iterable[MeanRow]) -> str:
    """The page of the documentation."""
    rows, means = list(rows), list(means)
    return TEXT.format(
        records=len(rows),
        compared=sum(row.difference != "" for row in rows),
        largest=table(("proxy", "plain networks", "NAS-Bench-201", "tolerance", "authors' code"), agreement(rows)),
        failures=table(("proxy", "values", "theirs", "ours: no score, because"), failures(rows)),
        numbers=table(("proxy", "network", "theirs", "ours", "why"), numbers(rows)),
        ill_conditioned=table(
            ("proxy", "network", "samples", "ours", "relative change"),
            [
                (f"`{r.proxy}`", quoted(r.case), r.samples, f"{float(r.ours):.6g}", r.condition)
                for r in ill_conditioned(rows)
            ],
        ),
        means=table(
            ("proxy", "network", "samples", "theirs", "ours", "standard errors apart"),
            [(f"`{m.proxy}`", m.case, m.samples, f"{m.theirs:.4g}", f"{m.ours:.4g}", m.errors) for m in means],
        ),
    )


def agreement(rows: list[Row]) -> Iterator[tuple[object, ...]]:
    """For each proxy the number of records and the largest difference on each kind of network."""
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: {"plain": [], "NAS-Bench-201": []})
    for row in rows:
        if row.difference:
            found[row.proxy][group(row.case)].append(float(row.difference))
    code = {
        (s.proxy, s.repository): f"[{s.repository}](https://github.com/{s.repository}/tree/{s.commit})"
        for s in sources()
    }
    for proxy, kinds in sorted(found.items()):
        largest = [f"{len(d)}: {max(d):.0e}" if max(d) else f"{len(d)}: 0" for d in kinds.values()]
        tolerance = f"{TOLERANCE[proxy]:.0e}" if TOLERANCE[proxy] else "exact"
        yield f"`{proxy}`", *largest, tolerance, ", ".join(code[proxy, name] for name in repository_of(proxy))


def failures(rows: list[Row]) -> Iterator[tuple[object, ...]]:
    """Where ours is a named failure."""
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for row in rows:
        if row.difference == "" and not is_number(row.ours):
            found[row.proxy, row.ours].append(f"{row.theirs:.3g}")
    for (proxy, why), theirs in sorted(found.items()):
        yield f"`{proxy}`", len(theirs), ", ".join(sorted(set(theirs))), why


def numbers(rows: list[Row]) -> Iterator[tuple[object, ...]]:
    """Where ours is another number."""
    for row in sorted(rows, key=lambda row: (row.proxy, row.case)):
        if row.difference == "" and is_number(row.ours) and row.proxy in WHY:
            theirs = f"{row.theirs:.6g}" if math.isfinite(row.theirs) or math.isinf(row.theirs) else "none"
            yield (
                f"`{row.proxy}`",
                quoted(row.case),
                theirs,
                f"{float(row.ours):.6g}",
                WHY[row.proxy],
            )


def ill_conditioned(rows: list[Row]) -> list[Row]:
    """The rows that weights changed by 1e-14 move by more than 1e-8."""
    return [row for row in rows if row.condition and float(row.condition) > 1e-8]


def quoted(case: str) -> str:
    """A case as it is written in a table."""
    return f"`{case}`".replace("|", "\\|")


def is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def table(header: tuple[str, ...], lines: Iterable[tuple[object, ...]]) -> str:
    """A Markdown table."""
    rows = [header, tuple("---" for _ in header), *lines]
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in rows)


TEXT = """# Reference values

Proxies are compared with their authors' code wherever that code could be run: on 4 plain networks and 16 cells of
NAS-Bench-201, with weights and batches that do not depend on a random generator. Of {records} recorded values, all in
float64, {compared} are compared; the others are the differences listed below. `make reference` measures all of them
again and writes this page. The tests compare all but a few slow ones. {{download}}`reference-values.csv` has each
value, theirs and ours. The other proxies are tested against their formulas, computed independently.

## Largest relative difference

The table has, for each kind of network, the number of values compared and their largest relative difference. `params`,
`flops` and counts are whole numbers. The authors compute `lnwot`, `naswot_conv` and `t_cet` in float32, and
`meco_modules` with a solver for unsymmetric matrices. `ntk_condition` is the condition number; our score is its
negative. `vkdnw_entropy` is not our `vkdnw` but the authors' formula with a factor transposed, see below.

{largest}

## Deliberate differences

**flops.** The authors add one for each output of a layer with a bias; ours counts only products. The comparison uses
their value without these additions.

**vkdnw.** The authors' code multiplies the Jacobian by the Cholesky factor of the softmax covariance; the Fisher
information needs the transpose of that factor, and ours uses it. With the authors' factor, the entropies of their code
are reproduced (`vkdnw_entropy` above), except for entropies below {{math}}`10^{{-3}}`, which are rounding errors.

**Attention.** Our sums over weights include its projection matrices, which the authors' code misses.

If no signal gets through a network, the authors' code returns nan, -inf, 0 or a large number, and noise if rounding
decides what gets through. Ours is a failure that gives the reason.

{failures}

Here our value is another number:

{numbers}

## Rounding

Each of our values was computed a second time, with each weight changed by about 1e-14 of it. All but these move by less
than 1e-8:

{ill_conditioned}

{{math}}`\\sigma` of `zico` is the difference of two gradients: one weight whose gradients nearly coincide can be nearly
all of a layer's sum. `synflow_bn` would move by 1 % on the cell of 1×1 convolutions alone, and is a failure there:
behind the stem, the maps of one input of ones have two values a channel, on which BatchNorm has no gradient but for
rounding.

## Means over random draws

With newly drawn weights, noise as input or random signs, as the papers prescribe, values change from draw to draw. The
table has the means of 32 draws in float32, and their distance in standard errors of the difference
({{download}}`reference-means.csv`).

{means}
"""


def read(path: Path) -> list[list[str]]:
    with path.open(newline="") as file:
        return list(csv.reader(file))[1:]


def kept_rows() -> list[Row]:
    """The committed comparison."""
    return [Row(case, int(n), proxy, float(theirs), *rest) for case, n, proxy, theirs, *rest in read(VALUES)]


def kept_means() -> list[MeanRow]:
    """The committed comparison of means."""
    return [MeanRow(c, int(n), p, int(runs), *map(float, rest)) for c, n, p, runs, *rest in read(MEANS)]


def beyond(rows: list[Row], means: list[MeanRow]) -> list[str]:
    """What differs by more than the tolerance."""
    far = [
        f"{r.proxy} on {r.case}: {r.difference}"
        for r in rows
        if r.difference and float(r.difference) > max(TOLERANCE[r.proxy], float(r.condition or 0))
    ]
    return far + [f"{m.proxy} on {m.case}: {m.errors} standard errors" for m in means if m.errors > 3]


def main() -> None:
    torch.set_num_threads(1)
    rows, means = sorted(compared(), key=lambda row: row[:3]), sorted(compared_means())
    VALUES.write_text(written(Row._fields, rows))
    MEANS.write_text(written(MeanRow._fields, means))
    PAGE.write_text(page(kept_rows(), kept_means()))
    far = beyond(rows, means)
    if far:
        sys.exit("differs from the authors' code: " + "; ".join(far))
    if {(row.proxy, row.case) for row in ill_conditioned(rows)} != ILL_CONDITIONED:
        sys.exit("other values move with rounding than reference/compare.py lists: see docs/reference.md")


if __name__ == "__main__":
    main()
