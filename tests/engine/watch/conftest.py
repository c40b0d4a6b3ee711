from __future__ import annotations

import pytest

from zerocost.engine.observe.observer import Observer
from zerocost.engine.watch.base import WATCHERS, Scene


@pytest.fixture
def watched():
    """What a watcher, or the one of a signal, sees while a network runs on a batch."""

    def result(watcher, model, *inputs, samples=None, constants=(), **scene):
        watcher = WATCHERS.get(watcher, watcher)
        scene = Scene(samples or len(inputs[0]), model=model, **scene)
        scene.start(inputs, [*model.parameters(), *model.buffers(), *constants])
        observer = Observer(scene, [watcher])
        with observer.watching():
            model(*inputs)
        return observer.result(watcher)

    return result
