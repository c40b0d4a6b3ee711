from __future__ import annotations

import gc
import os
import uuid
from collections.abc import Iterator

import hypothesis
import pytest
import torch

from zerocost.engine.passes.base import PASSES
from zerocost.engine.proxy import REGISTRY
from zerocost.engine.readings import READINGS
from zerocost.engine.signals import SIGNALS, SOURCES
from zerocost.engine.watch.base import WATCHERS

os.environ.pop("COLUMNS", None)  # the width of whoever's terminal runs the tests
hypothesis.settings.register_profile("no deadline", parent=hypothesis.settings(), deadline=None)
hypothesis.settings.load_profile("no deadline")


@pytest.fixture(autouse=True, scope="module")
def swept() -> None:
    """What is there by now stays: each search for garbage, as Keras asks for often, would go through it again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="session")
def few_threads() -> Iterator[None]:
    """Small networks run many times faster in one thread than in threads that wait for each other.

    The variable OMP_NUM_THREADS asks for more.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """For what is compared with other processes, each of which has one thread: more threads round otherwise."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def registries() -> Iterator[None]:
    """Forget the proxies, signals, passes, watchers and readings that a test registers."""
    before = [(table, dict(table)) for table in (REGISTRY, SIGNALS, SOURCES, PASSES, WATCHERS, READINGS)]
    yield
    for table, contents in before:
        table.clear()
        table.update(contents)


@pytest.fixture
def postgres() -> Iterator[str]:
    """The URL of an empty schema on the PostgreSQL server that ZEROCOST_TEST_POSTGRES names."""
    server = os.environ.get("ZEROCOST_TEST_POSTGRES")
    if not server:
        pytest.skip("ZEROCOST_TEST_POSTGRES names no server; .ci/with-postgres starts one")
    psycopg = pytest.importorskip("psycopg", reason="the extra postgres is not installed")
    name = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {name}")
        yield f"{server}{'&' if '?' in server else '?'}options=-csearch_path%3D{name}"
        connection.execute(f"DROP SCHEMA {name} CASCADE")


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request, tmp_path):
    """Where a store can be: a file, or a PostgreSQL server."""
    return tmp_path / "scores.db" if request.param == "sqlite" else request.getfixturevalue("postgres")
