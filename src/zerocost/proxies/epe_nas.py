from __future__ import annotations

import torch
from torch import Tensor

from zerocost.base.errors import Failure
from zerocost.engine.proxy import proxy
from zerocost.proxies.reduce import check_several


@proxy(paper="Lopes et al., EPE-NAS, ICANN 2021", group="Jacobians, tangent kernel and Fisher information")
def epe_nas(input_jacobian: Tensor, labels: Tensor) -> Tensor:
    r"""Correlation of the input Jacobian within classes, :math:`\sum_c |\sum_{ij} \log(|C^c_{ij}| + 10^{-5})|`.

    :math:`C^c` is the correlation matrix of the rows of :math:`J` whose samples are of class :math:`c`; row :math:`n`
    of :math:`J` is the gradient of the summed outputs to sample :math:`n`. With more than 100 classes the sum is
    replaced by the mean difference between two classes, as in the authors' code. A class of one sample adds about
    nothing.

    Args:
        input_jacobian: :math:`J`, N×D.
        labels: class of each sample, N whole numbers.

    Returns:
        A non-negative scalar.

    Raises:
        Failure: labels are not one class a sample, or a row of :math:`J` is constant.

    >>> import torch
    >>> jacobian = torch.tensor([[1.0, 0.0, -1.0], [1.0, 0.1, -1.0], [0.0, 1.0, 2.0]])
    >>> round(epe_nas(jacobian, torch.tensor([0, 0, 1])).item(), 4)
    0.0033
    """
    check_several(input_jacobian)
    if labels.ndim != 1 or labels.is_floating_point():
        raise Failure(f"needs one class a sample, but labels are {labels.dtype} of shape {tuple(labels.shape)}")
    rows = input_jacobian.double() - input_jacobian.double().mean(1, keepdim=True)
    lengths = rows.norm(dim=1, keepdim=True)
    if not bool((lengths > 0).all()):
        raise Failure("the outputs do not depend on a sample, or equally on all of it: it correlates with no other")
    correlation = ((rows / lengths) @ (rows / lengths).T).clamp(-1, 1)
    classes: Tensor = labels.unique()  # type: ignore[no-untyped-call]
    scores = torch.stack([_class_score(correlation, labels == c) for c in classes])
    if len(classes) <= 100:
        return scores.abs().sum()
    pairs = len(classes) * (len(classes) - 1) / 2
    return torch.pdist(scores[:, None], p=1).sum() / pairs


def _class_score(correlation: Tensor, members: Tensor) -> Tensor:
    return (correlation[members][:, members].abs() + 1e-5).log().sum()
