from __future__ import annotations

from run.small import TEXTS, job
from zerocost import rank
from zerocost.proxies.registry import resolve


def test_several_batches_follow_each_other_from_the_seed():
    made = job("snip", batches=2, seeds=(0, 1)).batches
    assert [len(made[seed]) for seed in (0, 1)] == [2, 2]
    assert (made[0][1][0] == made[1][0][0]).all()
    assert not (made[0][0][0] == made[0][1][0]).all()


def test_scores_are_those_of_rank():
    given = job("snip", "params")
    found = given.score(resolve(given.proxies), (TEXTS[0], 1), frozenset({"snip"}))
    build = given.space.parse(TEXTS[0])
    table = rank({"one": lambda: given.space.build(build, given.fidelity)}, "digits:8", "snip", batch=8, seed=1)
    assert {name: score.value for name, score in found.items()} == {"snip": table.frame.loc["one", "snip"]}
