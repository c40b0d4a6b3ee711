from __future__ import annotations

from fractions import Fraction

from zerocost.engine.proxy import proxy


@proxy(paper="baseline", group="budgets")
def kv_cache(cached_values: Fraction) -> float:
    r"""Bytes that attention keeps of each token while text is generated, in float32: its keys and values.

    :math:`4 \sum_\ell 2\, h_\ell d_\ell` for layers of :math:`h` heads of keys and values, each of :math:`d` numbers.
    Heads that several queries share (grouped-query and multi-query attention) count once. It is 0 without attention.
    The cache of a batch of n texts of t tokens takes n · t times as much.

    Args:
        cached_values: numbers a token.

    Returns:
        A number, 0 or more.

    Paper: Ainslie et al., "GQA", EMNLP 2023, for shared heads.

    >>> kv_cache(Fraction(128))
    512.0
    """
    return 4 * float(cached_values)


@proxy(paper="baseline", group="budgets")
def kv_cache_fp16(cached_values: Fraction) -> float:
    """`kv_cache` where each number takes two bytes.

    Args:
        cached_values: numbers a token.

    Returns:
        A number, 0 or more.

    >>> kv_cache_fp16(Fraction(128))
    256.0
    """
    return 2 * float(cached_values)


@proxy(paper="baseline", group="budgets")
def kv_cache_int8(cached_values: Fraction) -> float:
    """`kv_cache` where each number takes one byte.

    Args:
        cached_values: numbers a token.

    Returns:
        A number, 0 or more.

    >>> kv_cache_int8(Fraction(128))
    128.0
    """
    return float(cached_values)
