"""Several proxies combined into one number."""

from zerocost.combine.combination import Combination, as_combination, as_proxies, load
from zerocost.combine.ranks import log_rank, rank_mean, vote

__all__ = ["Combination", "as_combination", "as_proxies", "default", "load", "log_rank", "rank_mean", "vote"]

default = as_combination("default")
"""The combination that rankings and searches use by default; docs/combining.md shows why."""
