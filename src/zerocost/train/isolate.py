"""Lightning changes the process it runs in and prints messages; inside `isolate_lightning` it does neither."""

from __future__ import annotations

import logging
import os
import signal
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch

LOGGERS = ("pytorch_lightning", "lightning_fabric")


@contextmanager
def isolate_lightning(device: torch.device) -> Iterator[None]:
    """Restore afterwards what Lightning changes: environment, warning filters, signal handler, grad mode, device.

    Inside, its log is silent, and so are its hints (warnings of its class `PossibleUserWarning`) and a warning of torch
    about how Lightning calls it.
    """
    environment = dict(os.environ)
    interrupt = signal.getsignal(signal.SIGINT)
    with ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        stack.enter_context(torch.inference_mode(False))  # gradients on, whatever the caller's mode
        if device.type == "cuda":
            stack.enter_context(torch.cuda.device(device))
        import pytorch_lightning  # noqa: F401  its import sets log levels, filters and the environment
        from lightning_fabric.utilities.warnings import PossibleUserWarning

        warnings.filterwarnings("ignore", category=PossibleUserWarning)
        warnings.filterwarnings("ignore", r".*LeafSpec.* is deprecated", FutureWarning)
        loggers = [logging.getLogger(name) for name in LOGGERS]
        levels = [logger.level for logger in loggers]
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
            if threading.current_thread() is threading.main_thread():
                signal.signal(signal.SIGINT, interrupt)
            for name in environment.keys() ^ os.environ.keys():
                os.environ.pop(name, None)
            os.environ.update(environment)
