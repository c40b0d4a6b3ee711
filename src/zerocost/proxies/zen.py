from __future__ import annotations

import torch
from torch import Tensor

from zerocost.base.errors import Failure
from zerocost.engine.proxy import proxy
from zerocost.engine.signals import Tensors


@proxy(paper="Lin et al., Zen-NAS, ICCV 2021", group="features")
def zen(features: Tensor, perturbed_features: Tensor, batch_norm_variances: Tensors) -> Tensor:
    r"""How far features move, :math:`\log E_n \|f(x_n) - f(x_n + \alpha\epsilon_n)\|_1 + \sum_b \log {\bar\sigma}_b`.

    :math:`f` is the last map before pooling, :math:`\epsilon` standard normal and :math:`\alpha` the setting
    `perturbation` (0.01). :math:`{\bar\sigma}_b^2` is the mean over channels of the running variance of BatchNorm
    :math:`b` after both passes, which undoes its normalisation. In networks without maps :math:`f` is what the last
    linear layer is given. By default the network is scored as it is, on the batch; the paper draws weights from N(0,
    1), feeds noise and averages 32 repeats (`zerocost.proxies.papers.paper("zen")`).

    Args:
        features: :math:`f(x)`, N×….
        perturbed_features: :math:`f(x + \alpha\epsilon)`, same shape.
        batch_norm_variances: :math:`{\bar\sigma}_b^2`, a scalar for each BatchNorm.

    Returns:
        A scalar.

    Raises:
        Failure: the features do not depend on the input, or their shape does.

    >>> import torch
    >>> round(zen(torch.zeros(2, 3), torch.ones(2, 3), [torch.tensor(4.0)]).item(), 4)
    1.7918
    """
    if features.shape != perturbed_features.shape:
        shapes = f"{tuple(features.shape)} on the batch and {tuple(perturbed_features.shape)} a small step away"
        raise Failure(
            f"the features have shape {shapes}, expected one shape; make it independent of the input's values, or take "
            "another proxy"
        )
    change = (features - perturbed_features).double().flatten(1).abs().sum(1).mean()
    if not change > 0:
        raise Failure("no path from input to output: the features do not depend on the input")
    return change.log() + sum((0.5 * v.double().log() for v in batch_norm_variances), torch.zeros_like(change))
