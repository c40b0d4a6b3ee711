"""VKDNW in plain steps, apart from the engine: with the Fisher information, or what the authors' code has for it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

ELEMENTS = 128
Product = Callable[[np.ndarray, np.ndarray], np.ndarray]


def vkdnw(model: nn.Module, inputs: Tensor, information: Product) -> float:
    """Entropy of the deciles of F, the mean over samples of `information(logits, Jacobian)`; changes the mode."""
    logits, jacobian = first_element_jacobian(model.eval(), inputs)
    matrix = np.mean([information(*sample) for sample in zip(logits.numpy(), jacobian.numpy(), strict=True)], axis=0)
    deciles = np.quantile(np.linalg.svd(matrix, compute_uv=False), np.arange(1, 10) / 10)
    shares = deciles / (deciles.sum() + 1e-10)
    return float(-(shares * np.log(shares + 1e-10)).sum())


def first_element_jacobian(model: nn.Module, inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Logits N×C, and their Jacobian N×C×P to the first element of each of the first 128 parameter tensors."""
    tensors = {name: p.detach() for name, p in list(model.named_parameters())[:ELEMENTS]}

    def logits(steps: Tensor, sample: Tensor) -> Tensor:
        moved = {}
        for step, (name, tensor) in zip(steps, tensors.items(), strict=True):
            rest = tensor.new_zeros(tensor.numel() - 1)
            moved[name] = tensor + torch.cat([step[None], rest]).reshape(tensor.shape)
        return torch.func.functional_call(model, moved, sample[None])[0]

    zero = inputs.new_zeros(len(tensors))
    found = [(logits(zero, x).detach(), torch.func.jacrev(logits)(zero, x).detach()) for x in inputs]
    return torch.stack([outputs for outputs, _ in found]), torch.stack([rows for _, rows in found])


def fisher(logits: np.ndarray, jacobian: np.ndarray) -> np.ndarray:
    """Jᵀ (diag(p) − p pᵀ) J of one sample."""
    p = np.exp(logits - logits.max())
    p = 0.95 * p / p.sum() + 0.05 / len(p)
    return jacobian.T @ (np.diag(p) - np.outer(p, p)) @ jacobian


def transposed(logits: np.ndarray, jacobian: np.ndarray) -> np.ndarray:
    """(L J)ᵀ L J as in the authors' code: the Fisher information has Lᵀ for L, where L Lᵀ = diag(p) − p pᵀ.

    Their 0.05 is a float16, so that p does not sum to 1; L is found column by column, and its last one is 0.
    """
    smoothing = np.float16(0.05)
    p = np.exp(logits - logits.max())
    p = p / p.sum() * float(np.float16(1) - smoothing) + float(smoothing / np.float16(len(p)))
    left = np.append(1 - np.cumsum(p)[:-1], 0.0)  # probability of the classes behind each
    before = np.append(1.0, left[:-1])
    factor = np.zeros((len(p), len(p)))
    for j in range(len(p) - 1):
        factor[j, j] = np.sqrt(p[j] * left[j] / before[j])
        factor[j + 1 :, j] = -p[j + 1 :] / left[j] * factor[j, j]
    return (factor @ jacobian).T @ (factor @ jacobian)
