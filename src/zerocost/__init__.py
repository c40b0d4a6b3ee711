"""zerocost ranks neural networks before they are trained."""

from zerocost import data, proxies, spaces
from zerocost.engine.signals import signal
from zerocost.errors import InputError, ZerocostError
from zerocost.proxies.registry import proxy
from zerocost.scoring import ScoreCard, explain, rank, score
from zerocost.select import select
from zerocost.tables import ScoreTable
from zerocost.version import VERSION as __version__

__all__ = [
    "InputError",
    "ScoreCard",
    "ScoreTable",
    "ZerocostError",
    "__version__",
    "data",
    "explain",
    "proxies",
    "proxy",
    "rank",
    "score",
    "select",
    "signal",
    "spaces",
]
