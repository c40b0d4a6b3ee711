"""Spaces written as plain Python: a function that asks `choose` for each choice it makes."""

from __future__ import annotations

import inspect
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property, lru_cache, partial

import numpy as np
import torch
from torch import nn

from zerocost.base.errors import InputError
from zerocost.base.fidelity import FULL, Fidelity, as_fidelity
from zerocost.base.seeding import seeded
from zerocost.spaces.architecture import Architecture, Value, check_architecture, check_text
from zerocost.spaces.base import SearchSpace, Vector
from zerocost.spaces.choose import Choose, Options, Pick, describe_options


class ChoiceSpace(SearchSpace):
    """The space of all answers to the choices a function asks for, conditional ones included.

    Sampling draws each choice uniformly. A mutation changes one choice and keeps the others where they are still
    asked and still valid; new choices are drawn. No two architectures are twins unless the function asks for something
    that it does not use.

    Args:
        name: of the space.
        choose: asks for every choice. It is called whenever choices are drawn or checked, so it must be cheap; its
            result is not used.
        build: asks the same choices and returns the network; it also takes the fidelity. Both functions must ask the
            same whenever they get the same answers.
        size: number of architectures, if known.

    >>> def layers(choose):
    ...     return [choose.int(f"width{i}", 8, 16, step=8) for i in range(choose.int("depth", 1, 2))]
    >>> def network(choose, fidelity):
    ...     return nn.Sequential(*[nn.Linear(fidelity.channels(width), 2) for width in layers(choose)])
    >>> space = ChoiceSpace("demo", layers, network)
    >>> [str(a) for a in space][:3]
    ['depth=1,width0=8', 'depth=1,width0=16', 'depth=2,width0=8,width1=8']
    >>> [str(a) for a in space.neighbors(space.parse("depth=1,width0=8"))]
    ['depth=2,width0=8,width1=8', 'depth=2,width0=8,width1=16', 'depth=1,width0=16']
    """

    def __init__(
        self,
        name: str,
        choose: Callable[[Choose], object],
        build: Callable[[Choose, Fidelity], nn.Module],
        size: int | None = None,
    ) -> None:
        self.name = name
        self.size = size
        self._choose = choose
        self._build = build

    def sample(self, rng: np.random.Generator) -> Architecture:
        return self._draw([], rng).architecture()

    def choose(self, choose: Choose) -> Architecture:
        self._choose(choose)
        return choose.architecture()

    def mutate(self, arch: Architecture, rng: np.random.Generator) -> Architecture:
        changeable = [(name, options) for name, options in self._asked(arch).items() if len(options) > 1]
        if not changeable:
            raise InputError(f"space {self.name!r} has a single architecture, {arch}; there is nothing to mutate")
        name, options = changeable[rng.integers(len(changeable))]
        old = dict(arch.choices)[name]
        new = _draw_one([option for option in options if option != old], rng)
        return self._draw([dict(arch.choices) | {name: new}], rng).architecture()

    def crossover(self, a: Architecture, b: Architecture, rng: np.random.Generator) -> Architecture:
        self._check_own(a)
        self._check_own(b)
        return self._draw([dict(a.choices), dict(b.choices)], rng).architecture()

    def neighbors(self, arch: Architecture) -> Iterator[Architecture]:
        kept = dict(check_architecture(arch).choices)
        for name, options in self._asked(arch).items():
            for option in options:
                if option != kept[name]:
                    yield from self._completions(kept | {name: option})

    def parse(self, text: str) -> Architecture:
        answers: dict[str, str] = {}
        for item in text.split(",") if check_text(text).strip() else []:
            name, equals, value = (part.strip() for part in item.partition("="))
            if not equals:
                raise InputError(f"an architecture reads 'choice=value,choice=value', but got {item!r} in {text!r}")
            if name in answers:
                raise InputError(f"choice {name!r} is given twice in {text!r}; give it once")
            answers[name] = value
        arch = self._run(_answer_from_texts(answers, text)).architecture()
        unasked = sorted(answers.keys() - dict(arch.choices).keys())
        if unasked:
            raise InputError(
                f"{text!r} gives {', '.join(map(repr, unasked))}, which space {self.name!r} does not ask beside the "
                f"other choices; remove it to get {str(arch)!r}"
            )
        return arch

    def build(self, arch: Architecture, fidelity: Fidelity | str = FULL) -> nn.Module:
        return self._build(Choose(_replay(check_architecture(arch))), as_fidelity(fidelity))

    def __iter__(self) -> Iterator[Architecture]:
        return self._completions({})

    def encode(self, arch: Architecture) -> Vector:
        """A numeric choice has one entry, its rank among the options in (0, 1]; any other has one entry an option.

        The entries of a choice that is not asked are 0. Names and options are learnt from 200 samples at the first
        call; a choice too rare to be among them is hashed into the last entry.
        """
        self._check_own(arch)
        slots, length = self._slots
        vector = np.zeros(length + 1)
        for name, value in arch.choices:
            if (name, str(value)) in slots:
                slot, amount = slots[name, str(value)]
                vector[slot] = amount
            else:
                vector[length] += zlib.crc32(f"{name}={value}".encode()) / 2**32
        return vector

    @cached_property
    def _slots(self) -> tuple[dict[tuple[str, str], tuple[int, float]], int]:
        """Where (name, text of value) is encoded, as (slot, amount), and the number of slots."""
        rng = np.random.default_rng(0)
        options: dict[str, dict[Value, None]] = {}
        for _ in range(200):
            for name, (found, _) in self._draw([], rng).asked.items():
                options.setdefault(name, {}).update(dict.fromkeys(found))
        slots: dict[tuple[str, str], tuple[int, float]] = {}
        length = 0
        for name, values in options.items():
            numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
            if len(numbers) == len(values):
                ranks = enumerate(sorted(numbers), start=1)
                slots |= {(name, str(v)): (length, rank / len(numbers)) for rank, v in ranks}
                length += 1
            else:
                slots |= {(name, str(v)): (slot, 1.0) for slot, v in enumerate(values, start=length)}
                length += len(values)
        return slots, length

    def _check_own(self, arch: Architecture) -> None:
        """`InputError` unless an architecture answers what is asked first, which is the same for all of the space."""
        answer = _replay(check_architecture(arch))
        for name, options in self._first:
            answer(name, options)

    @cached_property
    def _first(self) -> list[tuple[str, Options]]:
        """The choice that is asked first, and its options; nothing where none is asked."""
        asked = self._draw([], np.random.default_rng(0)).asked
        return [(name, options) for name, (options, _) in asked.items()][:1]

    def _run(self, pick: Pick) -> Choose:
        choose = Choose(pick)
        self._choose(choose)
        return choose

    def _asked(self, arch: Architecture) -> Mapping[str, Options]:
        return _options_asked(self._choose, check_architecture(arch))

    def _draw(self, parents: list[dict[str, Value]], rng: np.random.Generator) -> Choose:
        """Answer each choice as one of the parents does, or at random where none has a valid answer."""

        def pick(name: str, options: Options) -> Value:
            inherited = [p[name] for p in parents if name in p and p[name] in options]
            value = _draw_one(inherited or options, rng)
            return options[options.index(value)]  # type: ignore[arg-type]

        return self._run(pick)

    def _completions(self, kept: dict[str, Value]) -> Iterator[Architecture]:
        """Every combination of answers to the choices that `kept` has no valid answer for, depth first."""
        path: list[int] = []  # the option taken at each free choice
        while True:
            free: list[int] = []  # number of options of each free choice

            def pick(name: str, options: Options, free: list[int] = free) -> Value:
                if name in kept and kept[name] in options:
                    return options[options.index(kept[name])]  # type: ignore[arg-type]
                if len(free) == len(path):
                    path.append(0)
                free.append(len(options))
                return options[path[len(free) - 1]]

            yield self._run(pick).architecture()
            while path and path[-1] + 1 == free[len(path) - 1]:
                path.pop()
            if not path:
                return
            path[-1] += 1


def from_function(build: Callable[..., nn.Module], name: str | None = None) -> ChoiceSpace:
    """The space of all networks that a plain function of choices can build.

    To draw and list architectures the function is called on torch's meta device, where weights take no memory or time;
    a function that cannot run there (because it reads tensor values, say) is called again on the CPU. Choices for which
    the function raises still are an architecture: building it raises the same, so that a ranking lists it as failed.
    The function must depend on nothing but the answers.

    Args:
        build: calls `choose.int`, `choose.one_of` and `choose.bool` and returns a `torch.nn.Module`. Whether a choice
            is asked may depend on earlier answers. If it has a parameter `fidelity`, it gets the `Fidelity` too and
            should scale itself with `fidelity.channels` and `fidelity.layers`; if not, building at another width or
            depth raises `InputError`.
        name: of the space; that of the function by default.

    Raises:
        InputError: `build` does not take these arguments.

    >>> def mlp(choose):
    ...     width = choose.int("width", 8, 64, step=8)
    ...     layers = [nn.Flatten(), nn.Linear(64, width), nn.ReLU()]
    ...     if choose.bool("dropout"):
    ...         layers.append(nn.Dropout(choose.one_of("rate", [0.1, 0.5])))
    ...     return nn.Sequential(*layers, nn.Linear(width, 10))
    >>> space = from_function(mlp)
    >>> arch = space.parse("width=16,dropout=True,rate=0.5")
    >>> space.build(arch)[3]
    Dropout(p=0.5, inplace=False)
    >>> sum(1 for _ in space)
    24
    """
    title = name or str(getattr(build, "__name__", type(build).__name__))
    signature = inspect.signature(build)
    scalable = "fidelity" in signature.parameters
    try:
        signature.bind(None, **({"fidelity": FULL} if scalable else {}))
    except TypeError as error:
        raise InputError(
            f"a space's function takes `choose` and, optionally, `fidelity`, but {title!r} is {title}{signature}"
        ) from error
    full = partial(build, fidelity=FULL) if scalable else build
    return ChoiceSpace(title, partial(_ask_only, full), partial(_build, build, title, scalable))


def _build(build: Callable[..., nn.Module], name: str, scalable: bool, choose: Choose, fidelity: Fidelity) -> nn.Module:
    if scalable:
        return build(choose, fidelity=fidelity)
    if (fidelity.width, fidelity.depth) != (1.0, 1.0):
        raise InputError(
            f"{name!r} cannot be built at {fidelity}: give the function a second parameter `fidelity` and use "
            "`fidelity.channels` and `fidelity.layers` in it, or score at full width and depth"
        )
    return build(choose)


def _ask_only(build: Callable[[Choose], nn.Module], choose: Choose) -> None:
    """Call a function for its choices alone; an error that it raises is raised again, and reported, when it builds."""
    for device in ("meta", "cpu"):
        try:
            with seeded(0), torch.device(device):
                build(choose)
            return
        except (InputError, KeyboardInterrupt):
            raise
        except BaseException:  # noqa: BLE001
            continue


@lru_cache(maxsize=4096)
def _options_asked(choose: Callable[[Choose], object], arch: Architecture) -> Mapping[str, Options]:
    """The choices that are asked on the way to `arch`, and the options of each."""
    asking = Choose(_replay(arch))
    choose(asking)
    return {name: options for name, (options, _) in asking.asked.items()}


def _replay(arch: Architecture) -> Pick:
    return _answer_from_texts({name: str(value) for name, value in arch.choices}, str(arch))


def _answer_from_texts(answers: Mapping[str, str], source: str) -> Pick:
    """Answers given as texts; `source` is what they were read from, for error messages."""

    def pick(name: str, options: Options) -> Value:
        if name not in answers:
            raise InputError(f"{source!r} lacks the choice {name!r}; add one of {describe_options(options)}")
        for option in options:
            if str(option) == answers[name]:
                return option
        raise InputError(
            f"{name}={answers[name]} in {source!r} is not an option; use one of {describe_options(options)}"
        )

    return pick


def _draw_one(options: Sequence[Value], rng: np.random.Generator) -> Value:
    return options[int(rng.integers(len(options)))]
