"""A combination of proxies: their weights, how they are scored, and what candidates are ranked among."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from zerocost.base.conditions import join_clauses, parse_clauses
from zerocost.base.errors import InputError, unknown
from zerocost.base.fidelity import as_fidelities
from zerocost.base.files import write_text
from zerocost.base.units import is_cost
from zerocost.combine.ranks import METHODS, score_terms
from zerocost.engine.options import as_spelled
from zerocost.proxies.registry import portable_proxies

_FORMAT = 1
_METHOD_NAMES = {
    "log_rank": "the log-rank sum",
    "rank_mean": "the mean rank",
    "vote": "the vote",
    "consensus": "the consensus",
}


@dataclass(frozen=True, eq=False, repr=False)
class Combination:
    r"""Several proxies combined into one number by rank; `rank`, `search` and `evaluate` take it in place of proxies.

    Two combinations are equal when all their settings are.

    Attributes:
        weights: the weight of each proxy, from −1 to 1. A proxy of negative weight is ranked in reverse. One of your
            own may be given as FILE.py:NAME.
        method: "log_rank", "rank_mean", "vote" or "consensus": the functions of `zerocost.combine`.
        batch: number of samples in the scoring batch; the caller's if None.
        repeats: number of initialisations that scores are means over; the caller's if None.
        fidelity: the fidelity at which architectures of a space are scored; the caller's if None.
        where: conditions that a candidate must pass, as in `select`.
        reference: scores of other candidates to rank among, one column a proxy. With it, a candidate's number does not
            depend on which other candidates are ranked; without it, numbers are relative to the pool.
        made: how the combination was found, as values that JSON can hold.
        files: the FILE.py:NAME of each proxy that was given so, by its name.

    Raises:
        InputError: no weights, a weight or setting out of range, or a reference that lacks a proxy.

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
    files: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.method, str) or self.method not in METHODS:
            raise unknown("method", str(self.method), METHODS)
        if not isinstance(self.weights, Mapping) or not self.weights:
            raise InputError(f"weights must map names of proxies to numbers, but got {self.weights!r}")
        for name, kind in (("where", str), ("fidelity", str), ("made", Mapping), ("files", Mapping)):
            value = getattr(self, name)
            if value is not None and not isinstance(value, kind):
                raise InputError(f"{name} must be of type {kind.__name__}, but got {value!r}")
        if self.where:
            parse_clauses(self.where)
        if self.fidelity:
            as_fidelities(self.fidelity)
        named = {
            given: portable_proxies(given) if ".py:" in given else {as_spelled(given): given}
            for given in map(str, self.weights)
        }
        own = {name: given for given, found in named.items() if ".py:" in given for name in found}
        checked = {
            "weights": {
                name: _check_weight(name, value) for given, value in self.weights.items() for name in named[str(given)]
            },
            "files": {as_spelled(name): file for name, file in self.files.items()} | own,
            "batch": _check_whole_number("batch", self.batch),
            "repeats": _check_whole_number("repeats", self.repeats),
            "made": dict(self.made),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)
        if not self.proxies:
            raise InputError(f"all weights are 0, of {', '.join(self.weights)}; give one proxy a weight")
        if self.reference is not None:
            object.__setattr__(self, "reference", _check_reference(self.reference, self.proxies))

    @property
    def proxies(self) -> list[str]:
        """The names of the proxies whose weight is not 0."""
        return [name for name, weight in self.weights.items() if weight]

    @property
    def equal(self) -> bool:
        """Whether all weights are the same, and positive."""
        return len({self.weights[name] for name in self.proxies}) == 1 and max(self.weights.values()) > 0

    def __eq__(self, other: object) -> bool:
        return self.as_dict() == other.as_dict() if isinstance(other, Combination) else NotImplemented

    def __hash__(self) -> int:
        return hash(str(self))

    def __str__(self) -> str:
        alike = len({abs(self.weights[name]) for name in self.proxies}) == 1
        weighed = [f"{self.weights[name]:+.3g} {name}" for name in self.proxies]
        mixed = min(self.weights[name] for name in self.proxies) < 0
        signed = [f"{name}{_direction(name, self.weights[name], mixed)}" for name in self.proxies]
        terms = signed if alike else weighed
        among = "" if self.reference is None else f" among {len(self.reference):,} reference networks"
        return f"{_METHOD_NAMES[self.method]} of {', '.join(terms)}{among}"

    def __repr__(self) -> str:
        return f"<Combination: {self}>"

    def __call__(self, scores: pd.DataFrame) -> pd.Series[float]:
        """One number for each candidate, higher is better; −∞ for one without any of the scores.

        Args:
            scores: one row a candidate and one column a proxy, NaN where it failed; other columns are ignored.
        """
        return METHODS[self.method](self._scores_used(scores), self.weights, self.reference)

    def order_of_equals(self, scores: pd.DataFrame) -> pd.Index[Any]:
        """The order in which candidates of equal numbers stand, such as all that exceed the whole reference: that of
        their ranks among these candidates, or as they are given where there is no reference.

        >>> fixed = Combination({"a": 1}).against(pd.DataFrame({"a": [1.0, 2.0]}))
        >>> fixed.order_of_equals(pd.DataFrame({"a": [0.0, 5.0, 9.0]}, ["x", "y", "z"])).tolist()
        ['z', 'y', 'x']
        """
        if self.reference is None:
            return scores.index
        return replace(self, reference=None)(scores).sort_values(ascending=False, kind="stable").index

    def terms(self, scores: pd.DataFrame) -> pd.DataFrame:
        """What each proxy adds to each candidate's number: candidates by proxies, NaN where a score failed.

        Raises:
            InputError: the method is a vote, which is not a sum.
        """
        return score_terms(self.method, self._scores_used(scores), self.weights, self.reference)

    def conditions(self, where: str | None = None) -> str | None:
        """The given conditions joined with those of the combination; all must hold.

        >>> Combination({"snip": 1}, where="params < 1e6").conditions("flops < 1e8 or depth < 9")
        '(flops < 1e8 or depth < 9) and params < 1e6'
        """
        return join_clauses([part for text in (where, self.where) if text for part in parse_clauses(text)])

    def against(self, scores: pd.DataFrame) -> Combination:
        """The same combination with the given scores as its reference, such as those of a sample of the space.

        >>> fixed = Combination({"a": 1}).against(pd.DataFrame({"a": [1.0, 2.0, 3.0]}))
        >>> fixed(pd.DataFrame({"a": [2.5]})).round(3).tolist()
        [-0.288]
        """
        return replace(self, reference=self._scores_used(scores).reset_index(drop=True))

    def as_dict(self) -> dict[str, Any]:
        """All settings, as values that JSON can hold."""
        values = {name: value for name, value in vars(self).items() if value is not None and name != "reference"}
        values |= {"weights": dict(self.weights), "made": dict(self.made), "files": dict(self.files)}
        if self.reference is not None:
            rows = self.reference.astype(object).where(self.reference.notna(), None)
            values["reference"] = {str(name): column.tolist() for name, column in rows.items()}
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Combination:
        """The combination that `as_dict` described; `InputError` for a setting that does not exist, or no weights."""
        known = [field.name for field in fields(cls)]
        for name in values:
            if name not in known:
                raise unknown("setting", name, known)
        if "weights" not in values:
            raise InputError("it has no weights")
        reference = values.get("reference")
        return cls(**{**values, "reference": None if reference is None else _read_reference(reference)})

    def save(self, path: str | Path) -> None:
        """Write the combination as JSON; `load` reads it, and so does `--proxies FILE.json` at the shell."""
        if Path(path).suffix != ".json":
            raise InputError(f"a combination is written to a .json file, but got {path}")
        try:
            text = json.dumps(
                {"zerocost combination": _FORMAT, **self.as_dict()}, indent=1, allow_nan=False, default=float
            )
        except (TypeError, ValueError) as error:
            raise InputError(f"cannot write {path}: made holds what JSON cannot: {error}") from None
        write_text(path, text + "\n")

    def _scores_used(self, scores: pd.DataFrame) -> pd.DataFrame:
        missing = [name for name in self.proxies if name not in scores]
        if missing:
            raise InputError(
                f"there are no scores of {', '.join(missing)}; the columns are {', '.join(map(str, scores))}"
            )
        return scores[self.proxies]


def _direction(name: str, weight: float, mixed: bool) -> str:
    """Which way a proxy counts, where that is not what its name lets one expect."""
    if weight < 0:
        return " (less is better)"
    return " (more is better)" if mixed and is_cost(name) else ""


def _check_weight(name: str, value: Any) -> float:
    """A checked weight."""
    number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    if not number or not abs(float(value)) <= 1:
        raise InputError(f"the weight of {name} must lie between -1 and 1, but got {value!r}")
    return float(value)


def _check_whole_number(name: str, value: Any) -> int | None:
    """A checked whole number, or None."""
    if value is None:
        return None
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or int(value) < 1:
        raise InputError(f"{name} must be a whole number from 1, but got {value!r}")
    return int(value)


def _check_reference(reference: pd.DataFrame, proxies: list[str]) -> pd.DataFrame:
    """The scores of a reference, NaN where they are not finite; `InputError` where a proxy has none."""
    reference = reference.rename(columns=lambda name: as_spelled(str(name)))
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
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not JSON: {error}") from None
    made = plain.pop("zerocost combination", None) if isinstance(plain, dict) else None
    if made is None:
        raise InputError(f'{path} is no combination of proxies: it lacks "zerocost combination": {_FORMAT}')
    if made is True or made != _FORMAT:
        raise InputError(f"{path} has format {made!r}, but this version of zerocost reads format {_FORMAT}")
    try:
        return Combination.from_dict(plain)
    except InputError as error:
        raise InputError(f"{path} is no combination of proxies: {error}") from None


def _read_reference(reference: Any) -> pd.DataFrame:
    """The table of a reference that was read from a file."""
    lists = isinstance(reference, dict) and all(isinstance(column, list) for column in reference.values())
    try:
        if lists:
            return pd.DataFrame(reference, dtype=float)
    except (TypeError, ValueError):
        pass
    raise InputError("reference must map each proxy to a list of numbers, all of one length")
