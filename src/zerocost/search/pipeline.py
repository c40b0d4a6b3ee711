"""The whole way: choose a space, initialise many architectures, score them, filter, train only the survivors."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import KW_ONLY, dataclass, fields, replace
from pathlib import Path
from typing import Any

from zerocost import data as data_
from zerocost.base.device import check_device
from zerocost.base.files import check_folder
from zerocost.base.progress import StageProgress, report_stages
from zerocost.combine import for_inputs, reduced
from zerocost.data.as_batch import first_batch
from zerocost.data.balance import listed_targets
from zerocost.search.accuracy import DataSplit
from zerocost.search.fit_space import Space
from zerocost.search.group import check_known, inherit_texts, takes
from zerocost.search.preparation import data_notes, describe_inputs, describe_outputs
from zerocost.search.result import NothingFits, SearchInterrupted, SearchResult, Stage
from zerocost.search.search_settings import SearchSettings
from zerocost.search.settings import Keeping
from zerocost.store import Store
from zerocost.tasks.task import task_name

__all__ = ["NothingFits", "Pipeline", "SearchInterrupted", "SearchResult", "Stage", "search"]

_STAGES = {"score": "scoring", "train": "training, epochs"}


@inherit_texts
@dataclass(frozen=True)
class Pipeline(SearchSettings):
    """All settings of a search: what is searched, how, what for, and what happens to the best.

    `run(data)` holds a fifth of the data out for validation, stratified; scores never see it. The strategy proposes
    architectures until `candidates` of them were scored. Twins count once. Those over a limit are refused before they
    are scored. The best are scored again at each further fidelity, those that pass `where` are kept, and the best
    `keep` of them are trained, alongside as many architectures drawn at random: the difference is what the search
    gained.

    The settings come in groups (`zerocost.search.settings`): `Goal`, `Scoring`, `Proposals`, `Stopping`, `Training` and
    `Place`. All are given as keywords.

    Raises:
        InputError: a setting out of range, or a name that nobody knows.

    >>> from torch import nn
    >>> def net(choose):
    ...     width = choose.int("width", 2, 16, step=2)
    ...     return nn.Sequential(nn.Flatten(), nn.Linear(192, width), nn.ReLU(), nn.Linear(width, 10))
    >>> short = {"candidates": 6, "keep": 2, "epochs": 1}
    >>> found = Pipeline(net, strategy="evolution", proxies="snip", where="params < 3e3", **short).run("digits:8")
    >>> len(found.table), len(found.kept), len(found.survivors), len(found.random)
    (6, 2, 2, 2)

    Attributes:
        space: a `SearchSpace`, the name of one ("cnn"), or a plain function of choices (see `spaces.from_function`).
    """

    def run(
        self,
        data: Any,
        *,
        store: str | Path | None = None,
        study_storage: str | None = None,
        workdir: str | Path | None = None,
        progress: StageProgress | bool | None = None,
    ) -> SearchResult:
        """Search and train; the same settings and data give the same result.

        Args:
            data: anything `zerocost.data.load` takes, with targets.
            store: a file, or the URL of a database, to keep scores in. The same call goes on from there after a break,
                and no score in it is computed twice. None keeps them in memory.
            study_storage: URL of a database for Optuna's study: for its dashboard, and for several processes or
                machines that search together, each with the same settings, store and storage. What they find depends
                on who was faster; without it, on the seed alone.
            workdir: folder in which trainings are kept, to go on after a break; None keeps none.
            progress: whether to show bars; by default where stderr is a terminal. Or a function, called with the stage
                ("score", "train"), the number of steps done and the total.

        Returns:
            A `SearchResult`; nothing was trained when no architecture passes.

        Raises:
            InputError: settings or data that cannot be used.
            NothingFits: no architecture keeps to the limits; which refuses most, and what is nearest to them.
            SearchInterrupted: at Ctrl-C, with what was done.
        """
        from zerocost.search.follow import Follower
        from zerocost.search.plan import make_plan
        from zerocost.search.stages import explore_and_refine, follows
        from zerocost.search.training import train_both

        check_device(self.device)
        check_folder(workdir)
        loaded = data_.load(data, task=task_name(self.task))
        fitting, validation = data_.split(loaded, 0.2, seed=self.seed)
        batch = first_batch(fitting, self.seed)
        task = self.choose_task(fitting, batch)
        if self.epochs:
            task.check_differ(listed_targets(fitting), listed_targets(validation))
        pipeline = replace(self, proxies=reduced(for_inputs(self.proxies, batch.inputs), self.fidelity))
        with ExitStack() as stack:
            report = stack.enter_context(report_stages(progress, _STAGES))
            opened = stack.enter_context(Store(store))
            plan = make_plan(pipeline, DataSplit(fitting, validation, workdir, task), opened, stack)
            settings = plan.settings | {"data": data if isinstance(data, str) else type(data).__name__}
            settings |= {"data_notes": notes} if (notes := data_notes(loaded)) else {}
            try:
                result, explored = explore_and_refine(plan, study_storage, report)
            except SearchInterrupted as stop:
                stop.result.settings = settings
                raise
            result.settings, result.sizes, result.sample = settings, plan.sizes, plan.sample
            result.task = task
            result.inputs, result.outputs = describe_inputs(plan.sample, fitting), describe_outputs(fitting)
            if not len(result.table) and result.rejected:
                raise NothingFits(plan.limits.refusals(result.rejected, plan.space), result)
            if self.epochs and len(result.kept):
                follower = Follower(explored, result) if follows(plan, study_storage) else None
                train_both(plan, result, report, follower)
        return result


@dataclass(frozen=True)
class _SearchArguments(Keeping, Pipeline):
    """What `search` takes: the settings of a pipeline, the data, and what `Pipeline.run` takes."""

    data: Any
    _: KW_ONLY
    progress: StageProgress | bool | None = None


@takes(_SearchArguments)
def search(space: Space, data: Any, **settings: Any) -> SearchResult:
    """Search a space without training, then train only the survivors: `Pipeline(space, **settings).run(data, …)`.

    Args:
        space: what is searched, as in `Pipeline`.
        data: anything `zerocost.data.load` takes, with targets.
        store, study_storage, workdir, progress: as in `Pipeline.run`.
        **settings: the settings of `Pipeline`.

    Returns:
        A `SearchResult`; nothing was trained when no architecture passes.

    Raises:
        InputError: settings or data that cannot be used, or a setting that does not exist.
        NothingFits: no architecture keeps to the limits, as in `Pipeline.run`.
        SearchInterrupted: at Ctrl-C, with what was done.

    >>> from torch import nn
    >>> def net(choose):
    ...     width = choose.int("width", 2, 16, step=2)
    ...     return nn.Sequential(nn.Flatten(), nn.Linear(192, width), nn.ReLU(), nn.Linear(width, 10))
    >>> found = search(net, "digits:8", candidates=6, proxies="snip", keep=2, epochs=0)
    >>> len(found.table), list(found.kept.frame.index) == list(found.table.frame.index)[:2]
    (6, True)
    """
    check_known(_SearchArguments, settings, "help(zc.search)")
    of_pipeline = {one.name for one in fields(Pipeline)}
    of_run = {name: settings.pop(name) for name in settings.keys() - of_pipeline}
    return Pipeline(space, **settings).run(data, **of_run)
