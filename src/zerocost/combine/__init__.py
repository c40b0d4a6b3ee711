"""Several proxies made one."""

from zerocost.combine.ranks import log_rank

__all__ = ["log_rank"]
