"""How proxies rank a benchmark's architectures at full size and at lower fidelities, side by side, as Markdown.

    python bench/correlations.py nasbench201 --data npz:IMAGES.npz --truth TABLE.csv --n 1000 --store scores.db \
        --fidelity full --fidelity width=0.5,depth=0.2,resolution=16,batch=32

One row a score. For each fidelity Kendall's τ with its 95 % interval over architectures and seeds, τ within quarters of
similar FLOPs, Spearman's ρ with parameters taken out, and the regret of the ten highest scores. Below, how many
networks were scored in how much time; with `--store` scores are kept, and those that were kept cost nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

import zerocost as zc
from zerocost.base.format import fixed, seconds

PROXIES = "jacob_cov,log_synflow,snip,grad_norm,fisher,naswot,epe_nas,zen,meco,swap"


def statistic_cells(found: zc.Evaluation, score: str) -> list[str]:
    """The statistics of one score, to read."""
    row = found.table.loc[score]
    k = found.settings["k"]
    kendall = f"{fixed(row['kendall'])} ({fixed(row['kendall_low'])} to {fixed(row['kendall_high'])})"
    return [kendall, *(fixed(row[name]) for name in ("kendall_bins", "partial_params", f"regret@{k}"))]


def markdown_table(evaluations: dict[str, zc.Evaluation]) -> list[str]:
    """The lines of a Markdown table: a row a score, in the order of τ at the first fidelity."""
    first = next(iter(evaluations.values()))
    k = first.settings["k"]
    heading = [f"τ, {name}" for name in evaluations]
    parts = ("in bins", "given params", f"regret@{k}")
    columns = ["score", *(c for name in heading for c in (name, *parts))]
    lines = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    for score in first.table["kendall"].sort_values(ascending=False, kind="stable").index:
        values = [cell for found in evaluations.values() for cell in statistic_cells(found, str(score))]
        lines.append(f"| {score} | {' | '.join(values)} |")
    return lines


def main(
    benchmark: str,
    data: Annotated[str, typer.Option(help="The images that networks are scored on.")],
    truth: Annotated[Path | None, typer.Option(help="The benchmark's file.")] = None,
    n: Annotated[int, typer.Option(help="Architectures drawn.")] = 1000,
    seeds: Annotated[int, typer.Option(help="Seeds of the scores.")] = 2,
    proxies: Annotated[str, typer.Option(help="Proxies to evaluate.")] = PROXIES,
    fidelity: Annotated[list[str] | None, typer.Option(help="A fidelity; repeat the option for more columns.")] = None,
    k: Annotated[int, typer.Option("--k", help="Number of highest scores that regret picks.")] = 10,
    store: Annotated[str | None, typer.Option(help="Keep scores here.")] = None,
    workers: Annotated[int, typer.Option(help="Processes to score in.")] = 1,
) -> None:
    """Evaluate the proxies and print the table."""
    known = zc.benchmarks.get(benchmark, truth)
    scales = fidelity or ["full"]
    found: dict[str, zc.Evaluation] = {}
    with Progress(console=Console(stderr=True)) as progress:
        for scale in scales:
            task = progress.add_task(scale)
            found[scale] = zc.evaluate(
                known,
                proxies,
                data=data,
                n=n,
                seeds=seeds,
                fidelity=zc.Fidelity.parse(scale),
                k=k,
                cache=store,
                workers=workers,
                progress=lambda done, total, task=task: progress.update(task, completed=done, total=total),
            )
    print("\n".join(markdown_table(found)))
    for scale, one in found.items():
        failed = one.failures["architecture"].nunique()
        print(f"\n{scale}: {len(one.scores)} networks scored in {seconds(one.seconds)}; {failed} with a failed score")


if __name__ == "__main__":
    typer.run(main)
