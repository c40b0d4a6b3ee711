from __future__ import annotations

import pytest

from zerocost.benchmarks.cache import Cache, Score
from zerocost.errors import InputError


def test_scores_and_reasons_outlive_the_process(tmp_path):
    with Cache(tmp_path / "scores.db") as cache:
        cache.add("run", "a", 0, {"snip": Score(0.1, None), "grasp": Score(None, "overflow")})
        cache.add("run", "a", 1, {"snip": Score(-1e300, None)})
    with Cache(tmp_path / "scores.db") as cache:
        assert cache.known("run") == {
            ("a", 0, "snip"): Score(0.1, None),
            ("a", 0, "grasp"): Score(None, "overflow"),
            ("a", 1, "snip"): Score(-1e300, None),
        }
        assert cache.known("another run") == {}


def test_what_is_added_is_there_at_once(tmp_path):
    with Cache(tmp_path / "scores.db") as writing, Cache(tmp_path / "scores.db") as reading:
        writing.add("run", "a", 0, {"snip": Score(1.0, None)})
        assert reading.known("run")["a", 0, "snip"].value == 1


def test_a_file_that_is_no_cache_is_bad_input(tmp_path):
    file = tmp_path / "notes.txt"
    file.write_text("not a database, and longer than the header of one would be" * 20)
    with pytest.raises(InputError, match="cannot keep scores"):
        Cache(file)
    with pytest.raises(InputError, match="cannot keep scores"):
        Cache(tmp_path / "nowhere" / "scores.db")
