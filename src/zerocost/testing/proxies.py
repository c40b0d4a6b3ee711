"""The promises that every score keeps, as checks: anyone's proxy can face them, over a zoo of networks.

Each check takes names of proxies and a specimen, scores its network, and raises `AssertionError` that says what is
broken. `check_proxy` runs them all.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn
from torch.utils._pytree import tree_leaves

from zerocost.engine.passes.base import PASSES
from zerocost.engine.proxy import REGISTRY
from zerocost.engine.signals import SIGNALS, measured_signals
from zerocost.proxies import get, names, resolve
from zerocost.scoring.candidates import initialise
from zerocost.scoring.card import ScoreCard
from zerocost.scoring.score import explain, score
from zerocost.testing.state import global_state, model_state, tensor_bits
from zerocost.testing.zoo import ZOO, Specimen

_SAMPLES = 7
_BUILT_IN = names()
_TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-4}
"""Relative difference allowed between a score alone and together with others, by the network's dtype."""


def check_proxy(proxies: Iterable[str] | str, networks: Mapping[str, Specimen] = ZOO) -> None:
    """Check registered proxies, or variants of them, against every promise that a score keeps.

    Args:
        proxies: names, as a sequence or comma-separated; a name may carry options, as in "zico(parts=4)".
        networks: what they are scored on. Networks that a promise is about are added.

    Raises:
        AssertionError: a promise is broken; the message names the network and says which.

    >>> check_proxy("snip", {"mlp": ZOO["mlp"]})
    """
    names = [proxy.name for proxy in resolve(proxies)]
    for label, specimen in networks.items():
        for check in CHECKS:
            with _naming_network(label):
                check(names, specimen)
    with _naming_network("tied weights"):
        check_tied(names)
    with _naming_network("dead"):
        check_dead(names)


@contextlib.contextmanager
def _naming_network(label: str) -> Iterator[None]:
    """Put the network's name in front of a check's message."""
    try:
        yield
    except AssertionError as broken:
        raise AssertionError(f"{label}: {broken}") from broken


def score_specimen(names: Sequence[str] | str, specimen: Specimen, dtype: torch.dtype = torch.float64) -> ScoreCard:
    """The scores of a specimen, built and drawn anew from seed 0."""
    return score(initialise(specimen.build).to(dtype), specimen.batch(_SAMPLES, seed=0), names)


def check_unchanged(names: Sequence[str], specimen: Specimen) -> None:
    """The model comes back as it was, bit for bit, and so do the inputs; also when the network raises or is stopped."""
    for trouble in (None, RuntimeError("trouble"), KeyboardInterrupt()):
        model, batch = initialise(specimen.build), specimen.batch(_SAMPLES, seed=0)
        for parameter in list(model.parameters())[:1]:
            parameter.grad = torch.ones_like(parameter)
        if trouble is not None:
            _make_raise(list(model.modules())[-1], trouble)
        before = model_state(model), [tensor_bits(t) for t in tree_leaves(batch)]
        with contextlib.suppress(KeyboardInterrupt):
            score(model, batch, names)
        after = model_state(model), [tensor_bits(t) for t in tree_leaves(batch)]
        changed = [key for key in {**before[0], **after[0]} if before[0].get(key) != after[0].get(key)]
        when = "" if trouble is None else f" when the network raises {type(trouble).__name__}"
        assert not changed, f"scoring changes the model{when}: {', '.join(changed)}"
        assert before[1] == after[1], f"scoring changes the batch{when}"


def check_global_state(names: Sequence[str], specimen: Specimen) -> None:
    """Global random generators, modes and defaults are left alone."""
    before = global_state()
    score_specimen(names, specimen)
    changed = [key for key, value in global_state().items() if value != before[key]]
    assert not changed, f"scoring changes global state: {', '.join(changed)}"


def check_together(names: Sequence[str], specimen: Specimen) -> None:
    """A proxy's value or failure is the same alone, together with all others, and in the reverse order.

    In float32 the check is repeated with every second of them in place of each alone.
    """
    everyone = list(dict.fromkeys([*_BUILT_IN, *names]))
    halves = [half for half in (names[::2], names[1::2]) if half]
    for dtype, apart in ((torch.float64, [[name] for name in names]), (torch.float32, halves)):
        together, reverse = (score_specimen(order, specimen, dtype) for order in (everyone, everyone[::-1]))
        for few in apart:
            card = score_specimen(few, specimen, dtype)
            for name in few:
                for company, other in (("together with others", together), ("in another order", reverse)):
                    assert _same_result(card, other, name, _TOLERANCE[dtype]), (
                        f"{name} in {dtype} is {_describe_result(card, name)} "
                        f"{'alone' if len(few) == 1 else 'with fewer'} but {_describe_result(other, name)} {company}"
                    )


def _check_repeatable(names: Sequence[str], specimen: Specimen) -> None:
    """The same seed gives the same value bit for bit, whatever the caller's modes and random states are."""
    first = score_specimen(names, specimen)
    torch.rand(1)
    modes = (torch.enable_grad, torch.no_grad, torch.inference_mode, lambda: torch.autocast("cpu"))
    for mode in modes:
        model, batch = initialise(specimen.build).double(), specimen.batch(_SAMPLES, seed=0)
        with mode():
            again = score(model, batch, names)
        for name in names:
            once, twice = _describe_result(first, name), _describe_result(again, name)
            assert once == twice, f"{name} is {once} at first and {twice} the second time"


def check_finite(names: Sequence[str], specimen: Specimen) -> None:
    """Each proxy has either a finite number or a reason."""
    for dtype in _TOLERANCE:
        card = score_specimen(names, specimen, dtype)
        assert sorted([*card.scores, *card.failures]) == sorted(names), "a proxy has no result, or two"
        for name, value in card.scores.items():
            assert isinstance(value, float) and math.isfinite(value), f"{name} is {value!r}, not a finite number"
        for name, reason in card.failures.items():
            assert reason.strip(), f"{name} fails without a reason"
            assert not reason.startswith("the proxy raised"), f"{name} is wrong: {reason}; raise Failure with a reason"
            assert not reason.startswith("the proxy returned"), f"{name} is no number: {reason}"


def _check_labels(names: Sequence[str], specimen: Specimen) -> None:
    """Without labels a proxy has the same value, or a failure that asks for them."""
    labelled = score_specimen(names, specimen)
    inputs, _ = specimen.batch(_SAMPLES, seed=0)
    bare = score(initialise(specimen.build).double(), (inputs, None), names)
    for name in labelled.scores:
        asks = "needs labels" in bare.failures.get(name, "")
        assert asks or _same_result(labelled, bare, name, 1e-10), (
            f"{name} is {_describe_result(labelled, name)} with labels but {_describe_result(bare, name)} without"
        )


def check_split(names: Sequence[str], specimen: Specimen) -> None:
    """Where memory is short, the batch runs in parts that give the same value, or the failure says what to try."""
    whole = score_specimen(names, specimen)
    model, batch = initialise(specimen.build).double(), specimen.batch(_SAMPLES, seed=0)
    parts = score(Rationed(model, limit=4), batch, names)
    for name in whole.scores:
        whole_only = not all(SIGNALS[s].in_parts for s in measured_signals(resolve(name)[0].signals))
        refused = (whole_only or not specimen.splits) and "try batch=" in parts.failures.get(name, "")
        assert refused or _same_result(whole, parts, name, 1e-10), (
            f"{name} is {_describe_result(whole, name)} on the whole batch "
            f"but {_describe_result(parts, name)} where only 4 samples fit"
        )


def _check_provenance(names: Sequence[str], specimen: Specimen) -> None:
    """Each score says how it was made, and the passes that ran are those that `explain` shows for it."""
    card = score_specimen(names, specimen)
    expected = {"zerocost", "torch", "seed", "initialisation", "inputs", "labels", "loss", "settings", "fidelity"}
    missing = (expected | {"dtype", "device", "part_size", "frozen", "unused"}) - set(card.provenance)
    assert not missing, f"provenance lacks {', '.join(sorted(missing))}"
    ran, planned = {p.name for p in card.passes}, {p.name for p in explain(names).passes}
    needed = {p.name for p in explain(list(card.scores)).passes} if card.scores else set()
    along = {other for name in ran for other in PASSES[name].also}
    assert needed - along <= ran <= planned, f"passes {sorted(ran)} ran but explain shows {sorted(planned)}"
    assert all(p.milliseconds >= 0 for p in card.passes), "a pass took negative time"


def check_sign(names: Sequence[str], specimen: Specimen) -> None:
    """A score is the formula's value, or its negative where lower is better."""
    card = score_specimen(names, specimen)
    declared = {proxy.name: proxy for proxy in (get(name.partition("(")[0]) for name in names)}
    try:
        for name, proxy in declared.items():
            REGISTRY[name] = replace(proxy, higher_is_better=not proxy.higher_is_better)
        turned = score_specimen(names, specimen)
    finally:
        REGISTRY.update(declared)
    for name, value in card.scores.items():
        assert turned[name] == -value, f"{name} is {value} and, declared the other way, {turned[name]}"


CHECKS: tuple[Callable[[Sequence[str], Specimen], None], ...] = (
    check_unchanged,
    check_global_state,
    check_together,
    _check_repeatable,
    check_finite,
    _check_labels,
    check_split,
    _check_provenance,
    check_sign,
)


def check_dead(names: Sequence[str]) -> None:
    """A network without a path from input to output gets a reason or a value from what it still has, never a zero.

    What a network costs may be 0.
    """
    costs = {proxy.name for proxy in resolve(names) if proxy.is_budget}
    for name, value in score_specimen(names, ZOO["dead"]).items():
        assert value != 0 or name in costs, (
            f"{name} is 0 for a network without a path from input to output; fail with the reason"
        )


def check_tied(names: Sequence[str]) -> None:
    """A weight shared by two layers counts once: as one layer called twice."""
    two, one = (score_specimen(names, ZOO[label]) for label in ("shared-weight", "called-twice"))
    for name in names:
        assert _same_result(two, one, name, 1e-10), (
            f"{name} is {_describe_result(two, name)} for two layers that share their weight, "
            f"but {_describe_result(one, name)} for one layer called twice"
        )


class Rationed(nn.Module):
    """A network on a machine whose memory holds `limit` samples."""

    def __init__(self, model: nn.Module, limit: int) -> None:
        super().__init__()
        self.model, self.limit = model, limit

    def forward(self, *inputs: Any, **named: Any) -> Any:
        samples = max(len(t) for t in tree_leaves((inputs, named)) if t.ndim)
        if samples > self.limit:
            raise torch.OutOfMemoryError(f"{samples} samples do not fit")
        return self.model(*inputs, **named)


def _make_raise(module: nn.Module, error: BaseException) -> None:
    """Make a module raise when it is called."""

    def forward(*_: Any, **__: Any) -> Any:
        raise error

    module.forward = forward


def _same_result(one: ScoreCard, other: ScoreCard, name: str, tolerance: float) -> bool:
    """Whether two cards hold the same value of a proxy within a relative tolerance, or the same failure."""
    if name in one.scores and name in other.scores:
        return math.isclose(one[name], other[name], rel_tol=tolerance, abs_tol=tolerance * 1e-3)
    return name in one.failures and one.failures[name] == other.failures.get(name)


def _describe_result(card: ScoreCard, name: str) -> str:
    """A proxy's value, or its failure, in words."""
    return f"failed ({card.failures[name]})" if name in card.failures else repr(card.scores[name])
