"""zerocost ranks neural networks before they are trained."""

from zerocost import benchmarks, combine, data, predict, presets, proxies, spaces
from zerocost.benchmarks.evaluate import Evaluation, evaluate
from zerocost.combine import Combination
from zerocost.engine.signals import signal
from zerocost.errors import InputError, ZerocostError
from zerocost.pipeline import Pipeline, SearchResult, search
from zerocost.proxies.registry import proxy
from zerocost.scoring import ScoreCard, explain, rank, score
from zerocost.select import select
from zerocost.spaces import Fidelity, SearchSpace
from zerocost.tables import ScoreTable
from zerocost.train import train
from zerocost.tuning import Tuned, tune
from zerocost.version import VERSION

__version__ = VERSION

__all__ = [
    "Combination",
    "Evaluation",
    "Fidelity",
    "InputError",
    "Pipeline",
    "ScoreCard",
    "ScoreTable",
    "SearchResult",
    "SearchSpace",
    "Tuned",
    "ZerocostError",
    "__version__",
    "benchmarks",
    "combine",
    "data",
    "evaluate",
    "explain",
    "predict",
    "presets",
    "proxies",
    "proxy",
    "rank",
    "score",
    "search",
    "select",
    "signal",
    "spaces",
    "train",
    "tune",
]
