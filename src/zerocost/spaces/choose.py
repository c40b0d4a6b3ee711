"""The object that a space's function asks for its choices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NoReturn, TypeAlias, TypeVar, cast

from zerocost.base.errors import InputError
from zerocost.spaces.architecture import Architecture, Value

T = TypeVar("T", bound=Value)
Options = tuple[Value, ...] | range
_SCALARS = (str, int, float, type(None))
Pick = Callable[[str, Options], Value]
_Int: TypeAlias = int
_Bool: TypeAlias = bool


class Choose:
    """Asks for choices and remembers them; a space's function is called with one.

    A name asked again with the same options gets the same answer; with other options it raises `InputError`.

    Args:
        pick: answers: from a name and its options to one of the options.

    >>> choose = Choose(lambda name, options: options[-1])
    >>> choose.int("width", 8, 64, step=8), choose.bool("residual"), choose.one_of("norm", ["none", "batch"])
    (64, True, 'batch')
    >>> str(choose.architecture())
    'width=64,residual=True,norm=batch'
    """

    def __init__(self, pick: Pick) -> None:
        self._pick = pick
        self.asked: dict[str, tuple[Options, Value]] = {}

    def int(self, name: str, low: _Int, high: _Int, step: _Int = 1) -> _Int:
        """A whole number from `low` to `high`, both included, in steps of `step`."""
        return cast(_Int, self._ask(name, _integers(name, low, high, step)))

    def one_of(self, name: str, options: Sequence[T]) -> T:
        """One of `options`, in their order: texts, numbers, booleans or `None`."""
        if isinstance(options, set | frozenset):
            raise InputError(
                f"the options of choice {name!r} are a set, whose order is another one in each process; give a list"
            )
        for option in options:
            if not isinstance(option, _SCALARS):
                raise InputError(
                    f"an option of choice {name!r} must be a text, a number, True, False or None, but got {option!r}; "
                    "offer a name and look the object up in a dict"
                )
        return cast(T, self._ask(name, _options(name, *options)))

    def bool(self, name: str) -> _Bool:
        """`False` or `True`."""
        return self.one_of(name, (False, True))

    def __getattr__(self, name: str) -> NoReturn:
        raise AttributeError(
            f"a choice is asked by int, one_of or bool, but there is no {name!r}; of fractions offer some, as in "
            "choose.one_of('rate', [0.1, 0.3])"
        )

    def architecture(self) -> Architecture:
        """The choices made so far."""
        choices = tuple([(name, value) for name, (_, value) in self.asked.items()])
        return Architecture(",".join([f"{name}={value}" for name, value in choices]), choices)

    def _ask(self, name: str, options: Options) -> Value:
        if name in self.asked:
            before, value = self.asked[name]
            if before != options:
                raise InputError(
                    f"choice {name!r} is asked twice with different options, {describe_options(before)} and then "
                    f"{describe_options(options)}; give the second one a name of its own"
                )
            return value
        value = self._pick(name, options)
        self.asked[name] = (options, value)
        return value


def describe_options(options: Options) -> str:
    """The options for a message, shortened after twelve."""
    shown = [str(option) for option in options[:12]]
    return ", ".join(shown if len(options) <= 12 else [*shown[:11], f"… {options[-1]}"])


@lru_cache(maxsize=1024, typed=True)
def _integers(name: str, low: int, high: int, step: int) -> range:
    _check_name(name)
    if not all(isinstance(number, int) for number in (low, high, step)) or step < 1 or low > high:
        raise InputError(
            f"choice {name!r} needs whole numbers low <= high and step >= 1, but got low={low!r}, high={high!r}, "
            f"step={step!r}"
        )
    return range(low, high + 1, step)


@lru_cache(maxsize=1024, typed=True)
def _options(name: str, *options: Value) -> tuple[Value, ...]:
    _check_name(name)
    if not options:
        raise InputError(f"choice {name!r} has no options; give at least one")
    for option in options:
        if option != option:  # noqa: PLR0124
            raise InputError(f"an option of choice {name!r} is NaN, which equals nothing; use None")
        if isinstance(option, str) and ("," in option or option != option.strip()):
            raise InputError(f"option {option!r} of choice {name!r} must have no comma and no space around it")
    if len(set(options)) < len(options) or len({str(option) for option in options}) < len(options):
        raise InputError(f"choice {name!r} has options that look the same: {describe_options(options)}; remove one")
    return options


def _check_name(name: str) -> None:
    if not isinstance(name, str) or not name or set(name) & set(",=") or name != name.strip():
        raise InputError(f"a choice needs a name without comma, equals sign or space around it, but got {name!r}")
