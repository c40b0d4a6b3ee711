from __future__ import annotations

from functools import partial

import pytest

from zerocost.base.errors import InputError
from zerocost.store import Score, Store
from zerocost.store.database import Database

OLD = (  # the tables as version 0.1 first made them
    "CREATE TABLE scores (made TEXT, architecture TEXT, seed BIGINT, proxy TEXT, value DOUBLE PRECISION, "
    "reason TEXT, PRIMARY KEY (made, architecture, seed, proxy))",
    "CREATE TABLE claims (made TEXT, architecture TEXT, seed BIGINT, owner TEXT, "
    "PRIMARY KEY (made, architecture, seed))",
    "CREATE TABLE owners (owner TEXT PRIMARY KEY, machine TEXT, pid BIGINT, born TEXT, beat DOUBLE PRECISION)",
    "INSERT INTO scores VALUES ('one', 'a', 0, 'snip', 1.5, NULL), ('one', 'a', 0, 'zen', NULL, 'NaN'), "
    "('two', 'b', 7, 'snip', 5e-324, NULL)",
    "INSERT INTO claims VALUES ('one', 'c', 0, 'somebody')",
    "INSERT INTO owners VALUES ('somebody', 'elsewhere', 1, '', {now})",
)
KEPT = {
    "one": {("a", 0, "snip"): Score(1.5, None), ("a", 0, "zen"): Score(None, "NaN")},
    "two": {("b", 7, "snip"): Score(5e-324, None)},
}


def write_old(statements, execute):
    for statement in statements:
        execute(statement)


def layout(place):
    database = Database(place, lambda execute: None)
    found = database.transact(lambda execute: execute("SELECT version FROM layout"))
    database.close()
    return found


@pytest.mark.parametrize("statements", [OLD, (OLD[0], OLD[3])], ids=["claims", "scores only"])
def test_an_old_store_is_migrated_and_nothing_is_lost(place, statements):
    Database(place, partial(write_old, statements)).close()
    for _ in range(2):
        with Store(place) as kept:
            assert {made: kept.known(made) for made in KEPT} == KEPT
    assert layout(place) == [(2,)]
    with Store(place) as kept:
        assert kept.claim("one", [("c", 0)]) == (set() if len(statements) > 2 else {("c", 0)})
        kept.add("one", {("a", 0, "snip"): Score(2.0, None)})
        assert kept.known("one")["a", 0, "snip"].value == 2


def test_a_new_store_has_the_newest_layout(place):
    Store(place).close()
    assert layout(place) == [(2,)]


def test_a_store_of_a_newer_version_is_refused_and_left_as_it_was(place):
    with Store(place) as kept:
        kept.add("one", KEPT["one"])
        kept.database.transact(lambda execute: execute("UPDATE layout SET version = 3"), write=True)
    with pytest.raises(InputError, match=r"newer version of zerocost .* layout 3, .* up to 2; upgrade zerocost"):
        Store(place)
    assert layout(place) == [(3,)]


@pytest.mark.parametrize("version", ["'abc'", "NULL", "0", "1.5"])
def test_a_layout_that_is_none_is_refused(tmp_path, version):
    place = tmp_path / "scores.db"
    with Store(place) as kept:
        kept.database.transact(lambda execute: execute(f"UPDATE layout SET version = {version}"), write=True)
    with pytest.raises(
        InputError, match=r"its table layout holds .*; expected the whole number of a layout, 2 or less"
    ):
        Store(place)


def test_a_migration_that_breaks_leaves_the_old_store(place, monkeypatch):
    from zerocost.store import schema

    Database(place, partial(write_old, OLD)).close()
    migrate = schema._name_jobs_once

    def break_off(execute):
        migrate(execute)
        raise InputError("the power went")

    monkeypatch.setattr(schema, "_MIGRATIONS", (break_off,))
    with pytest.raises(InputError, match="the power went"):
        Store(place)
    monkeypatch.setattr(schema, "_MIGRATIONS", (migrate,))
    with Store(place) as kept:
        assert {made: kept.known(made) for made in KEPT} == KEPT
