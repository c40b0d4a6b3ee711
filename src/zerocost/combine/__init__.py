"""Several proxies made one."""

from zerocost.combine.ranks import log_rank, log_rank_against

__all__ = ["log_rank", "log_rank_against"]
