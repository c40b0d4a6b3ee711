"""An einsum of two tensors, as torch computes it: one product of matrices for each index that both share and keep."""

from __future__ import annotations

from math import prod
from typing import NamedTuple

from torch import Tensor

from zerocost.engine.calls.call import Call
from zerocost.engine.calls.functions import einsum_operands


class EinsumOfTwo(NamedTuple):
    """An einsum of two tensors in which every index that is summed is in both.

    Attributes:
        sizes: the length of each index.
        output: the indices of what it returns.
        in_order: whether what it returns has its numbers in a row: first the indices of both, then those of the first.
    """

    sizes: dict[str, int]
    output: str
    in_order: bool

    @classmethod
    def of(cls, call: Call) -> EinsumOfTwo | None:
        """The einsum that a call is; None for any other, as with an ellipsis or an index of two lengths.

        >>> import torch
        >>> given = "nqd,nkd->nqk", torch.empty(2, 3, 4), torch.empty(2, 5, 4)
        >>> EinsumOfTwo.of(Call(torch.einsum, "einsum", given, {})).products
        120
        """
        form, *operands = call.args or ("",)
        tensors = einsum_operands(operands)
        if not isinstance(form, str) or len(tensors) != 2 or not all(isinstance(one, Tensor) for one in tensors):
            return None
        given, _, output = form.replace(" ", "").partition("->")
        terms = given.split(",")
        if len(terms) != 2 or not output.isalpha() or any(len(set(term)) != len(term) for term in (*terms, output)):
            return None
        one, other = map(set, terms)
        summed = (one | other) - set(output)
        known = bool(summed) and summed <= one & other and set(output) <= one | other
        if not known or [*map(len, terms)] != [tensor.ndim for tensor in tensors]:
            return None
        lengths = {*zip(terms[0] + terms[1], (*tensors[0].shape, *tensors[1].shape), strict=True)}
        sizes = dict(lengths)
        if len(sizes) < len(lengths) or prod(map(sizes.__getitem__, summed)) == 1:
            return None  # a length of 1 stands for any other, and is not summed
        kinds = [(letter not in one & other, letter not in one) for letter in output]
        return cls(sizes, output, in_order=kinds == sorted(kinds))

    @property
    def products(self) -> int:
        """How many products of two numbers it computes."""
        return prod(self.sizes.values())
