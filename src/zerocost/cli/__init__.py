"""The shell command: `zerocost score | rank | search | evaluate | tune | proxies | explain`."""

from zerocost.cli.main import main

__all__ = ["main"]
