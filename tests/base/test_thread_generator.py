"""Draws of one thread come from a generator of its own: the same numbers for a seed, and others notice nothing."""

from __future__ import annotations

import threading

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from zerocost.base.thread_generator import drawing_from

ONES = torch.ones(2, 3, 8, 8)
DRAWS = {
    "rand": lambda: torch.rand(3),
    "randn": lambda: torch.randn(20),
    "randn_like": lambda: torch.randn_like(ONES),
    "complex": lambda: torch.randn(3, dtype=torch.complex64),
    "randint": lambda: torch.randint(0, 9, (5,)),
    "randint_like": lambda: torch.randint_like(ONES, 5),
    "randperm": lambda: torch.randperm(9),
    "bernoulli": lambda: torch.bernoulli(ONES * 0.5),
    "multinomial": lambda: torch.multinomial(torch.ones(5), 3),
    "normal": lambda: torch.normal(ONES, 1.0),
    "poisson": lambda: torch.poisson(ONES),
    "binomial": lambda: torch.binomial(ONES * 9, ONES * 0.5),
    "gamma": lambda: torch.distributions.Gamma(ONES, ONES).rsample(),
    "dirichlet": lambda: torch._sample_dirichlet(ONES),
    "in place": lambda: torch.empty(9).cauchy_() + torch.empty(9).log_normal_() + torch.empty(9).exponential_(),
    "integers in place": lambda: torch.empty(20, dtype=torch.long).random_() + torch.empty(20).geometric_(0.4),
    "into": lambda: torch.normal(ONES, 1.0, out=torch.empty_like(ONES)),
    "dropout": lambda: F.dropout(ONES, 0.5),
    "dropout2d": lambda: F.dropout2d(ONES, 0.3),
    "alpha_dropout": lambda: F.alpha_dropout(ONES, 0.5, True),
    "native_dropout": lambda: torch.native_dropout(ONES, 0.5, True)[0],
    "rrelu": lambda: F.rrelu(-ONES, training=True),
    "gumbel": lambda: F.gumbel_softmax(torch.zeros(5)),
    "attention": lambda: F.scaled_dot_product_attention(ONES, ONES, ONES, dropout_p=0.4),
    "lstm": lambda: nn.LSTM(8, 8, 2, dropout=0.5)(ONES[0])[0],
    "max pool": lambda: F.fractional_max_pool2d(ONES, 2, output_size=4),
    "initialisation": lambda: nn.init.trunc_normal_(nn.init.orthogonal_(torch.empty(4, 4))) + nn.Linear(4, 4).weight,
    "vmap": lambda: torch.vmap(lambda row: F.dropout(row, 0.5), randomness="different")(ONES),
    "default": lambda: torch.rand(3, generator=torch.default_generator),
    "seed within": lambda: torch.rand(torch.manual_seed(3).initial_seed()),
    "checkpoint": lambda: _gradient(lambda x: checkpoint(lambda y: F.dropout(y, 0.5), x, use_reentrant=False)),
}


def _gradient(function) -> Tensor:
    x = ONES.clone().requires_grad_()
    y = function(x)
    assert torch.equal(torch.autograd.grad(y.sum(), x)[0], y)  # the mask is drawn again, and the same
    return y


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
def test_the_numbers_of_a_seed_are_those_of_torch(draw):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        expected = [draw().detach(), draw().detach()]
    before = torch.get_rng_state()
    with drawing_from(torch.Generator().manual_seed(5)):
        found = [draw().detach(), draw().detach()]
    assert all(map(torch.equal, found, expected))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_generator_that_a_call_names_and_other_devices_are_left_alone():
    own, given = (torch.Generator().manual_seed(seed) for seed in (1, 2))
    with drawing_from(own):
        found = torch.rand(3, generator=given)
        assert torch.rand(3, device="meta").is_meta
        assert torch.nn.Linear(3, 3, device="meta").weight.is_meta
    assert torch.equal(found, torch.rand(3, generator=given.manual_seed(2)))
    assert torch.equal(own.get_state(), torch.Generator().manual_seed(1).get_state())


def test_generators_within_one_another():
    outer, inner = (torch.Generator().manual_seed(seed) for seed in (1, 2))
    with drawing_from(outer):
        one = torch.rand(2)
        with drawing_from(inner):
            two = torch.rand(2)
        three = torch.rand(2)
    assert torch.equal(torch.cat([one, three]), torch.rand(4, generator=outer.manual_seed(1)))
    assert torch.equal(two, torch.rand(2, generator=inner.manual_seed(2)))


def test_other_threads_draw_from_the_default_generator():
    inside, seeded_by_other = threading.Event(), threading.Event()
    found = []

    def other() -> None:
        inside.wait(10)
        torch.manual_seed(7)
        found.append(torch.rand(2))
        seeded_by_other.set()

    thread = threading.Thread(target=other)
    with torch.random.fork_rng(devices=[]):
        thread.start()
        with drawing_from(torch.Generator().manual_seed(1)):
            one = torch.rand(2)
            inside.set()
            assert seeded_by_other.wait(10)
            two = torch.rand(2)
        thread.join()
        assert torch.equal(torch.cat([found[0], torch.rand(2)]), torch.rand(4, generator=_seed(7)))
    assert torch.equal(torch.cat([one, two]), torch.rand(4, generator=_seed(1)))


def _seed(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
