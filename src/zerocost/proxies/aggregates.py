"""Aggregates: names that stand for several proxies."""

from __future__ import annotations

AGGREGATES = {
    "default": ("jacob_cov", "log_synflow", "meco_opt", "az_trainability", "flops", "zen"),
    "tokens": ("log_synflow", "l2_norm", "dss", "az_expressivity"),
    "az_nas": ("az_expressivity", "az_progressivity", "az_trainability", "flops"),
    "vkdnw_agg": ("vkdnw_single", "jacob_cov", "az_expressivity", "az_trainability", "flops"),
}
"""Proxies of a pool, not of a network: the parts of each, whose ranks are combined."""
