"""The tools people already use: their models scored, their searches filtered by score."""

from __future__ import annotations

from zerocost.integrations.keras import library, scoring
from zerocost.scoring.adapters import ADAPTERS, Adapter

ADAPTERS.append(Adapter(library.is_model, scoring.evaluate))
