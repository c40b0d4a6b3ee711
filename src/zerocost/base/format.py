"""How numbers, units and names are written, in text, tables and plots."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from zerocost.base.units import unit_of

Formatter = Callable[[float], str]
MISSING = "–"
SPACE = "\N{NO-BREAK SPACE}"


def number(value: float | None, digits: int = 4) -> str:
    """A score to a few significant digits; `–` when there is none.

    >>> number(0.123456), number(-12345.6), number(3.2e41), number(float("nan"))
    ('0.1235', '−12,346', '3.20e41', '–')
    """
    if value is None or not math.isfinite(value):
        return MISSING
    size = abs(value)
    if value == 0:
        text = "0"
    elif size < 1e-3 or size >= 1e6:
        mantissa, exponent = f"{value:.2e}".split("e")
        text = f"{mantissa}e{int(exponent)}"
    elif size >= 1000:
        text = f"{value:,.0f}"
    else:
        text = f"{value:.{digits}g}"
    return text.replace("-", "−")


def fixed(value: float | None, digits: int = 2) -> str:
    """A number with a fixed number of decimals and a real minus sign.

    >>> fixed(-0.5), fixed(-0.001), fixed(None)
    ('−0.50', '0.00', '–')
    """
    if value is None or not math.isfinite(value):
        return MISSING
    return f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "−")


def signed(value: float | None, digits: int = 2) -> str:
    """`fixed`, with a sign in front of numbers from 0 on too.

    >>> signed(0.5), signed(-0.5), signed(-0.001), signed(None)
    ('+0.50', '−0.50', '+0.00', '–')
    """
    text = fixed(value, digits)
    return text if text == MISSING or text.startswith("−") else f"+{text}"


def signed_places(places: float) -> str:
    """Places won or lost, signed but for 0; empty where they are not known.

    >>> signed_places(3.0), signed_places(-12.0), signed_places(0.0), signed_places(math.nan)
    ('+3', '−12', '0', '')
    """
    return "" if math.isnan(places) else signed(places, 0) if places else "0"


def count(value: float | None) -> str:
    """A number of parameters or operations with its unit prefix.

    >>> [count(v).replace(SPACE, " ") for v in (987, 12_345, 999_990, 1.24e6)]
    ['987', '12.3 k', '1.0 M', '1.2 M']
    """
    if value is None or not math.isfinite(value):
        return MISSING
    if value < 999.5:
        return f"{value:.0f}"
    for scale, prefix in ((1e3, "k"), (1e6, "M")):
        if round(value / scale, 1) < 1000:
            return f"{value / scale:.1f}{SPACE}{prefix}"
    return f"{value / 1e9:.1f}{SPACE}G"


def formatter_for(name: str) -> Formatter:
    """The function that writes the values of a score or a cost, with its unit.

    >>> formatter_for("params")(12_345).replace(SPACE, " "), formatter_for("snip")(12_345)
    ('12.3 k', '12,345')
    >>> formatter_for("flash")(12_345).replace(SPACE, " "), formatter_for("latency")(1.25).replace(SPACE, " ")
    ('12.3 kB', '1.25 ms')
    >>> formatter_for("partial_params")(0.217)
    '0.217'
    """
    unit = unit_of(name)
    if unit == "B":
        return _size
    if unit:
        return lambda value: number(value) if number(value) == MISSING else f"{number(value)}{SPACE}{unit}"
    return lambda value: (count if is_count(name, value) else number)(value)


def is_count(name: str, value: float | None) -> bool:
    """Whether a value is a number of parameters or operations, or a mean of such; not a share or correlation of them.

    >>> is_count("params", 12_345.0), is_count("share_of_params", 0.95), is_count("snip", 12_345.0)
    (True, False, False)
    """
    if value is None or not name.endswith(("params", "flops")):
        return False
    return value >= 1000 or (value >= 0 and value % 1 == 0)


def _size(value: float | None) -> str:
    """A number of bytes.

    >>> [_size(v).replace(SPACE, " ") for v in (987, 12_345)]
    ['987 B', '12.3 kB']
    """
    text = count(value)
    return text if text == MISSING else f"{text}{'' if SPACE in text else SPACE}B"


def percent(fraction: float | None) -> str:
    """A fraction in [0, 1] as a percentage.

    >>> percent(0.71234).replace(SPACE, " ")
    '71.2 %'
    """
    if fraction is None or not math.isfinite(fraction):
        return MISSING
    return f"{fixed(100 * fraction, 1)}{SPACE}%"


def seconds(value: float) -> str:
    """A duration in the unit a person would use.

    >>> [seconds(v).replace(SPACE, " ") for v in (0.0123, 12.34, 200, 7500)]
    ['12 ms', '12.3 s', '3 min 20 s', '2 h 05 min']
    """
    if not math.isfinite(value):
        return MISSING
    if value < 0.9995:
        return f"{1000 * value:.0f}{SPACE}ms"
    if value < 59.95:
        return f"{value:.1f}{SPACE}s"
    whole = round(value)
    if whole < 3600:
        return f"{whole // 60}{SPACE}min{SPACE}{whole % 60:02d}{SPACE}s"
    minutes = round(value / 60)
    return f"{minutes // 60}{SPACE}h{SPACE}{minutes % 60:02d}{SPACE}min"


def plural(number_of: int, one: str, many: str = "") -> str:
    """A count with its noun.

    >>> plural(1, "seed"), plural(2000, "proxy", "proxies")
    ('1 seed', '2,000 proxies')
    """
    return f"{number_of:,} {one if number_of == 1 else many or one + 's'}"


def join_words(parts: Sequence[str]) -> str:
    """Words as a list in a sentence.

    >>> join_words(["a"]), join_words(["a", "b", "c"])
    ('a', 'a, b and c')
    """
    return " and ".join([", ".join(parts[:-1]), *parts[-1:]]) if len(parts) > 1 else "".join(parts)


def shorten(name: str, limit: int = 44) -> str:
    """A long name with its middle left out, for plots.

    >>> shorten("abcdefghij", 7)
    'abc…hij'
    """
    if len(name) <= limit:
        return name
    half = (limit - 1) // 2
    return f"{name[:half]}…{name[-half:]}"


def name_of(function: object) -> str:
    """The name of a function, or the class of any other object.

    >>> name_of(len), name_of(1.5)
    ('len', 'float')
    """
    return str(getattr(function, "__name__", type(function).__name__))


def setting_text(value: object) -> str:
    """A setting as plain text.

    >>> [setting_text(value) for value in (None, True, ["snip", "grasp"], {"lr": 0.1}, [])]
    ['none', 'yes', 'snip, grasp', 'lr: 0.1', 'none']
    """
    match value:
        case None:
            text = "none"
        case bool():
            text = "yes" if value else "no"
        case Mapping():
            text = ", ".join(f"{key}: {setting_text(part)}" for key, part in value.items())
        case list() | tuple():
            text = ", ".join(map(setting_text, value))
        case set() | frozenset():
            text = ", ".join(sorted(map(setting_text, value)))
        case _:
            text = str(value)
    return text or "none"
