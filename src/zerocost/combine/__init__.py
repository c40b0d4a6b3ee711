"""Several proxies combined into one number."""

from zerocost.combine.combination import Combination, as_combination, as_proxies, default, load
from zerocost.combine.ranks import agreement, consensus, log_rank, rank_mean, vote

__all__ = [
    "Combination",
    "agreement",
    "as_combination",
    "as_proxies",
    "consensus",
    "default",
    "load",
    "log_rank",
    "rank_mean",
    "vote",
]
