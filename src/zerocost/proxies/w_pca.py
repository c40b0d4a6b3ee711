from __future__ import annotations

from zerocost.base.errors import Failure
from zerocost.engine.proxy import proxy
from zerocost.engine.signals import Tensors


@proxy(paper="Wang et al., W-PCA, ICLR 2025", group="transformers")
def w_pca(feed_forward_spectra: Tensors, parameter_count: int, *, eta: float = 0.99) -> int:
    r"""Principal components of the feed-forward layers times size, :math:`P \sum_f \mathrm{dim}_\eta(f)`.

    :math:`\mathrm{dim}_\eta(f)` is how many principal components of the hidden units of feed-forward layer :math:`f`,
    before the activation and over samples and tokens, it takes to reach the share :math:`\eta` of their variance;
    :math:`P` is the number of parameters. For transformers; needs no labels.

    Args:
        feed_forward_spectra: for each layer the eigenvalues of the covariance of its hidden units, largest first.
        parameter_count: :math:`P`.
        eta: the share.

    Returns:
        A whole number.

    Raises:
        Failure: all hidden units are constant, or `eta` is no share.

    >>> import torch
    >>> w_pca([torch.tensor([1.0, 1.0, 0.0])], 10)
    20
    """
    components = 0
    if not 0 < eta <= 1:
        raise Failure(f"eta is a share of the variance, above 0 and at most 1, got {eta}")
    for spectrum in feed_forward_spectra:
        if not bool(spectrum.sum() > 0):
            continue
        shares = spectrum.double().cumsum(0) / spectrum.double().sum()
        components += min(int((shares <= eta).sum()) + 1, len(shares))
    if not components:
        raise Failure("the hidden units of all feed-forward layers are constant")
    return parameter_count * components
