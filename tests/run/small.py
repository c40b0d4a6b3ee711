"""A job of small networks, and a proxy that notes each time it is computed."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from zerocost import spaces
from zerocost.run import Job, Scorer, Scores, draw_job_batches
from zerocost.spaces import Fidelity, SearchSpace
from zerocost.store import Store

SMALL = Fidelity(width=0.2, depth=0.4)
DATA = "digits:8"
TEXTS = [str(arch) for arch, _ in zip(spaces.get("cnn", resolution=8), range(12), strict=False)]
NOTED = """
import os, time
from zerocost import proxy


@proxy(paper="a test")
def noted(weights):
    "How many weights there are, slowly."
    with open({log!r}, "a") as log:
        log.write(f"{{os.getpid()}} {{sum(w.numel() for w in weights)}}\\n")
    time.sleep({pause})
    return {factor} * sum(w.numel() for w in weights)
"""


def job(*proxies, fidelity=SMALL, seeds=(0, 1), space: SearchSpace | None = None, data=DATA, batches=1, batch=8) -> Job:
    made = draw_job_batches(data, seeds, batch, batches, False, fidelity)
    return Job(space or spaces.get("cnn", resolution=8), proxies, made, fidelity, None)


def scores(given: Job, texts=TEXTS[:3], where=None, workers=None, ray=None, **options) -> dict[tuple[str, int], Scores]:
    with Store(where) as store, Scorer(given, store=store, workers=workers, ray=ray) as score:
        return score(texts, **options)


class Noted:
    """A file with the proxy, and what it noted."""

    def __init__(self, folder: Path) -> None:
        self.file, self.log = folder / "my_proxy.py", folder / "log.txt"
        self.name = f"{self.file}:noted"
        self.write()

    def write(self, pause: float = 0.0, factor: int = 1) -> None:
        self.file.write_text(NOTED.format(log=str(self.log), pause=pause, factor=factor))

    def by_process(self) -> Counter[int]:
        """How often each process computed it."""
        lines = self.log.read_text().splitlines() if self.log.is_file() else []
        return Counter(int(line.split()[0]) for line in lines)
