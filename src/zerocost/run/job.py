"""What is scored and on what: all that the scores of many architectures share."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

from zerocost import data as data_
from zerocost.errors import InputError
from zerocost.proxies.registry import Proxy
from zerocost.scoring import rank_batch
from zerocost.spaces import Fidelity, SearchSpace, resize
from zerocost.store import Score

Scores = dict[str, Score]
Key = tuple[str, int]
"""An architecture's text and a seed."""


class Job(NamedTuple):
    """What all scores share; `proxies` as the caller gave them, for each process to resolve."""

    space: SearchSpace
    proxies: tuple[str | Proxy, ...]
    batches: dict[int, list[tuple[Any, ...]]]
    fidelity: Fidelity
    device: str | None

    def score(self, proxies: Sequence[Proxy], key: Key, wanted: frozenset[str]) -> Scores:
        """One network's scores: built and measured with the seed, on the batches of that seed."""
        text, seed = key
        chosen = [p for p in proxies if p.name in wanted]
        build = partial(self.space.build, self.space.parse(text), self.fidelity)
        try:
            table = rank_batch({text: build}, self.batches[seed], chosen, seed=seed, device=self.device)
        except InputError as reason:
            return {p.name: Score(None, str(reason)) for p in chosen}
        card = table.cards[text]
        return {p.name: Score(card.scores.get(p.name), card.failures.get(p.name)) for p in chosen}


def batches_of(
    data: Any, seeds: Sequence[int], batch: int, batches: int, balanced: bool, fidelity: Fidelity
) -> dict[int, list[tuple[Any, ...]]]:
    """The batches of each seed, those that `rank` draws with it, at the resolution of the fidelity."""
    source = data_.load(data) if isinstance(data, str) else data

    def drawn(seed: int) -> tuple[Any, ...]:
        inputs, targets = data_.draw(source, fidelity.batch or batch, seed=seed, balanced=balanced)
        return resize(inputs, fidelity.resolution), targets

    return {seed: [drawn(seed + i) for i in range(batches)] for seed in seeds}
