"""calibrate(): the cheapest fidelity that ranks as full size does, found by measurement."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable
from dataclasses import KW_ONLY, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from zerocost import data as data_
from zerocost.base.device import check_place
from zerocost.base.errors import InputError
from zerocost.base.fidelity import as_fidelities, check_space, split_fidelities
from zerocost.base.files import write_text
from zerocost.base.format import join_words, percent
from zerocost.base.progress import StepProgress, report_steps
from zerocost.base.version import VERSION
from zerocost.combine import Combination, as_combination, as_proxies, default, for_inputs
from zerocost.data.as_batch import first_batch
from zerocost.data.batch import usual_size
from zerocost.engine.proxy import Proxy
from zerocost.proxies.registry import portable_proxies
from zerocost.search.fit_space import fit_space
from zerocost.search.group import SettingsGroup, at_least, check_known, takes
from zerocost.spaces import FULL, Fidelity, SearchSpace, distinct
from zerocost.spaces.own_code import own_code
from zerocost.store import Store
from zerocost.tasks import Task
from zerocost.tasks.task import as_task, task_name
from zerocost.tuning.part_sets import part_sets
from zerocost.tuning.race import PROBES, Agreement, Runner, cheapest_first, grid, hold_out, race

__all__ = ["Calibrated", "calibrate"]

_FEWEST = 16
"""Different networks that a space must have: half of them to choose on, half to say how well the choice does."""


@dataclass(frozen=True)
class Calibrated:
    """The cheapest fidelity whose ranking agrees with full size.

    Attributes:
        fidelity: the fidelity; full size where no cheaper one agrees.
        proxies: what ranks there, combined as at full size.
        kendall: Kendall's τ of its ranking with that at full size, on networks that it was not chosen on; NaN, like
            the ends of its interval, where full size is the answer.
        low: lower end of the 95 % interval of τ.
        high: upper end of it.
        networks: how many networks that was measured on.
        cost: CPU time of scoring there, as a share of full size.
        wanted: the τ that was asked for.
        parts: τ of each proxy's own ranking with that at full size, on the same networks; NaN where all its scores are
            equal, and empty where full size is the answer. Sizes count at full size.
        tried: one row a fidelity that was tried, the cheapest first: the `proxies` that rank best there, or of those
            that agree the ones of fewest passes; `networks`, `kendall`, `low` and `high` on those that it was chosen
            on; and the `cost`.
        settings: everything that the result depends on.
    """

    fidelity: Fidelity
    proxies: list[str]
    kendall: float
    low: float
    high: float
    networks: int
    cost: float
    wanted: float
    parts: dict[str, float]
    tried: pd.DataFrame = field(repr=False)
    settings: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def verdict(self) -> str:
        """What was found, in words."""
        if self.fidelity == FULL:
            return f"no cheaper fidelity was shown to agree to Kendall {self.wanted:g} with full size: use full size"
        short = "" if self.kendall >= self.wanted else f"; less than the {self.wanted:g} wanted: do not rely on it"
        dear = "; that is no cheaper: use full size" if self.cost >= 1 else ""
        rank = "rank" if len(self.proxies) > 1 else "ranks"
        return (
            f"{join_words(self.proxies)} at {self.fidelity} {rank} as full size does to Kendall {self.kendall:.2f}, "
            f"95 % interval {self.low:.2f} to {self.high:.2f} ({self.networks} networks it was not chosen on), for "
            f"{percent(self.cost)} of the cost{short}{dear}"
        )

    def __str__(self) -> str:
        return self.verdict

    def as_dict(self) -> dict[str, Any]:
        """As plain values."""
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        tried = self.tried.reset_index().to_dict("records")
        return values | {"fidelity": str(self.fidelity), "tried": tried}

    def save(self, path: str | Path) -> None:
        """Write it as JSON, which `fidelity=` and `--fidelity` of `search`, `evaluate` and `tune` take."""
        plain = json.loads(json.dumps(self.as_dict(), default=str), parse_constant=lambda text: None)
        write_text(path, json.dumps(plain, indent=2) + "\n")


@dataclass(frozen=True)
class _Arguments(SettingsGroup):
    """What `calibrate` takes."""

    space: SearchSpace | str | Callable[..., nn.Module]
    data: Any
    _: KW_ONLY
    proxies: Combination | Iterable[str | Proxy] | str = default
    kendall: float = 0.7
    fidelities: Iterable[Fidelity | str] | None = None
    interval: float = 0.1
    networks: int = at_least(_FEWEST // 2, default=200)
    batch: int | None = at_least(1, default=None)
    seed: int = at_least(0, default=0)
    store: str | Path | None = None
    workers: int | None = at_least(1, default=None)
    ray: str | None = None
    device: str | torch.device | None = None
    task: Task | str | None = None
    progress: StepProgress | bool | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("kendall", "interval"):
            if not 0 < getattr(self, name) < 1:
                raise InputError(f"{name} must be between 0 and 1, but got {getattr(self, name)!r}")


@takes(_Arguments)
def calibrate(space: SearchSpace | str | Callable[..., nn.Module], data: Any, **settings: Any) -> Calibrated:
    """Find the cheapest fidelity whose ranking agrees with that of the full networks, and what ranks there.

    Fidelities are tried from the cheapest up, by counted multiply-adds and layers, on architectures drawn at random,
    from the same seed as at full size. At each, several sets of proxies may rank: for each set of passes, the parts of
    the combination that it gives; for the default, also with `naswot` and `az_expressivity`, which need no pass of
    their own. Each fidelity starts with 16 networks and gets half as many more until the 95 % interval of Kendall's τ
    of each set lies below the wanted τ, or is narrower than `interval`. Of the sets whose whole interval reaches the
    wanted τ, the one of fewest passes counts. The cheapest, by what a pass costs times their number, is chosen; what
    costs more is never scored. Each network is scored once at full size. How well the choice agrees is then measured on
    other networks, until that interval is narrow enough too.

    Args:
        space: a `SearchSpace`, the name of one, or a function of choices, as in `search`.
        data: anything `zerocost.data.load` takes, with targets.
        proxies: what ranks at full size: a combination of proxies, its .json file, or names; as in `rank` by default.
        kendall: the wanted τ, between 0 and 1.
        fidelities: what to choose among. By default widths 1, 0.5 and 0.25, depths 1, 0.5 and 0.2, images of all, half
            and a quarter of the pixels a side, all and a quarter of the batch, and one or three initialisations.
        interval: how wide the interval of τ may be.
        networks: the most to choose on, and the most to measure the choice on.
        batch: samples in the batch at full size. By default 64, or what the combination says.
        seed: draws the architectures and the batch, and initialises the networks. The same seed gives the same
            fidelity and τ; measured costs vary.
        store: a file, or the URL of a database, to keep scores in.
        workers: processes that score full networks, as in `rank`.
        ray: the Ray cluster that scores full networks, as in `rank`.
        device: where networks are scored.
        task: what the networks' outputs are for; by default inferred from the data.
        progress: whether to show a bar; by default where stderr is a terminal. Or a function, called with the number of
            fidelities tried so far, and of all.

    Raises:
        InputError: settings or data that cannot be used, or a space of fewer than 16 different networks.

    >>> from torch import nn
    >>> def net(choose, fidelity):
    ...     width = fidelity.channels(choose.int("width", 8, 64))
    ...     return nn.Sequential(nn.Flatten(), nn.Linear(192, width), nn.ReLU(), nn.Linear(width, 10))
    >>> found = calibrate(net, "digits:8", proxies="params,snip", kendall=0.6, fidelities=["width=0.5"], networks=16)
    >>> str(found.fidelity), found.cost > 0
    ('width=0.5', True)
    """
    check_known(_Arguments, settings, "help(zc.fidelity.calibrate)")
    given = _Arguments(space, data, **settings)
    check_place(given.device, given.ray)
    source = data_.load(data, task=task_name(given.task))
    batch = first_batch(source, given.seed)
    task = as_task(given.task, source, batch)
    fitted, _ = fit_space(space, source, task)
    code = own_code(fitted)
    proxies = for_inputs(given.proxies, batch.inputs)
    combination = as_combination(proxies)
    drawn = distinct(fitted, 2 * given.networks, np.random.default_rng(given.seed))
    texts = [str(arch) for arch in drawn]
    if len(texts) < _FEWEST:
        raise InputError(
            f"the space has {len(texts)} different networks, too few to calibrate; score them at full size"
        )
    chosen_on, others = texts[: len(texts) // 2], texts[len(texts) // 2 :]
    samples = given.batch or combination.batch or usual_size(source)
    sets = part_sets(combination, samples)
    with Store(given.store) as store, report_steps(given.progress, "calibrating") as report:
        runner = Runner(
            space=fitted,
            data=source,
            combination=combination,
            sets=sets,
            proxies={name: name for one in sets for name in one.combination.proxies}
            | portable_proxies(as_proxies(proxies)),
            task=task,
            samples=samples,
            store=store,
            device=None if given.device is None else str(given.device),
            workers=given.workers,
            ray=given.ray,
            seed=given.seed,
        )
        ordered = cheapest_first(runner, _fidelities(given.fidelities, fitted) or grid(runner), chosen_on)
        full = runner.seconds(FULL, chosen_on[:PROBES], combination.proxies)
        tried: list[dict[str, Any]] = []
        best, share = None, 1.0
        for ranking, found, chosen in race(runner, ordered, chosen_on, given.kendall, given.interval):
            cost = runner.seconds(found.fidelity, chosen_on[:PROBES], found.proxies) / full
            tried.append(asdict(found) | {"fidelity": str(found.fidelity), "cost": cost})
            best, share = ((found.fidelity, ranking), cost) if chosen else (best, share)
            report(len(tried), len(ordered))
        held = Agreement(FULL, combination.proxies, 0, math.nan, math.nan, math.nan)
        parts: dict[str, float] = {}
        if best is not None:
            held, parts = hold_out(runner, *best, others, given.interval)
    columns = [*(one.name for one in fields(Agreement)), "cost"]
    return Calibrated(
        **asdict(held) | {"fidelity": held.fidelity},
        cost=share,
        wanted=given.kendall,
        parts=parts,
        tried=pd.DataFrame(tried, columns=columns).set_index("fidelity"),
        settings={
            "zerocost": VERSION,
            "torch": torch.__version__,
            "space": fitted.name,
            "code": code,
            "data": data if isinstance(data, str) else type(data).__name__,
            "task": task.name,
            "score": str(combination),
            "batch": runner.samples,
            "interval": given.interval,
            "networks": given.networks,
            "seed": given.seed,
            "device": str(given.device or "cpu"),
        },
    )


def _fidelities(given: Iterable[Fidelity | str] | None, space: SearchSpace) -> list[Fidelity]:
    """The caller's fidelities without full size, which they are compared with; none for the default ones."""
    listed = split_fidelities(given or ())
    check_space(listed, space.name, own_code(space))
    found = as_fidelities(listed)
    if found and set(found) == {FULL}:
        raise InputError("full size is what fidelities are compared with; give a cheaper one, as in width=0.5")
    return [one for one in found if one != FULL]
