"""zerocost ranks neural networks before they are trained."""

from zerocost.base.interrupt import exits_at_interrupt

with exits_at_interrupt():
    from zerocost import benchmarks, combine, data, integrations, predict, proxies, spaces, tasks
    from zerocost.base.errors import InputError, ZerocostError
    from zerocost.base.version import VERSION
    from zerocost.combine import Combination
    from zerocost.engine.proxy import proxy
    from zerocost.engine.signals import signal
    from zerocost.evaluation.evaluate import evaluate
    from zerocost.evaluation.evaluation import Evaluation
    from zerocost.proxies import papers as presets
    from zerocost.scoring.card import ScoreCard
    from zerocost.scoring.profile import Profile, profile
    from zerocost.scoring.rank import rank
    from zerocost.scoring.score import explain, score
    from zerocost.scoring.select import select
    from zerocost.scoring.table import ScoreTable
    from zerocost.search.pipeline import Pipeline, SearchResult, search
    from zerocost.spaces import Fidelity, SearchSpace
    from zerocost.tasks import Task
    from zerocost.train import train
    from zerocost.tuning import Tuned, fidelity, tune

__version__ = VERSION

__all__ = [
    "Combination",
    "Evaluation",
    "Fidelity",
    "InputError",
    "Pipeline",
    "Profile",
    "ScoreCard",
    "ScoreTable",
    "SearchResult",
    "SearchSpace",
    "Task",
    "Tuned",
    "ZerocostError",
    "__version__",
    "benchmarks",
    "combine",
    "data",
    "evaluate",
    "explain",
    "fidelity",
    "integrations",
    "predict",
    "presets",
    "profile",
    "proxies",
    "proxy",
    "rank",
    "score",
    "search",
    "select",
    "signal",
    "spaces",
    "tasks",
    "train",
    "tune",
]
