from __future__ import annotations

import math
import sqlite3
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from zerocost.base.errors import InputError, ZerocostError
from zerocost.store import Score, Store, owners, store

ONE = {("a", 0, "snip"): Score(1.0, None)}


@pytest.fixture
def silent(monkeypatch):
    """Owners are known by their signs of life alone, as those of another machine are."""
    monkeypatch.setattr(owners, "start_time", lambda pid: "")


def test_scores_and_reasons_outlive_the_store(place):
    rows = {
        ("a", 0, "snip"): Score(0.1, None),
        ("a", 0, "grasp"): Score(None, "overflow of 100 % :x {now}"),
        ("a", 2**40, "snip"): Score(-1e300, None),
        ("|nor_conv_3x3~0|+|ß~1|", 0, "snip"): Score(5e-324, None),
    }
    with Store(place) as kept:
        kept.add("run", rows)
    with Store(place) as kept:
        assert kept.known("run") == rows
        assert kept.known("another run") == {}
        assert kept.known("run", ["a", "nobody"]) == {key: rows[key] for key in rows if key[0] == "a"}
        assert kept.known("run", []) == {}


def test_what_is_added_is_seen_at_once_and_the_last_counts(place):
    with Store(place) as writing, Store(place) as reading:
        writing.add("run", ONE)
        assert reading.known("run") == ONE
        reading.add("run", {("a", 0, "snip"): Score(2.0, None)})
        assert writing.known("run")["a", 0, "snip"].value == 2


def test_many_rows_are_added_at_once_and_some_of_them_read(place):
    rows = {(f"arch-{i}", 0, "snip"): Score(float(i), None) for i in range(3000)}
    with Store(place) as kept:
        kept.add("run", rows)
        some = [f"arch-{i}" for i in range(0, 3000, 2)]
        assert kept.known("run", some) == {key: score for key, score in rows.items() if key[0] in set(some)}


def test_rows_are_added_all_or_none(place):
    with Store(place) as kept:
        with pytest.raises(ZerocostError, match="the database of scores says"):
            kept.add("run", ONE | {(None, 0, "snip"): Score(2.0, None)})
        assert kept.known("run") == {}


KEYS = st.tuples(st.text("ab,=|~", max_size=3), st.integers(0, 9), st.sampled_from("xy"))


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(KEYS, st.floats(allow_nan=False, allow_infinity=False), max_size=9))
def test_known_is_what_was_added(values):
    rows = {key: Score(value, None) for key, value in values.items()}
    with Store(None) as kept:
        kept.add("run", rows)
        assert kept.known("run") == rows


def test_running_out_of_memory_is_not_kept_but_ends_the_claim(place):
    with Store(place) as one, Store(place) as two:
        one.claim("run", [("a", 0)])
        one.add("run", {("a", 0, "snip"): Score(None, "out of memory at batch 64; try batch=32")})
        assert one.known("run") == {}
        assert two.claim("run", [("a", 0)]) == {("a", 0)}


def test_one_store_at_a_time_has_a_claim(place):
    with Store(place) as one, Store(place) as two:
        assert one.claim("run", [("a", 0), ("b", 0)]) == {("a", 0), ("b", 0)}
        assert two.claim("run", [("b", 0), ("c", 0), ("b", 1)]) == {("c", 0), ("b", 1)}
        assert two.claim("another run", [("b", 0)]) == {("b", 0)}
        assert one.claim("run", [("a", 0), ("c", 0)]) == {("a", 0)}
        two.release("run", [("a", 0), ("c", 0)])
        assert one.claim("run", [("a", 0), ("c", 0)]) == {("a", 0), ("c", 0)}


def test_adding_scores_and_closing_release_claims(place):
    with Store(place) as one:
        with Store(place) as two:
            two.claim("run", [("a", 0), ("b", 0), ("b", 1)])
            two.add("run", ONE)
            assert one.claim("run", [("a", 0), ("b", 0)]) == {("a", 0)}
        assert one.claim("run", [("b", 0), ("b", 1)]) == {("b", 0), ("b", 1)}


def test_a_store_in_memory_has_all_claims():
    with Store(None) as kept:
        assert kept.where is None
        assert kept.claim("run", [("a", 0)]) == kept.claim("run", [("a", 0)]) == {("a", 0)}


def test_claims_of_who_is_silent_for_long_are_taken_over(place, silent, monkeypatch):
    with Store(place) as one, Store(place) as two:
        one.claim("run", [("a", 0)])
        assert two.claim("run", [("a", 0)]) == set()
        monkeypatch.setattr(owners, "LONGEST_SILENCE", -1.0)
        assert two.claim("run", [("a", 0)]) == {("a", 0)}
        assert one.claim("run", [("b", 0)]) == {("b", 0)}


def test_who_computes_for_long_still_gives_signs_of_life(place, silent, monkeypatch):
    monkeypatch.setattr(store, "SIGN_INTERVAL", 0.05)
    monkeypatch.setattr(owners, "LONGEST_SILENCE", 0.5)
    with Store(place) as one, Store(place) as two:
        one.claim("run", [("a", 0)])
        assert not threading.Event().wait(0.8)
        assert two.claim("run", [("a", 0)]) == set()


def test_threads_can_write_one_file_at_the_same_time(place):
    errors = []

    def write(name):
        try:
            with Store(place) as kept:
                for i in range(10):
                    kept.claim("run", [(name, i)])
                    kept.add("run", {(name, i, "snip"): Score(1.0, None)})
        except ZerocostError as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(f"arch-{i}",)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with Store(place) as kept:
        assert (errors, len(kept.known("run"))) == ([], 80)


def test_what_is_no_store_is_bad_input(tmp_path):
    notes, other = tmp_path / "notes.txt", tmp_path / "other.db"
    notes.write_text("not a database, and longer than the header of one would be" * 20)
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE scores (player TEXT, points INTEGER)")
    connection.close()
    for where in (notes, other, tmp_path, tmp_path / "nowhere" / "scores.db"):
        with pytest.raises(InputError, match=r"cannot keep scores in .*; give the path of a file to make"):
            Store(where)


@pytest.mark.parametrize(
    ("value", "reason"), [(math.inf, None), (-math.inf, None), ("snip", None), (None, None), (1.0, "both")]
)
def test_a_row_that_is_no_score_is_named(tmp_path, value, reason):
    with Store(tmp_path / "scores.db") as store:
        store.add("made", {("arch", 3, "snip"): Score(1.0, None)})
        with sqlite3.connect(tmp_path / "scores.db") as other:
            other.execute("UPDATE scores SET value = ?, reason = ?", (value, reason))
        other.close()
        with pytest.raises(ZerocostError, match="no score of snip for architecture arch, seed 3"):
            store.known("made")


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("UPDATE scores SET value = 'high' WHERE architecture = 'b'", "no score of snip for architecture b, seed 0"),
        ("UPDATE scores SET value = x'00' WHERE architecture = 'b'", "no score of snip for architecture b, seed 0"),
        ("UPDATE scores SET value = NULL, reason = NULL WHERE architecture = 'b'", "architecture b, seed 0"),
        ("UPDATE scores SET value = NULL, reason = x'ff' WHERE architecture = 'b'", "architecture b, seed 0"),
        ("UPDATE scores SET architecture = x'00' WHERE architecture = 'b'", "score of 'snip' for b'.x00', seed 0"),
        ("UPDATE scores SET seed = 'x' WHERE architecture = 'b'", "score of 'snip' for 'b', seed 'x'"),
        ("UPDATE scores SET proxy = x'00' WHERE architecture = 'b'", "score of b'.x00' for 'b', seed 0"),
        ("UPDATE scores SET reason = CAST(x'ff' AS TEXT), value = NULL", "Could not decode to UTF-8"),
        ("DROP TABLE scores", "no such table: scores"),
        ("ALTER TABLE scores DROP COLUMN reason", "no such column: reason"),
    ],
)
def test_a_row_of_another_kind_is_an_error_that_names_it(tmp_path, statement, message):
    with Store(tmp_path / "scores.db") as kept:
        kept.add("run", ONE | {("b", 0, "snip"): Score(2.0, None)})
        with sqlite3.connect(tmp_path / "scores.db") as other:
            other.execute(statement)
        other.close()
        with pytest.raises(ZerocostError, match=message):
            kept.known("run")


def test_an_owner_without_a_time_is_named(tmp_path):
    with Store(tmp_path / "scores.db") as kept:
        with sqlite3.connect(tmp_path / "scores.db") as other:
            other.execute("INSERT INTO owners VALUES ('nobody', 'here', 1, '', NULL)")
        other.close()
        with pytest.raises(ZerocostError, match="owner 'nobody' without a time"):
            kept.claim("run", [("a", 0)])


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_file_that_is_cut_off_is_an_error(tmp_path, share):
    with Store(tmp_path / "scores.db") as kept:
        kept.add("run", {(f"arch-{i}", 0, "snip"): Score(1.0, None) for i in range(2000)})
    content = (tmp_path / "scores.db").read_bytes()
    (tmp_path / "scores.db").write_bytes(content[: int(share * len(content))])
    with pytest.raises(ZerocostError, match=r"malformed|not a database"), Store(tmp_path / "scores.db") as kept:
        kept.known("run")


def test_what_is_no_store_is_left_as_it_was(tmp_path):
    with sqlite3.connect(tmp_path / "other.db") as other:
        other.execute("CREATE TABLE scores (player TEXT, points INTEGER)")
    other.close()
    before = (tmp_path / "other.db").read_bytes()
    with pytest.raises(InputError, match="no such column"):
        Store(tmp_path / "other.db")
    assert (tmp_path / "other.db").read_bytes() == before
