"""Where a network comes from: a shipped space, or a Python file of the user's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zerocost import spaces
from zerocost.base import user_code
from zerocost.base.errors import InputError
from zerocost.search.preparation import plain
from zerocost.search.sources import Source, collect, collect_shipped, copied_name


@dataclass(frozen=True)
class Origin:
    """Where a network comes from.

    Attributes:
        space: the name of a shipped space; or `FILE.py:NAME` of your own space, or of a function without arguments (or
            a class) that makes the network.
        architecture: which one of the space, as text; None where the network is not of a space.
        sizes: what a shipped space was made for.

    >>> Origin("cnn", sizes={"classes": 10}).settings()
    Traceback (most recent call last):
    ...
    zerocost.base.errors.InputError: 'cnn' is a space; say which architecture of it the network is
    """

    space: str
    architecture: str | None = None
    sizes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def source(self) -> Source:
        """The files that build the network; `InputError` for one that cannot be read."""
        if ":" in self.space:
            return collect(Path(self.space.rpartition(":")[0]))
        return collect_shipped(spaces.SPACES[self.space].__module__)

    def settings(self) -> dict[str, Any]:
        """What `network.py` has to know to build it; `InputError` for a space or architecture that there is not."""
        own = ":" in self.space
        choices = None
        if self.architecture is not None:
            space = own_space(self.space) if own else spaces.get(self.space, **self.sizes)
            choices = plain(dict(space.parse(self.architecture).choices))
        elif own:
            user_code.load_object(self.space)
        else:
            raise InputError(f"{self.space!r} is a space; say which architecture of it the network is")
        if own:
            file, _, name = self.space.rpartition(":")
            source = {"module": Path(file).stem, "name": name}
        else:
            factory = spaces.SPACES[self.space]
            source = {"module": copied_name(factory.__module__), "name": factory.__name__, "sizes": plain(self.sizes)}
        return {"space": self.space, "architecture": self.architecture, "choices": choices, "source": source}


def own_space(target: str) -> spaces.SearchSpace:
    """The space that `FILE.py:NAME` names: a `SearchSpace`, or a function of choices made one."""
    found = user_code.load_object(target)
    if isinstance(found, spaces.SearchSpace):
        return found
    if not callable(found):
        raise InputError(f"{target} is of type {type(found).__name__}; expected a SearchSpace or a function of choices")
    return spaces.from_function(found)
