"""Trained truth by look-up: one interface to the accuracies that architectures of a benchmark reached."""

from __future__ import annotations

from zerocost.benchmarks.base import Benchmark, Query
from zerocost.benchmarks.sources import convert, get, names, read

__all__ = ["Benchmark", "Query", "convert", "get", "names", "read"]
