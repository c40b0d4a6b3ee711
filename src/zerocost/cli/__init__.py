"""The shell command: `zerocost score`, `rank`, `search` and others."""

from zerocost.base.interrupt import exits_at_interrupt

with exits_at_interrupt():
    from zerocost.cli.main import main

__all__ = ["main"]
