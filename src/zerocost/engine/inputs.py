"""A network's inputs: a tensor, or a structure of tensors, with the samples along the first axis."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map

from zerocost.base.errors import Failure


def sample_count(inputs: Any) -> int:
    """Number of samples: the length of the first tensor that has an axis.

    >>> import torch
    >>> sample_count({"scale": torch.tensor(1.0), "image": torch.zeros(8, 3)})
    8
    """
    return next(len(t) for t in tree_leaves(inputs) if isinstance(t, Tensor) and t.ndim)


def sample_test(inputs: Any) -> Callable[[Any], bool]:
    """A test for the tensors in `inputs` that hold a row for each sample, unlike a scale or a mask for all of them."""
    samples = sample_count(inputs)
    return lambda value: isinstance(value, Tensor) and tuple(value.shape[:1]) == (samples,)


def call(network: Callable[..., Any], inputs: Any) -> Any:
    """What a network returns: a tuple or list of inputs is passed as positional arguments, a mapping as keywords.

    >>> call(lambda *, a, b: a - b, {"b": 1, "a": 3})
    2
    """
    if isinstance(inputs, Mapping):
        return network(**inputs)
    return network(*inputs) if isinstance(inputs, tuple | list) else network(inputs)


def describe_given(error: BaseException, inputs: Any, samples: int | None) -> str:
    """What a network was given that raised, where it takes another number of inputs, smaller ids, shapes of other
    samples, or sets a parameter.
    """
    if isinstance(error, TypeError) and "positional argument" in str(error) and isinstance(inputs, tuple | list):
        return f"; the data gives it {len(inputs)} inputs, one after the other"
    if isinstance(error, TypeError) and "torch.nn.Parameter or None expected" in str(error):
        return "; it is given tensors in place of parameters, so change one by a method, as p.add_(1), not by p += 1"
    if "index out of range in self" in str(error) and (ids := [t for t in tree_leaves(inputs) if _are_ids(t)]):
        low, high = min(int(t.min()) for t in ids), max(int(t.max()) for t in ids)
        return f"; the whole numbers that it was given are {low} to {high}"
    of_shapes = any(word in str(error) for word in ("shape", "size"))
    part = of_shapes and samples is not None and sample_count(inputs) != samples
    return f"; it was given {sample_count(inputs)} of the batch's {samples} samples" if part else ""


def _are_ids(value: Any) -> bool:
    """Whether a value holds whole numbers as an embedding takes them."""
    return isinstance(value, Tensor) and value.dtype in (torch.int32, torch.int64) and value.numel() > 0


def take_samples(inputs: Any, start: int, stop: int) -> Any:
    """The samples from `start` up to `stop`; tensors without a row for each sample are kept whole.

    >>> import torch
    >>> [t.shape for t in take_samples((torch.zeros(8, 3), torch.zeros(3, 3)), 0, 2)]
    [torch.Size([2, 3]), torch.Size([3, 3])]
    """
    sampled = sample_test(inputs)
    return tree_map(lambda value: value[start:stop] if sampled(value) else value, inputs)


def as_leaves(inputs: Any) -> Any:
    """The tensors detached from their graph; floating-point ones with a row for each sample take a gradient."""
    sampled = sample_test(inputs)

    def leaf(value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        return value.detach().requires_grad_(sampled(value) and value.is_floating_point())

    return tree_map(leaf, inputs)


def clone_tensors(inputs: Any) -> Any:
    """Clones of all tensors, for a network that may write into them."""
    return tree_map(lambda value: value.clone() if isinstance(value, Tensor) else value, inputs)


def noise_like(inputs: Any, pixels: int | None, generator: torch.Generator) -> Any:
    """Standard normal numbers in the shape of each floating-point tensor that has a row for each sample.

    Args:
        inputs: what the noise takes the place of.
        pixels: height and width of the noise for images N×C×H×W; None for theirs.
        generator: draws the numbers.

    Raises:
        Failure: there is nothing to draw, as for tokens.

    >>> noise_like(torch.zeros(2, 3, 8, 8), 4, torch.Generator()).shape
    torch.Size([2, 3, 4, 4])
    """
    sampled = sample_test(inputs)
    if not any(sampled(value) and value.is_floating_point() for value in tree_leaves(inputs)):
        raise Failure("the inputs are not floating-point: there is no Gaussian noise in their place")

    def drawn(value: Any) -> Any:
        if not sampled(value) or not value.is_floating_point():
            return value
        images = pixels is not None and value.ndim == 4
        shape = (*value.shape[:2], pixels, pixels) if images else value.shape
        return torch.randn(shape, generator=generator, dtype=torch.float64).to(value.device, value.dtype)

    return tree_map(drawn, inputs)
