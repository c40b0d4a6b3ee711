"""rank(): initialise, score and rank many networks on one batch."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypedDict, Unpack

import torch
from torch import nn

from zerocost import combine
from zerocost import data as data_
from zerocost.base.errors import Failure, InputError
from zerocost.base.progress import StepProgress, report_steps
from zerocost.base.seeding import check_seed
from zerocost.base.whole import check_whole
from zerocost.base.workers import Workers
from zerocost.combine import Combination
from zerocost.data.as_batch import as_batches
from zerocost.data.batch import check_batches, separate_targets, usual_size
from zerocost.data.dataset import load_held
from zerocost.engine.failures import or_failure
from zerocost.engine.inputs import sample_count
from zerocost.engine.losses import Loss
from zerocost.engine.outputs import Output
from zerocost.engine.plan import Plan, plan
from zerocost.engine.proxy import Proxy, check_repeats
from zerocost.proxies.registry import resolve
from zerocost.scoring.candidates import Builder, as_builders, initialise_on, is_network
from zerocost.scoring.card import ScoreCard, failed_card
from zerocost.scoring.notes import pool_notes
from zerocost.scoring.parallel import in_processes
from zerocost.scoring.score import score_batches
from zerocost.scoring.table import RankingInterrupted, ScoreTable
from zerocost.scoring.twins import first_twins, twin_notes
from zerocost.tasks.task import Task, as_task, task_name


def rank(
    candidates: Any,
    data: Any,
    proxies: Combination | Iterable[str | Proxy] | str = combine.default,
    *,
    also: Iterable[str] | str = (),
    batch: int | None = None,
    batches: int = 1,
    balanced: bool = False,
    task: Task | str | None = None,
    loss: Loss | None = None,
    output: Output = None,
    seed: int = 0,
    repeats: int | None = None,
    device: str | torch.device | None = None,
    workers: int | None = None,
    ray: str | None = None,
    progress: StepProgress | bool | None = None,
) -> ScoreTable:
    """Initialise, score and rank many networks on one batch. A bad candidate never stops the others.

    The default proxies are not those of `zerocost.score`: the default here is the combination that was chosen to rank a
    pool of candidates, while `score` shows one network from many sides.

    Args:
        candidates: a mapping from name to builder (a function that returns a module) or module, or a sequence or
            generator of either, which is read to its end first: of an endless one give `itertools.islice`. Builders run
            one at a time with torch seeded by `seed`, so that a network's initial weights do not depend on the others.
            Twins among architectures of a space, built by `partial(space.build, arch)`, are scored once.
        data: anything `zerocost.data.draw` takes: a spec such as "digits", tensors or arrays, a Dataset, a DataLoader.
        proxies: names of the proxies to rank by, as a sequence or comma-separated, or a `zerocost.combine.Combination`
            or its .json file; `where` in it is for `select`, the fidelity for architectures of a space. The default for
            token ids is `combine.tokens`.
        also: names of proxies to score but not to rank by, for conditions of `select`; `params` is always scored.
        batch: number of samples drawn, once for all candidates; unless the combination says otherwise 64, or all of
            fewer.
        batches: how many batches are drawn. Proxies that compare batches (`zico`) use all of them, the others the
            first; of a single batch they compare the halves.
        balanced: draw the same number of samples of each class.
        task: what the outputs are for, as in `zerocost.score`; by default inferred from the data.
        loss: function of outputs and labels, a mean over samples, in place of the task's.
        output: the tensor in what a network returns, as in `zerocost.score`.
        seed: seeds the batch, the initial weights and the passes.
        repeats: how often each network is initialised and scored, with seeds from `seed` on. Scores are means, and
            the table's `spread` has their standard deviations. Once, unless the combination says otherwise.
        device: where built networks are moved before scoring; None leaves them where they are.
        workers: processes to score in, with one torch thread each, whose scores may differ in last digits from those of
            more threads. By default one, for device "cuda" one a GPU, on Ray one a CPU, or GPU, of the cluster.
        ray: score on a Ray cluster: "auto" for the one that this machine belongs to, its address, or "local" for a new
            one on this machine. The scores are those of `workers`. Needs the extra `ray`.
        progress: whether to show a bar; by default where stderr is a terminal. Or a function, called with the number
            done and the total after each candidate.

    Returns:
        A `ScoreTable`, best first by `rank_score`.

    Raises:
        InputError: no candidates, an unknown proxy, data that cannot be used, or a batch no candidate could be
            scored on.
        zerocost.scoring.table.RankingInterrupted: at Ctrl-C; its `table` holds what was scored until then.

    >>> import torch
    >>> nets = {f"width-{w}": lambda w=w: nn.Sequential(nn.Linear(4, w), nn.ReLU(), nn.Linear(w, 2)) for w in (2, 8)}
    >>> table = rank(nets, (torch.rand(8, 4), torch.arange(8) % 2), "snip,naswot", batch=8)
    >>> sorted(table.frame.columns)
    ['naswot', 'params', 'rank_score', 'snip']
    """
    check_seed(seed)
    for name, number in (("batches", batches), ("batch", 1 if batch is None else batch)):
        check_whole(name, number)
    check_repeats(1 if repeats is None else repeats)
    source = load_held(data, task_name(task))
    batch = batch or combine.as_combination(proxies).batch or usual_size(source)
    drawn = draw_batches(source, batch, batches, seed, balanced)
    chosen = as_task(task, source, drawn[0], loss=loss, output=output)
    options = _ScoringOptions(task=chosen, seed=seed, repeats=repeats, device=device, workers=workers, ray=ray)
    return rank_batch(candidates, drawn, proxies, also=also, progress=progress, **options)


def draw_batches(data: Any, size: int, count: int, seed: int, balanced: bool) -> list[data_.Batch]:
    """`count` batches, the first drawn from `seed`, each of the others from the next seed."""
    check_batches(data, size, count)
    return [data_.draw(data, size, seed=seed + i, balanced=balanced) for i in range(count)]


class _ScoringOptions(TypedDict, total=False):
    """How candidates are scored; `rank` explains each."""

    task: Task | str | None
    loss: Loss | None
    output: Output
    seed: int
    repeats: int | None
    device: str | torch.device | None
    workers: int | None
    ray: str | None


def rank_batch(
    candidates: Any,
    batch: Any,
    proxies: Combination | Iterable[str | Proxy] | str = combine.default,
    *,
    also: Iterable[str] | str = (),
    progress: StepProgress | bool | None = None,
    **options: Unpack[_ScoringOptions],
) -> ScoreTable:
    """`rank` on a batch that is already drawn.

    Args:
        candidates: as in `rank`.
        batch: `(inputs, labels)`, or a list of them, as `zerocost.score` takes it.
        proxies: as in `rank`.
        also: as in `rank`.
        progress: as in `rank`.
        options: `task`, `loss`, `output`, `seed`, `repeats`, `device`, `workers` and `ray`, as in `rank`.
    """
    builders = as_builders(candidates)
    given = list(map(separate_targets, as_batches(batch)))
    proxies = combine.for_inputs(proxies, given[0].inputs)
    combination = combine.as_combination(proxies)
    if combination.reference is not None and combination.fidelity not in (None, "full"):
        raise InputError(
            f"the reference of this combination was scored at fidelity {combination.fidelity}, candidates are at full; "
            "give it to search, which scores at that fidelity, or leave out the reference"
        )
    seed, device = options.get("seed", 0), options.get("device")
    workers = Workers(options.get("workers"), options.get("ray"), device)
    repeats = options.get("repeats") or combination.repeats or 1
    steps = plan(resolve([*resolve(combine.as_proxies(proxies)), *(resolve(also) if also else []), "params"]))
    task = as_task(options.get("task"), None, given[0], loss=options.get("loss"), output=options.get("output"))
    size = sample_count(given[0].inputs)
    cards: dict[str, ScoreCard] = {}
    rejected: list[InputError] = []
    start = time.perf_counter()

    def table() -> ScoreTable:
        done = {name: builders[name] for name in cards}
        scored = replace(combination, batch=size, repeats=repeats)
        return ScoreTable.of(cards, done, scored, [p.name for p in steps.proxies], time.perf_counter() - start)

    seeds, first = range(seed, seed + repeats), first_twins(builders)
    own = {name: builders[name] for name in first.values()}
    score = partial(_card_or_reason, batches=given, proxies=steps.proxies, task=task, seeds=seeds, device=device)
    try:
        with report_steps(progress, "scoring") as report:
            scored = map(score, own.values()) if workers.in_process else in_processes(score, own, workers)
            found = _shared_with_twins(scored, first)
            for done, ((name, build), card) in enumerate(zip(builders.items(), found, strict=True), start=1):
                if isinstance(card, InputError):
                    rejected.append(card)
                if not isinstance(card, ScoreCard):
                    card = failed_card(steps.proxies, card)  # noqa: PLW2901
                card.provenance["fidelity"] = "full"
                if is_network(build):
                    card.provenance.setdefault("initialisation", "as given")
                else:
                    card.provenance["initialisation"] = _describe_initialisation(seed, repeats)
                cards[name] = card
                report(done, len(builders))
    except KeyboardInterrupt:
        raise RankingInterrupted(table()) from None
    if len(rejected) == len(builders):
        raise rejected[0]
    unused = given[0].targets is not None and steps.passes and not any(step.labels for step in steps.passes)
    name = next(iter(builders))
    misfit = _misfit(builders[name], given, task, seed, device) if unused else None
    ranked = table()
    notes = [f"no proxy uses the targets, which do not fit {name}: {misfit}"] if misfit else []
    return replace(ranked, notes=[*notes, *twin_notes(first), *pool_notes(ranked.frame, ranked.combination)])


def _shared_with_twins(scored: Iterator[Any], first: Mapping[str, str]) -> Iterator[Any]:
    """What each candidate has, out of what each of those had that are the first of their twins, in their order."""
    known: dict[str, Any] = {}
    for name, twin in first.items():
        if name == twin:
            known[name] = next(scored)
            yield known[name]
        elif isinstance(known[twin], ScoreCard):
            yield replace(known[twin], provenance=known[twin].provenance | {"twin of": twin})
        else:
            yield known[twin]


def _misfit(
    build: Builder | nn.Module,
    batches: Sequence[data_.Batch],
    task: Task,
    seed: int,
    device: str | torch.device | None,
) -> str | None:
    """Why a candidate's outputs do not fit the targets, as a proxy that uses them says; None where they do."""
    try:
        score_candidate(build, batches, plan(resolve("grad_norm")), task, [seed], device)
    except InputError as reason:
        return str(reason)
    return None


def score_candidate(
    build: Builder | nn.Module,
    batches: Sequence[data_.Batch],
    steps: Plan,
    task: Task,
    seeds: Sequence[int],
    device: str | torch.device | None,
) -> ScoreCard:
    """The scores of a candidate, means over the seeds that it is built and scored with.

    If it cannot be built or run, every proxy fails with the reason.

    Raises:
        InputError: a batch that it cannot be scored on.
    """

    def measured() -> ScoreCard:
        return _average_cards(
            [score_batches(initialise_on(build, seed, device), batches, steps, task, seed) for seed in seeds]
        )

    card: ScoreCard | Failure = or_failure(measured)
    return failed_card(steps.proxies, card) if isinstance(card, Failure) else card


def _card_or_reason(
    build: Builder | nn.Module,
    batches: Sequence[data_.Batch],
    proxies: Sequence[Proxy],
    task: Task,
    seeds: Sequence[int],
    device: str | torch.device | None,
) -> ScoreCard | InputError:
    """`score_candidate`, with what it raises as a value."""
    try:
        return score_candidate(build, batches, plan(proxies), task, seeds, device)
    except InputError as reason:
        return reason


def _describe_initialisation(seed: int, repeats: int) -> str:
    """Where a built candidate's weights come from, in words."""
    return f"built with seed {seed}" if repeats == 1 else f"built with seeds {seed} to {seed + repeats - 1}"


def _average_cards(cards: Sequence[ScoreCard]) -> ScoreCard:
    """One card from those of several seeds: means, standard deviations, the first failure of each proxy."""
    if len(cards) == 1:
        return cards[0]
    failures = {name: reason for card in reversed(cards) for name, reason in card.failures.items()}
    values = {name: [card[name] for card in cards] for name in cards[0].scores if name not in failures}
    return replace(
        cards[0],
        scores={name: statistics.fmean(v) for name, v in values.items()},
        failures=failures,
        passes=tuple(p for card in cards for p in card.passes),
        spread={name: statistics.stdev(v) for name, v in values.items()},
    )
