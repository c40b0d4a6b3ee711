"""Your own signal and two proxies that use it; they share their passes with a built-in proxy."""

import torch
from torch import Tensor, nn

import zerocost as zc


@zc.signal
def relative_gradients(weights: list[Tensor], weight_gradients: list[Tensor]) -> Tensor:
    """For each weight matrix, in the order of the network: the norm of its gradient over its own."""
    return torch.stack([g.norm() / w.norm() for w, g in zip(weights, weight_gradients, strict=True)])


@zc.proxy(paper="this example")
def least_gradient(relative_gradients: Tensor) -> Tensor:
    r"""The smallest relative gradient of a layer, :math:`\min_l \lVert g_l\rVert / \lVert w_l\rVert`."""
    return relative_gradients.min()


@zc.proxy(paper="this example", higher_is_better=False)
def imbalance(relative_gradients: Tensor) -> Tensor:
    r"""How much relative gradients differ between layers, :math:`\operatorname{std}_l \log r_l`; small is good."""
    return relative_gradients.log().std()


def network(depth: int) -> nn.Module:
    """A multilayer perceptron with sigmoids, so that gradients vanish with depth."""
    hidden = [layer for _ in range(depth) for layer in (nn.Linear(16, 16), nn.Sigmoid())]
    return nn.Sequential(nn.Linear(8, 16), *hidden, nn.Linear(16, 2))


print(zc.explain("least_gradient,imbalance,snip"), "\n")

inputs = torch.rand(64, 8, generator=torch.Generator().manual_seed(0))
labels = (inputs.sum(1) > 4).long()
networks = {f"depth={depth}": lambda depth=depth: network(depth) for depth in (1, 2, 4, 8)}
print(zc.rank(networks, (inputs, labels), "least_gradient,imbalance"))
