"""Adding a signal touches one file: what declares a signal is all that has to be written."""

from __future__ import annotations

from importlib import import_module

import pytest
import torch
from torch import nn

import zerocost as zc
from zerocost.engine.merging import weighted_sum
from zerocost.engine.passes.base import PASSES, Pass, add_pass
from zerocost.engine.readings import MODEL, reading
from zerocost.engine.signals import SIGNALS, SOURCES, Signal
from zerocost.engine.watch.base import WATCHERS, Collector
from zerocost.engine.watch.gradients import GradientWatcher
from zerocost.testing.proxies import Rationed


def batch(n=6):
    return torch.randn(n, 4, generator=torch.Generator().manual_seed(0)), torch.arange(n) % 3


def mlp():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))


def test_a_watcher_is_all_that_a_signal_of_the_forward_pass_takes(registries):
    class Tanhs(Collector):
        """The largest value of each hyperbolic tangent."""

        signal = "tanh_peaks"
        meaning = "the largest value of each hyperbolic tangent: scalars"
        nothing_seen = "no tanh was seen"

        def after(self, call, result):
            if call.name == "tanh":
                self.values.append(result.max())

    @zc.proxy(paper="this test")
    def peak(tanh_peaks):
        return max(tanh_peaks)

    assert "tanh_peaks for peak" in str(zc.explain("peak"))
    assert zc.score(mlp(), batch(), "peak")["peak"] == pytest.approx(mlp()[:2](batch()[0]).max().item())
    assert zc.score(nn.Linear(4, 3), batch(), "peak").failures == {"peak": "no tanh was seen"}
    assert "cannot be measured in parts" in zc.score(Rationed(mlp(), 4), batch(), "peak").failures["peak"]


def test_a_watcher_is_all_that_a_signal_of_the_loss_takes_parts_included(registries):
    class TanhGradients(GradientWatcher, Collector):
        """The gradient of the loss to each hyperbolic tangent, summed over everything."""

        signal = "tanh_gradients"
        meaning = "the summed gradient of the loss to each hyperbolic tangent: scalars"
        merge = staticmethod(weighted_sum)

        def after(self, call, result):
            if call.name == "tanh":
                self.when_known(result, lambda gradient: self.values.append(gradient.sum()))

    @zc.proxy(paper="this test")
    def pull(tanh_gradients):
        return sum(tanh_gradients)

    assert [step.name for step in zc.explain("pull").passes] == ["data", "loss"]
    whole, parts = (zc.score(model, batch(), "pull") for model in (mlp().double(), Rationed(mlp().double(), 4)))
    assert parts["pull"] == pytest.approx(whole["pull"], rel=1e-10) and whole["pull"] != 0


def test_a_pass_is_all_that_its_signals_take(registries):
    def twice(graph):
        (gradient,) = torch.autograd.grad(2 * graph.outputs.sum(), graph.inputs, retain_graph=True)
        return {"doubled_jacobian": gradient}

    add_pass(
        Pass(
            name="twice",
            run=twice,
            order=45,
            description="backward of the outputs, twice",
            backwards=1,
            continues=("data",),
            on_graph=True,
        ),
        Signal("doubled_jacobian", "twice the gradient of the summed outputs to each input: N×D"),
    )

    @zc.proxy(paper="this test")
    def doubled(doubled_jacobian, input_jacobian):
        return (doubled_jacobian / input_jacobian).mean()

    card = zc.score(mlp(), batch(), "doubled,snip,az_trainability")
    assert card["doubled"] == pytest.approx(2) and {"twice", "jacobian", "loss"} <= {p.name for p in card.passes}


def test_a_reading_is_all_that_a_signal_of_the_model_takes(registries):
    @reading(MODEL, "number of buffers: int")
    def buffer_count(network):
        return len(network.buffers)

    @zc.proxy(paper="this test")
    def buffers(buffer_count):
        return buffer_count

    assert zc.score(nn.BatchNorm1d(4), batch(), "buffers")["buffers"] == 3
    assert "(no pass)" in str(zc.explain("buffers"))


@pytest.mark.parametrize("name", list(SIGNALS))
def test_each_signal_is_declared_in_the_file_of_what_measures_it(name):
    signal = SIGNALS[name]
    assert signal.declared_in.startswith("zerocost.engine.") and signal.meaning
    file = import_module(signal.declared_in)
    if name in WATCHERS:
        assert WATCHERS[name].__module__ == signal.declared_in
    elif signal.source in PASSES:
        assert PASSES[signal.source].run.__module__ == signal.declared_in
    else:
        assert callable(getattr(file, name))


def test_signals_are_listed_by_source_and_passes_in_the_order_in_which_they_are_run():
    orders = [SOURCES[s.source].order for s in SIGNALS.values()]
    assert orders == sorted(orders) and list(SIGNALS)[:2] == ["parameter_count", "non_embedding_count"]
    assert list(PASSES) == sorted(PASSES, key=lambda name: PASSES[name].order)
    assert len({source.order for source in SOURCES.values()}) == len(SOURCES)
