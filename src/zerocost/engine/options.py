"""Options as they are written in the name of a proxy: zico(parts=4)."""

from __future__ import annotations

import ast
from typing import Any

from zerocost.base.errors import InputError


def parse_options(text: str) -> dict[str, Any]:
    """Options out of "name(option=value, …)"; values are numbers, None or words.

    >>> parse_options("zen(inputs=noise, samples=16.0)")
    {'inputs': 'noise', 'samples': 16}
    """
    try:
        call = ast.parse(text, mode="eval").body
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or call.args:
            raise ValueError
        if len({k.arg for k in call.keywords}) < len(call.keywords):
            raise ValueError
        return {
            str(k.arg): k.value.id if k.arg and isinstance(k.value, ast.Name) else as_whole(ast.literal_eval(k.value))
            for k in call.keywords
        }
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        raise InputError(f"expected NAME(OPTION=VALUE, …), as in zico(parts=4), got {text!r}") from None


def as_whole(value: Any) -> Any:
    """A floating whole number as an integer, so that 2 and 2.0 are one option; any other value as it is.

    >>> as_whole(2.0), as_whole(0.5), as_whole(1e300), as_whole("eval")
    (2, 0.5, 1e+300, 'eval')
    """
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else value


def format_options(options: dict[str, Any]) -> str:
    """Options as in a call.

    >>> format_options({"mode": "eval", "samples": 4})
    'mode=eval, samples=4'
    """
    return ", ".join(f"{name}={value}" for name, value in options.items())


def as_spelled(name: str) -> str:
    """A proxy's name as the proxy has it: its options in the order of the alphabet. Any other text as it is.

    >>> as_spelled("zico(parts=4,mode=eval)"), as_spelled("snip"), as_spelled("a(b")
    ('zico(mode=eval, parts=4)', 'snip', 'a(b')
    """
    base, bracket, rest = name.partition("(")
    try:
        options = parse_options(f"f({rest}") if bracket else {}
    except InputError:
        return name
    return f"{base}({format_options(dict(sorted(options.items())))})" if options else name
