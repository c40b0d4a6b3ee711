"""Tuning: with a few trained architectures, the combination of proxies and the settings that rank them best."""

from __future__ import annotations

from zerocost.tuning.tuned import Tuned, tune

__all__ = ["Tuned", "tune"]
