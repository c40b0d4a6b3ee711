"""Several proxies combined into one number."""

from zerocost.combine.combination import Combination, load
from zerocost.combine.ranks import agreement, consensus, log_rank, rank_mean, vote
from zerocost.combine.reduced import reduced
from zerocost.combine.wanted import as_combination, as_proxies, default, for_inputs, proxies_for, tokens

__all__ = [
    "Combination",
    "agreement",
    "as_combination",
    "as_proxies",
    "consensus",
    "default",
    "for_inputs",
    "load",
    "log_rank",
    "proxies_for",
    "rank_mean",
    "reduced",
    "tokens",
    "vote",
]
