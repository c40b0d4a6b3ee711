from __future__ import annotations

import inspect
from dataclasses import dataclass, fields

import pytest

import zerocost as zc
from zerocost.search import settings
from zerocost.search.group import SettingsGroup, at_least, field_texts, inherit_texts
from zerocost.search.settings import Goal, Keeping, Scoring, Stopping

GROUPS = [kind for kind in vars(settings).values() if isinstance(kind, type) and issubclass(kind, SettingsGroup)]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Stopping(candidates=0), "candidates must be at least 1"),
        (lambda: Stopping(candidates=None), "candidates must be a whole number"),
        (lambda: Stopping(seconds=0.0), "seconds must be above 0"),
        (lambda: Scoring(reduction=1), "reduction must be at least 2"),
        (lambda: Scoring(fidelity=()), "fidelity must be one Fidelity or several"),
        (lambda: Goal(objectives=" , "), "objectives must name what is wanted"),
    ],
)
def test_a_group_checks_its_own_fields(make, message):
    with pytest.raises(zc.InputError, match=message):
        make()


def test_a_pipeline_is_each_of_its_groups_and_its_docstring_has_them_all():
    pipeline = zc.Pipeline("cnn", candidates=7, keep=2, fidelity="width=0.5 > full")
    assert Stopping(candidates=7) == Stopping(**{one.name: getattr(pipeline, one.name) for one in fields(Stopping)})
    assert [str(fidelity) for fidelity in pipeline.fidelities] == ["width=0.5", "full"]
    assert list(field_texts(zc.Pipeline)) and set(field_texts(zc.Pipeline)) == {one.name for one in fields(pipeline)}


@pytest.mark.parametrize("group", GROUPS, ids=lambda kind: kind.__name__)
def test_every_field_is_documented(group):
    assert set(field_texts(group)) == {one.name for one in fields(group)}


def test_search_shows_every_setting():
    shown = inspect.signature(zc.search).parameters
    assert list(shown)[:2] == ["space", "data"]
    assert {one.name for kind in (zc.Pipeline, Keeping) for one in fields(kind)} | {"data", "progress"} == set(shown)
    assert shown["candidates"].default == 200 and shown["candidates"].kind is inspect.Parameter.KEYWORD_ONLY


def test_texts_are_read_on_one_line_and_those_of_bases_are_inherited():
    @dataclass(frozen=True, kw_only=True)
    class Base(SettingsGroup):
        """A base.

        Attributes:
            first: a text
                on two lines.
        """

        first: int = at_least(1, default=1)

    @inherit_texts
    @dataclass(frozen=True, kw_only=True)
    class Both(Base):
        """Both.

        Attributes:
            second: another.
        """

        second: int = 2

    assert field_texts(Base) == {"first": "a text on two lines."}
    assert field_texts(Both) == {"first": "a text on two lines.", "second": "another."}
    assert (Both.__doc__ or "").endswith("    second: another.\n    first: a text on two lines.\n")
