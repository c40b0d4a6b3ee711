"""Where scoring happens: many architectures from several seeds, in one process or many, none twice."""

from __future__ import annotations

from zerocost.run.job import Job, Scores, draw_job_batches
from zerocost.run.scorer import Scorer

__all__ = ["Job", "Scorer", "Scores", "draw_job_batches"]
