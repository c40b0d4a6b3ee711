from __future__ import annotations

import pytest

from zerocost.benchmarks.direction import falls
from zerocost.tasks.metrics import METRICS

LESS = "mae rmse nll ce cross_entropy wer bpc FID top1_err latency_ms val_loss error_rate Perplexity_mean train-mse"


@pytest.mark.parametrize("name", [*LESS.split(), "negative_log_likelihood", "neg_log_likelihood"])
def test_less_is_better_by_the_words_of_a_name(name):
    assert falls(name)


@pytest.mark.parametrize("name", ["acc", "ms_ssim", "mIoU", "score", "valid_neg_loss", "log_likelihood"])
def test_more_is_better_of_all_others(name):
    assert not falls(name)


def test_names_of_the_metrics_of_trainings_tell_their_direction():
    assert {name for name in METRICS if falls(name)} == {n for n, m in METRICS.items() if not m.higher_is_better}
