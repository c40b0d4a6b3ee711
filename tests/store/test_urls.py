from __future__ import annotations

from pathlib import Path

import pytest

from zerocost.base.errors import InputError
from zerocost.store.urls import as_url, display_url


@pytest.mark.parametrize("where", [None, "sqlite://", "sqlite:///:memory:", ":memory:"])
def test_memory_has_no_database_name(where):
    assert (as_url(where).drivername, as_url(where).database) == ("sqlite", None)


def test_paths_and_urls_of_a_file_mean_the_same():
    assert as_url(Path("a/b.db")) == as_url("a/b.db") == as_url("sqlite:///a/b.db")
    assert display_url(as_url("sqlite:////tmp/b.db")) == "/tmp/b.db"


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg2"])
def test_every_postgresql_url_is_driven_by_psycopg_3(scheme):
    url = as_url(f"{scheme}://me:p%40ss@here:5433/scores?sslmode=require")
    assert (url.drivername, url.password, url.query["sslmode"]) == ("postgresql+psycopg", "p@ss", "require")
    assert display_url(url) == "postgresql://me:***@here:5433/scores"


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("mysql://me:pa55word@here/db", "cannot be kept in mysql://…; expected a path, sqlite:///FILE or postgresql"),
        ("postgresql://me:pa55word@here:port/db", "cannot be read; expected"),
        ("postgresql://me:first@pa55word@here/db", "must be written %40"),
    ],
)
def test_another_url_is_bad_input_and_its_password_not_shown(where, message):
    with pytest.raises(InputError, match=message) as raised:
        as_url(where)
    assert "pa55word" not in str(raised.value)


BAD_NAMES = [
    *(("", "no name"), (" ", "no name"), ("sqlite://x", "write sqlite:///x"), (5, "of type int")),
    *((b"scores.db", "of type bytes"), ("a\0.db", "no file name has"), ("a\ud800.db", "no file name has")),
]


@pytest.mark.parametrize(("where", "reason"), BAD_NAMES)
def test_what_would_be_kept_nowhere_is_refused(where, reason):
    with pytest.raises(InputError, match=reason):
        as_url(where)
