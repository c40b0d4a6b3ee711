"""Whether less of a metric is better, by its name."""

from __future__ import annotations

import re

_LESS = {
    *("loss", "error", "err", "mae", "mse", "rmse", "mape", "medae", "distance", "divergence"),
    *("nll", "ce", "bce", "entropy", "kl", "brier", "ece", "eer"),
    *("perplexity", "ppl", "bpc", "bpb", "wer", "cer", "ter", "fid", "kid", "lpips"),
    *("latency", "energy"),
}
"""Words for what less is better of."""
_LIKELIHOOD, _NEGATED = {"likelihood", "loglikelihood"}, {"neg", "negative"}


def falls(metric: str) -> bool:
    """Whether less of what a benchmark calls so is better, by the words of the name, of which "neg" is the reverse.

    >>> [falls(name) for name in ("test_loss", "top1_err", "FID", "latency_ms", "negative_log_likelihood")]
    [True, True, True, True, True]
    >>> [falls(name) for name in ("test_accuracy", "valid_neg_loss", "r2", "log_likelihood", "lossless")]
    [False, False, False, False, False]
    """
    words = set(re.split(r"[^a-z0-9]+", metric.lower()))
    negated = bool(words & _NEGATED)
    return bool(words & _LESS) != negated if words & (_LESS | _LIKELIHOOD) else False
