"""Several proxies made one number."""

from zerocost.combine.combination import Combination, load, of, parts
from zerocost.combine.ranks import log_rank, rank_mean, vote

__all__ = ["Combination", "default", "load", "log_rank", "of", "parts", "rank_mean", "vote"]

default = of("default")
"""The combination that rankings and searches use unless told otherwise; docs/combining.md shows why this one."""
