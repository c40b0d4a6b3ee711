"""A combination of proxies, written down: their weights, how they are scored, and what they are ranked among."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from typing_extensions import TypeIs

from zerocost.base.conditions import clauses, joined
from zerocost.base.errors import InputError, unknown
from zerocost.base.fidelity import Fidelity
from zerocost.combine.ranks import METHODS, terms
from zerocost.proxies.registry import ProxyNames, resolve

FORMAT = 1


@dataclass(frozen=True, eq=False)
class Combination:
    r"""Several proxies made one number, by rank; `rank`, `search` and `evaluate` take it where they take proxies.

    Attributes:
        weights: of each proxy, from −1 to 1; one of negative weight is ranked the other way round.
        method: "log_rank", "rank_mean" or "vote", the functions of `zerocost.combine`.
        batch, repeats: samples in the scoring batch, and from how many initialisations scores are means; the caller's
            where None.
        fidelity: the fidelity to score architectures of a space at; the caller's where None.
        where: conditions that a candidate must pass, as in `select`.
        reference: scores of other candidates, one column a proxy, to rank among. With it a candidate's number is the
            same whoever else is asked about, today or next year; without it numbers are relative to the pool.
        made: how the combination was found, as plain values.

    Raises:
        InputError: no weights, a weight or setting out of range, a reference that lacks a proxy.

    >>> both = Combination({"jacob_cov": 1.0, "params": -0.5})
    >>> scores = pd.DataFrame({"jacob_cov": [1.0, 2.0], "params": [10.0, 30.0]}, index=["a", "b"])
    >>> both(scores).round(3).to_dict()
    {'a': -0.693, 'b': -0.347}
    """

    weights: Mapping[str, float]
    method: str = "log_rank"
    batch: int | None = None
    repeats: int | None = None
    fidelity: str | None = None
    where: str | None = None
    reference: pd.DataFrame | None = None
    made: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.method, str) or self.method not in METHODS:
            raise unknown("method", str(self.method), METHODS)
        if not isinstance(self.weights, Mapping) or not self.weights:
            raise InputError(f"weights must map names of proxies to numbers, but got {self.weights!r}")
        for name, kind in (("where", str), ("fidelity", str), ("made", Mapping)):
            value = getattr(self, name)
            if value is not None and not isinstance(value, kind):
                raise InputError(f"{name} must be of type {kind.__name__}, but got {value!r}")
        if self.where:
            clauses(self.where)
        for part in (self.fidelity or "full").split(">"):
            Fidelity.parse(part.strip())
        plain = {
            "weights": {name: weight(name, value) for name, value in self.weights.items()},
            "batch": whole("batch", self.batch),
            "repeats": whole("repeats", self.repeats),
            "made": dict(self.made),
        }
        for name, value in plain.items():
            object.__setattr__(self, name, value)
        if not self.proxies:
            raise InputError(f"all weights are 0, of {', '.join(self.weights)}; give one proxy a weight")
        if self.reference is not None:
            object.__setattr__(self, "reference", finite(self.reference, self.proxies))

    @property
    def proxies(self) -> list[str]:
        """The names of the proxies whose weight is not 0."""
        return [name for name, weight in self.weights.items() if weight]

    @property
    def equal(self) -> bool:
        """Whether all weights are the same, and positive."""
        return len({self.weights[name] for name in self.proxies}) == 1 and max(self.weights.values()) > 0

    def __str__(self) -> str:
        named = {"log_rank": "the log-rank sum", "rank_mean": "the mean rank", "vote": "the vote"}[self.method]
        parts = [name if self.equal else f"{self.weights[name]:+.3g} {name}" for name in self.proxies]
        among = "" if self.reference is None else f" among {len(self.reference):,} reference networks"
        return f"{named} of {', '.join(parts)}{among}"

    def __call__(self, scores: pd.DataFrame) -> pd.Series[float]:
        """One number a candidate, higher is better; −∞ for one without any of the scores.

        `scores` has a row a candidate and a column a proxy, NaN where it failed; other columns are left alone.
        """
        return METHODS[self.method](self._of(scores), self.weights, self.reference)

    def terms(self, scores: pd.DataFrame) -> pd.DataFrame:
        """What each proxy adds to each candidate's number, candidates by proxies, NaN where its score failed.

        Raises `InputError` for a vote, which is no sum.
        """
        return terms(self.method, self._of(scores), self.weights, self.reference)

    def conditions(self, where: str | None = None) -> str | None:
        """The conditions given and those of the combination, all of which must hold.

        >>> Combination({"snip": 1}, where="params < 1e6").conditions("flops < 1e8 or depth < 9")
        '(flops < 1e8 or depth < 9) and params < 1e6'
        """
        return joined([part for text in (where, self.where) if text for part in clauses(text)])

    def against(self, scores: pd.DataFrame) -> Combination:
        """This combination, ranking among the given scores from now on: those of a sample of the space, say.

        >>> fixed = Combination({"a": 1}).against(pd.DataFrame({"a": [1.0, 2.0, 3.0]}))
        >>> fixed(pd.DataFrame({"a": [2.5]})).round(3).tolist()
        [-0.288]
        """
        return replace(self, reference=self._of(scores).reset_index(drop=True))

    def as_dict(self) -> dict[str, Any]:
        """All that was set, as plain values."""
        values = {name: value for name, value in vars(self).items() if value is not None and name != "reference"}
        values |= {"weights": dict(self.weights), "made": dict(self.made)}
        if self.reference is not None:
            rows = self.reference.astype(object).where(self.reference.notna(), None)
            values["reference"] = {str(name): column.tolist() for name, column in rows.items()}
        return values

    def save(self, path: str | Path) -> None:
        """Write the combination as JSON; `load` reads it, and so does `--proxies FILE.json` at the shell."""
        if Path(path).suffix != ".json":
            raise InputError(f"a combination is written to a .json file, by which it is known; but got {path}")
        try:
            text = json.dumps(
                {"zerocost combination": FORMAT, **self.as_dict()}, indent=1, allow_nan=False, default=float
            )
            Path(path).write_text(text + "\n", encoding="utf-8")
        except OSError as error:
            raise InputError(f"cannot write {path}: {error.strerror}") from None
        except (TypeError, ValueError) as error:
            raise InputError(f"cannot write {path}: made holds what JSON cannot: {error}") from None

    def _of(self, scores: pd.DataFrame) -> pd.DataFrame:
        missing = [name for name in self.proxies if name not in scores]
        if missing:
            raise InputError(
                f"there are no scores of {', '.join(missing)}; the columns are {', '.join(map(str, scores))}"
            )
        return scores[self.proxies]


def weight(name: str, value: Any) -> float:
    """A checked weight."""
    number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    if not number or not abs(float(value)) <= 1:
        raise InputError(f"the weight of {name} must lie between -1 and 1, but got {value!r}")
    return float(value)


def whole(name: str, value: Any) -> int | None:
    """A checked whole number, or None."""
    if value is None:
        return None
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or int(value) < 1:
        raise InputError(f"{name} must be a whole number from 1, but got {value!r}")
    return int(value)


def finite(reference: pd.DataFrame, proxies: list[str]) -> pd.DataFrame:
    """The scores of a reference, NaN where they are not finite."""
    missing = [name for name in proxies if name not in reference]
    if not missing:
        kept = reference[proxies].astype(float).replace([np.inf, -np.inf], np.nan)
        if kept.notna().any(axis=None):
            return kept
    raise InputError(f"the reference has no scores of {', '.join(missing or proxies)}")


def load(path: str | Path) -> Combination:
    """The combination in a JSON file; `InputError` for a file that holds none.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Combination({"snip": 0.5, "naswot": 1.0}).save(f"{folder}/mine.json")
    ...     print(load(f"{folder}/mine.json"))
    the log-rank sum of +0.5 snip, +1 naswot
    """
    try:
        plain = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None
    except ValueError as error:
        raise InputError(f"{path} is no JSON: {error}") from None
    made = plain.pop("zerocost combination", None) if isinstance(plain, dict) else None
    if made is None:
        raise InputError(f'{path} is no combination of proxies: it lacks "zerocost combination": {FORMAT}')
    if made is True or made != FORMAT:
        raise InputError(f"{path} has format {made!r}, but this version of zerocost reads format {FORMAT}")
    known = [field.name for field in fields(Combination)]
    try:
        for name in plain:
            if name not in known:
                raise unknown("setting", name, known)
        if "weights" not in plain:
            raise InputError("it has no weights")
        reference = plain.pop("reference", None)
        frame = None if reference is None else columns(reference)
        return Combination(**plain, reference=frame)
    except InputError as error:
        raise InputError(f"{path} is no combination of proxies: {error}") from None


def columns(reference: Any) -> pd.DataFrame:
    """The table of a reference that was read from a file."""
    lists = isinstance(reference, dict) and all(isinstance(column, list) for column in reference.values())
    try:
        if lists:
            return pd.DataFrame(reference, dtype=float)
    except (TypeError, ValueError):
        pass
    raise InputError("reference must map each proxy to a list of numbers, all of one length")


def parts(wanted: Combination | Path | ProxyNames) -> ProxyNames:
    """What a combination, or the .json file of one, combines; proxies that were named otherwise, as they are.

    >>> parts(Combination({"snip": 0.5, "naswot": 1.0, "params": 0.0})), parts("snip,zen")
    (['snip', 'naswot'], 'snip,zen')
    """
    if is_file(wanted):
        wanted = load(str(wanted).strip())
    return wanted.proxies if isinstance(wanted, Combination) else wanted


def is_file(wanted: object) -> TypeIs[str | Path]:
    """Whether what was given is the file of a combination."""
    return isinstance(wanted, Path) or (isinstance(wanted, str) and wanted.strip().endswith(".json"))


def as_combination(wanted: Combination | Mapping[str, float] | Path | ProxyNames) -> Combination:
    """A combination as it is, of weights by name, out of a .json file, or of proxies of equal weight.

    >>> print(as_combination("snip,naswot"))
    the log-rank sum of snip, naswot
    """
    if isinstance(wanted, Combination):
        return wanted
    if isinstance(wanted, Mapping):
        return Combination(wanted)
    if is_file(wanted):
        return load(str(wanted).strip())
    return Combination(dict.fromkeys([p.name for p in resolve(wanted)], 1.0))
