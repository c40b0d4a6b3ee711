"""Tuning: the combination of proxies and the settings that rank a few trained architectures best."""

from __future__ import annotations

from zerocost.tuning.tune import tune
from zerocost.tuning.tuned import Tuned

__all__ = ["Tuned", "tune"]
