from __future__ import annotations

import pytest

from run.small import Noted
from zerocost.engine.proxy import REGISTRY


@pytest.fixture
def noted(tmp_path):
    yield Noted(tmp_path)
    REGISTRY.pop("noted", None)
