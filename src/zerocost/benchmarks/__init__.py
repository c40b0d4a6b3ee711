"""Trained truth by lookup: the accuracy each architecture of a benchmark reached, in one interface."""

from __future__ import annotations

from zerocost.benchmarks.base import Benchmark, Query
from zerocost.benchmarks.sources import convert, get, names, read

__all__ = ["Benchmark", "Query", "convert", "get", "names", "read"]
