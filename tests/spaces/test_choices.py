"""Spaces from plain functions of choices, simple and conditional."""

from __future__ import annotations

import math
import pickle
import re
from collections.abc import Callable
from functools import lru_cache
from itertools import islice

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from zerocost.base.errors import InputError
from zerocost.scoring.candidates import initialise
from zerocost.spaces import Architecture, ChoiceSpace, Choose, Fidelity, from_function
from zerocost.testing.spaces import check_space


def flat(choose: Choose) -> nn.Module:
    width = choose.int("width", 4, 12, step=4)
    activation = {"relu": nn.ReLU, "tanh": nn.Tanh}[choose.one_of("activation", ["relu", "tanh"])]
    return nn.Sequential(nn.Linear(6, width, bias=choose.bool("bias")), activation(), nn.Linear(width, 2))


def conditional(choose: Choose, *, fidelity: Fidelity) -> nn.Module:
    """Widths of as many layers as `depth` says, never growing; a dropout rate only with dropout."""
    layers: list[nn.Module] = []
    inputs = width = 16
    for i in range(fidelity.layers(choose.int("depth", 1, 3))):
        width = choose.int(f"width{i}", 8, width, step=4)
        outputs = fidelity.channels(width)
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
        inputs = outputs
    if choose.bool("dropout"):
        layers.append(nn.Dropout(choose.one_of("rate", (0.1, 0.25))))
    return nn.Sequential(*layers, nn.Linear(inputs, 3))


def mixed(choose: Choose) -> nn.Module:
    """Options of every kind; `None` turns the rest off."""
    kind = choose.one_of("kind", ("3", "a b", None, 0.1, 1e-5, True, -7))
    if kind is None:
        return nn.Linear(2, 2)
    return nn.Linear(2, choose.int("n", 1, 3))


def grammar(choose: Choose) -> list[int]:
    """Which choice comes next hangs on all answers so far, with no rhyme or reason."""
    state, answers = 1, []
    for _ in range(5):
        answers.append(choose.int(f"q{state % 7} of {state % 3}", 0, state % 3))
        state = state * 5 + answers[-1] + 1
    return answers


SPACES = {
    "grammar": (
        ChoiceSpace("grammar", grammar, lambda choose, fidelity: nn.Linear(4, 1 + sum(grammar(choose)))),
        torch.rand(3, 4),
        (),
    ),
    "flat": (from_function(flat), torch.rand(3, 6), ()),
    "conditional": (
        from_function(conditional),
        torch.rand(3, 16),
        (Fidelity(width=0.5), Fidelity(depth=0.4), Fidelity(0.1, 0.1)),
    ),
    "mixed": (from_function(mixed), torch.rand(3, 2), ()),
    "one": (from_function(lambda choose: nn.Linear(2, 2), "one"), torch.rand(3, 2), ()),
}


@pytest.mark.parametrize("name", SPACES)
def test_contract(name: str) -> None:
    space, inputs, fidelities = SPACES[name]
    check_space(space, inputs, fidelities=fidelities)


def test_names_and_sizes() -> None:
    assert from_function(flat).name == "flat"
    assert from_function(flat, "mine").name == "mine"
    assert len(list(from_function(flat))) == 3 * 2 * 2
    widths = [(a,) for a in (8, 12, 16)]
    widths += [(a, b) for a in (8, 12, 16) for b in (8, 12, 16) if b <= a]
    widths += [(a, b, c) for a in (8, 12, 16) for b in (8, 12, 16) for c in (8, 12, 16) if c <= b <= a]
    assert len(list(from_function(conditional))) == len(widths) * 3
    assert len(list(from_function(mixed))) == 6 * 3 + 1


def test_iteration_is_lazy() -> None:
    huge = ChoiceSpace("huge", lambda choose: [choose.int(f"x{i}", 0, 9) for i in range(30)], lambda *_: nn.Identity())
    assert len(set(islice(huge, 100))) == 100
    assert math.isfinite(huge.encode(next(iter(huge))).sum())


@lru_cache
def members(name: str) -> set[Architecture]:
    return set(SPACES[name][0])


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_steps_stay_in_the_space(seed: int) -> None:
    for name in ("conditional", "mixed", "grammar"):
        space, every = SPACES[name][0], members(name)
        rng = np.random.default_rng(seed)
        a, b = space.sample(rng), space.sample(rng)
        mutant, child = space.mutate(a, rng), space.crossover(a, b, rng)
        assert {a, b, mutant, child, *space.neighbors(a)} <= every
        assert mutant in set(space.neighbors(a))
        assert space.parse(str(a)) == a


def test_neighbors_change_one_choice_and_what_hangs_on_it() -> None:
    space = from_function(conditional)
    near = [str(a) for a in space.neighbors(space.parse("depth=2,width0=12,width1=12,dropout=True,rate=0.25"))]
    assert near == [
        "depth=1,width0=12,dropout=True,rate=0.25",
        "depth=3,width0=12,width1=12,width2=8,dropout=True,rate=0.25",
        "depth=3,width0=12,width1=12,width2=12,dropout=True,rate=0.25",
        "depth=2,width0=8,width1=8,dropout=True,rate=0.25",  # 12 is no option any more
        "depth=2,width0=16,width1=12,dropout=True,rate=0.25",
        "depth=2,width0=12,width1=8,dropout=True,rate=0.25",
        "depth=2,width0=12,width1=12,dropout=False",
        "depth=2,width0=12,width1=12,dropout=True,rate=0.1",
    ]


def test_every_architecture_is_reached_by_mutation() -> None:
    space = from_function(conditional)
    reached = [next(iter(space))]
    for arch in reached:
        reached += set(space.neighbors(arch)) - set(reached)
    assert set(reached) == set(space)


def test_crossover_takes_every_choice_from_a_parent() -> None:
    space = from_function(flat)
    a, b = space.parse("width=4,activation=relu,bias=False"), space.parse("width=12,activation=tanh,bias=True")
    rng = np.random.default_rng(0)
    children = {space.crossover(a, b, rng) for _ in range(200)}
    assert {str(c) for c in children} == {
        f"width={w},activation={f},bias={x}" for w in (4, 12) for f in ("relu", "tanh") for x in (False, True)
    }


def test_crossover_repairs_what_is_no_option_any_more() -> None:
    space = from_function(conditional)
    a, b = space.parse("depth=2,width0=8,width1=8,dropout=False"), space.parse("depth=1,width0=16,dropout=False")
    rng = np.random.default_rng(0)
    assert {str(space.crossover(a, b, rng)) for _ in range(100)} == {
        "depth=2,width0=8,width1=8,dropout=False",
        "depth=2,width0=16,width1=8,dropout=False",
        "depth=1,width0=8,dropout=False",
        "depth=1,width0=16,dropout=False",
    }


def test_sampling_draws_each_option_as_often() -> None:
    space = from_function(flat)
    rng = np.random.default_rng(0)
    widths = [dict(space.sample(rng).choices)["width"] for _ in range(300)]
    assert all(70 < widths.count(w) < 130 for w in (4, 8, 12))


def test_encoding_shows_rank_category_and_absence() -> None:
    def build(choose: Choose) -> nn.Module:
        width = choose.one_of("width", [16, 32, 128])
        if choose.one_of("norm", ["none", "batch"]) == "batch":
            choose.one_of("momentum", [0.1, 0.01])
        return nn.Linear(width, 1)

    space = from_function(build)
    with_norm, without = (
        space.encode(space.parse("width=32,norm=batch,momentum=0.1")),
        space.encode(space.parse("width=128,norm=none")),
    )
    assert with_norm.tolist() == pytest.approx([2 / 3, 0, 1, 1, 0])
    assert without.tolist() == pytest.approx([1, 1, 0, 0, 0])


def test_encoding_tells_apart_what_sampling_does_not_meet() -> None:
    def rare(choose: Choose) -> None:
        if [choose.int(f"lock{i}", 0, 9) for i in range(5)] == [7] * 5:
            choose.int("prize", 0, 99)

    space = ChoiceSpace("rare", rare, lambda *_: nn.Identity())
    opened = [space.parse(",".join(f"lock{i}=7" for i in range(5)) + f",prize={n}") for n in range(100)]
    vectors = {space.encode(a).tobytes() for a in opened}
    assert len(vectors) == 100
    assert {len(space.encode(a)) for a in [*opened, next(iter(space))]} == {5 + 1}


def test_the_same_question_has_one_answer() -> None:
    def build(choose: Choose) -> nn.Module:
        return nn.Linear(choose.int("width", 1, 9), choose.int("width", 1, 9))

    space = from_function(build)
    assert len(list(space)) == 9
    assert space.build(space.parse("width=5")).weight.shape == (5, 5)


def test_built_network_is_what_the_function_builds() -> None:
    space = from_function(conditional)
    network = space.build(space.parse("depth=2,width0=12,width1=8,dropout=True,rate=0.25"))
    assert [type(m).__name__ for m in network] == ["Linear", "ReLU", "Linear", "ReLU", "Dropout", "Linear"]
    assert network[4].p == 0.25
    small = space.build(space.parse("depth=3,width0=16,width1=12,width2=8,dropout=False"), Fidelity(0.5, 0.5))
    assert [tuple(p.shape) for p in small.parameters() if p.ndim == 2] == [(8, 16), (6, 8), (3, 6)]
    assert all(p.device.type == "cpu" for p in network.parameters())


def test_a_function_without_fidelity_is_never_silently_built_in_full() -> None:
    space = from_function(flat)
    arch = next(iter(space))
    assert space.build(arch, Fidelity(resolution=8, batch=4))(torch.rand(2, 6)).shape == (2, 2)
    with pytest.raises(InputError, match=r"'flat' cannot be built at width=0\.5: give the function a second parameter"):
        space.build(arch, Fidelity(width=0.5))


class Stateful(nn.Module):
    """A network of most things that do more than allocate when they are made."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(10, width, padding_idx=0)
        self.norm = nn.utils.parametrizations.weight_norm(nn.Linear(width, width))
        self.encoder = nn.TransformerEncoderLayer(width, 2, 8, batch_first=True)
        self.lstm = nn.LSTM(width, width)
        self.rates = [rate.item() for rate in torch.linspace(0, 0.1, width)]  # cannot be had on the meta device
        self.register_buffer("positions", torch.from_numpy(np.arange(width)))
        nn.init.orthogonal_(self.embedding.weight)

    def forward(self, tokens: Tensor) -> Tensor:
        output: Tensor = self.lstm(self.encoder(self.norm(self.embedding(tokens))))[0]
        return output


def test_any_module_can_be_listed() -> None:
    def build(choose: Choose) -> nn.Module:
        module = Stateful(choose.int("width", 4, 8, step=4))
        choose.bool("late")
        return module

    space = from_function(build)
    archs = list(space)
    assert [str(a) for a in archs] == [f"width={w},late={late}" for w in (4, 8) for late in (False, True)]
    assert space.build(archs[0])(torch.ones(2, 3, dtype=torch.long)).shape == (2, 3, 4)


def test_weights_are_not_made_to_list_architectures() -> None:
    def build(choose: Choose) -> nn.Module:
        return nn.Linear(10**6, 10**6 * choose.int("terabytes", 4, 40, step=4))

    assert len(list(from_function(build))) == 10


def test_a_function_that_raises_fails_when_it_builds() -> None:
    def build(choose: Choose) -> nn.Module:
        groups = choose.int("groups", 1, 4)
        return nn.GroupNorm(groups, 12 if choose.bool("wide") else 8)

    space = from_function(build)
    assert len(list(space)) == 8
    with pytest.raises(ValueError, match="num_channels"):
        space.build(space.parse("groups=3,wide=False"))
    assert initialise(lambda: space.build(space.parse("groups=3,wide=True"))).num_groups == 3


def test_a_space_of_module_level_functions_pickles() -> None:
    space = from_function(conditional)
    arch = space.sample(np.random.default_rng(0))
    vector = space.encode(arch)
    copy = pickle.loads(pickle.dumps(space))
    assert (copy.encode(arch) == vector).all()
    assert list(copy) == list(space)


def raised(ask: Callable[[Choose], object]) -> str:
    with pytest.raises(InputError) as caught:
        list(from_function(lambda choose: nn.Identity(ask(choose)), "demo"))
    return str(caught.value)


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda c: c.int("n", 4, 2), "needs whole numbers low <= high and step >= 1, but got low=4, high=2, step=1"),
        (lambda c: c.int("n", 1, 2, step=0), "step=0"),
        (lambda c: c.int("n", 1.0, 2), "low=1.0"),
        (lambda c: c.one_of("n", []), "has no options; give at least one"),
        (
            lambda c: c.one_of("n", {"a", "b"}),
            "the options of choice 'n' are a set, whose order is another",
        ),
        (lambda c: c.one_of("n", [(3, 3)]), "but got (3, 3); offer a name and look the object up in a dict"),
        (lambda c: c.one_of("n", [[3, 3]]), "but got [3, 3]; offer a name and look the object up in a dict"),
        (lambda c: c.one_of("n", [nn.ReLU]), "offer a name and look the object up"),
        (lambda c: c.one_of("n", [float("nan")]), "is NaN"),
        (lambda c: c.one_of("n", ["a,b"]), "must have no comma"),
        (lambda c: c.one_of("n", [" a"]), "no space around it"),
        (lambda c: c.one_of("n", [1, "1"]), "options that look the same: 1, 1"),
        (lambda c: c.one_of("n", [1, True]), "options that look the same"),
        (lambda c: c.bool("a=b"), "a name without comma, equals sign or space around it, but got 'a=b'"),
        (lambda c: c.bool(""), "but got ''"),
        (lambda c: c.bool(3), "but got 3"),
        (
            lambda c: (c.int("n", 1, 3), c.int("n", 1, 30)),
            "'n' is asked twice with different options, 1, 2, 3 and then 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, … 30",
        ),
    ],
)
def test_questions_that_make_no_sense_are_refused(ask: Callable[[Choose], object], message: str) -> None:
    assert message in raised(ask)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("width=8", "'width=8' lacks the choice 'activation'; add one of relu, tanh"),
        ("", "'' lacks the choice 'width'; add one of 4, 8, 12"),
        ("width=9,activation=relu,bias=True", "width=9 in 'width=9,activation=relu,bias=True' is not an option"),
        ("width=8,activation=relu,bias=True,wings=2", "gives 'wings', which space 'flat' does not ask"),
        ("width=8,activation=relu,bias=True,width=4", "'width' is given twice"),
        ("hello", "reads 'choice=value,choice=value', but got 'hello'"),
    ],
)
def test_parse_says_what_is_wrong(text: str, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        from_function(flat).parse(text)


def test_parse_takes_any_order_and_spaces() -> None:
    arch = from_function(flat).parse(" bias = True, activation=relu, width = 8 ")
    assert str(arch) == "width=8,activation=relu,bias=True"
    assert arch.choices == (("width", 8), ("activation", "relu"), ("bias", True))


def test_an_architecture_of_another_space_is_refused() -> None:
    arch = next(iter(from_function(flat)))
    space = from_function(conditional)
    rng = np.random.default_rng(0)
    uses = (space.build, space.encode, lambda a: list(space.neighbors(a)), lambda a: space.mutate(a, rng))
    for use in (*uses, lambda a: space.crossover(space.sample(rng), a, rng)):
        with pytest.raises(InputError, match="lacks the choice 'depth'"):
            use(arch)


def test_a_space_of_one_cannot_be_mutated() -> None:
    space = SPACES["one"][0]
    with pytest.raises(InputError, match="has a single architecture"):
        space.mutate(next(iter(space)), np.random.default_rng(0))


@pytest.mark.parametrize("function", [lambda: nn.Linear(1, 1), lambda choose, size: nn.Linear(1, size)])
def test_a_function_of_the_wrong_parameters_is_refused(function: Callable[..., nn.Module]) -> None:
    with pytest.raises(InputError, match="a space's function takes `choose`"):
        from_function(function)


def test_what_choose_lacks_is_told_with_what_it_has():
    with pytest.raises(AttributeError, match="asked by int, one_of or bool, but there is no 'float'"):
        Choose(lambda name, options: options[0]).float("rate", 0, 1)
