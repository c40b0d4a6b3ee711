"""Several proxies made one number."""

from zerocost.combine.combination import Combination, as_combination, load, parts
from zerocost.combine.ranks import log_rank, rank_mean, vote

__all__ = ["Combination", "as_combination", "default", "load", "log_rank", "parts", "rank_mean", "vote"]

default = as_combination("default")
"""The combination that rankings and searches use unless told otherwise; docs/combining.md shows why this one."""
