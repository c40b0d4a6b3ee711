from __future__ import annotations

import pytest

from zerocost.engine.observe import Observer
from zerocost.engine.watch.base import Scene


@pytest.fixture
def watched():
    """What the watcher of a signal finds while a network runs on a batch."""

    def found(signal, model, *inputs, samples=None, **scene):
        observer = Observer(Scene(samples or len(inputs[0]), model=model, **scene), frozenset({signal}))
        with observer.watching():
            model(*inputs)
        return observer.found(signal)

    return found
