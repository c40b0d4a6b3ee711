from __future__ import annotations

from zerocost.engine.signals import Tensors
from zerocost.proxies.registry import proxy


@proxy(paper="Wang et al., W-PCA, ICLR 2025")
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

    >>> import torch
    >>> w_pca([torch.tensor([1.0, 1.0, 0.0])], 10)
    20
    """
    components = 0
    for spectrum in feed_forward_spectra:
        shares = spectrum.double().cumsum(0) / spectrum.double().sum()
        components += min(int((shares <= eta).sum()) + 1, len(shares))
    return parameter_count * components
