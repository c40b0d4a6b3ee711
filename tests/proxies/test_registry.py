from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import zerocost as zc
from zerocost.base.errors import Failure
from zerocost.engine.proxy import REGISTRY, get
from zerocost.proxies import registry
from zerocost.proxies.aggregates import AGGREGATES


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))


BATCH = (torch.tensor([[1.0, -1.0, 0.5], [0.3, 2.0, -0.4]]), torch.tensor([0, 1]))


def test_every_registered_name_is_a_public_function_with_a_paper() -> None:
    assert {"snip", "naswot", "params"} <= set(zc.proxies.names())
    for name in zc.proxies.names():
        entry = get(name)
        assert getattr(zc.proxies, name) is entry.formula
        assert entry.group
        assert entry.summary.endswith(".")
        assert entry.paper
        assert entry.signals


def test_an_unknown_name_gives_the_nearest_one() -> None:
    with pytest.raises(zc.InputError, match=r"unknown proxy 'synfow'; did you mean 'synflow', .* lists all 61"):
        get("synfow")
    with pytest.raises(zc.InputError, match="unknown proxy 'gradnorm'; did you mean 'grad_norm'"):
        registry.resolve("snip, gradnorm")


@pytest.mark.parametrize("wanted", ["snip,grasp", "snip, grasp,snip,", ["snip", "grasp"], ("snip", "grasp", "snip")])
def test_names_come_as_a_sequence_or_a_string_and_count_once(wanted: str | list[str]) -> None:
    assert [entry.name for entry in registry.resolve(wanted)] == ["snip", "grasp"]


@pytest.mark.parametrize("wanted", ["", " , ", []])
def test_no_name_at_all_is_an_error_that_lists_them(wanted: str | list[str]) -> None:
    with pytest.raises(zc.InputError, match=r"no proxy was named; choose from .*snip"):
        registry.resolve(wanted)


@pytest.mark.parametrize("name", list(AGGREGATES))
def test_the_name_of_an_aggregate_stands_for_its_parts(name: str) -> None:
    parts = list(AGGREGATES[name])
    assert [entry.name for entry in registry.resolve(name)] == parts
    assert [entry.name for entry in registry.resolve(f"snip, {name}, flops")] == [
        *dict.fromkeys(["snip", *parts, "flops"])
    ]
    assert name not in zc.proxies.names()


@pytest.mark.usefixtures("registries")
def test_settings_are_declared_and_checked_when_a_proxy_is_registered() -> None:
    @zc.proxy(paper="this test", mode="eval", samples=2)
    def largest(outputs: Tensor, *, power: float = 1.0) -> Tensor:
        """Largest output to a power."""
        return outputs.max() ** power

    entry = get("largest")
    assert entry.settings.mode == "eval" and entry.settings.samples == 2 and entry.signals == ("outputs",)
    assert entry.using(power=2.0, mode="train").name == "largest(mode=train, power=2)"
    assert entry.using(power=2.0).options == {"power": 2.0}
    with pytest.raises(zc.InputError, match="unknown option of proxy largest: 'powr'; did you mean 'power'"):
        entry.using(powr=2.0)
    with pytest.raises(zc.InputError, match="unknown mode 'evl'; did you mean 'eval'"):

        @zc.proxy(paper="this test", mode="evl")
        def wrong(outputs: Tensor) -> Tensor:
            return outputs.max()

    assert "wrong" not in REGISTRY


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        ("meco_opt(channels=0.5)", "channels of proxy meco_opt must be a whole number, got 0.5; channels=8 is"),
        ("meco_opt(channels=True)", "must be a whole number, got True"),
        ("zico_bc(beta=True)", "must be a number, got True"),
        ("zico_bc(beta=1e400)", "must be a number, got inf"),
        ("swap_regularised(mu=word, sigma=2)", "must be a number, got 'word'"),
        ("az_trainability(perturbation=True)", "perturbation must be a positive number, got True"),
        ("az_trainability(perturbation=1e400)", "perturbation must be a positive number, got inf"),
    ],
)
def test_an_option_of_the_wrong_kind_is_refused_before_anything_is_scored(wanted: str, reason: str) -> None:
    with pytest.raises(zc.InputError, match=reason):
        registry.resolve(wanted)


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        ("meco_opt(channels=0)", "channels of meco_opt must be at least 1, but got 0"),
        ("training_memory(batch=0)", "batch of training_memory must be at least 1, but got 0"),
        ("swap_regularised(mu=8, sigma=0)", "sigma of swap_regularised must be above 0, got 0"),
    ],
)
def test_an_option_out_of_range_is_refused(wanted: str, reason: str) -> None:
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 2))
    batch = torch.rand(4, 1, 6, 6), torch.tensor([0, 1, 0, 1])
    with pytest.raises(zc.InputError, match=reason):
        zc.score(model, batch, wanted)


@pytest.mark.usefixtures("registries")
def test_an_option_reaches_the_formula(network: nn.Module) -> None:
    @zc.proxy(paper="this test")
    def scaled(parameter_count: int, *, factor: float = 1.0) -> float:
        """Parameters times a factor."""
        return factor * parameter_count

    card = zc.score(network, BATCH, "scaled,scaled(factor=0.5)")
    assert dict(card) == {"scaled": 26.0, "scaled(factor=0.5)": 13.0}


@pytest.mark.usefixtures("registries")
def test_a_proxy_of_ones_own_is_scored_like_any_other(network: nn.Module) -> None:
    @zc.proxy(paper="this test")
    def largest_gradient(weight_gradients: list[Tensor]) -> Tensor:
        """Largest entry of any weight's gradient."""
        return max(g.abs().max() for g in weight_gradients)

    loss = torch.nn.functional.cross_entropy(network(BATCH[0]), BATCH[1])
    gradients = torch.autograd.grad(loss, [network[0].weight, network[2].weight])
    card = zc.score(network, BATCH, "largest_gradient,snip")
    assert card["largest_gradient"] == pytest.approx(max(g.abs().max().item() for g in gradients), rel=1e-6)
    assert [step.name for step in card.passes] == ["data", "loss"]  # no run of its own
    assert get("largest_gradient").summary == "Largest entry of any weight's gradient."
    assert largest_gradient([torch.tensor([-3.0, 2.0])]).item() == 3.0  # still a plain function


@pytest.mark.usefixtures("registries")
def test_where_lower_is_better_the_score_is_negated(network: nn.Module) -> None:
    @zc.proxy(paper="this test", higher_is_better=False)
    def initial_loss(loss: Tensor) -> Tensor:
        """Loss before training."""
        return loss

    expected = torch.nn.functional.cross_entropy(network(BATCH[0]), BATCH[1]).item()
    assert zc.score(network, BATCH, "initial_loss")["initial_loss"] == pytest.approx(-expected, rel=1e-6)


@pytest.mark.usefixtures("registries")
def test_a_signal_of_ones_own_is_computed_once_for_all_proxies(network: nn.Module) -> None:
    calls: list[int] = []

    @zc.signal
    def layer_norms(weight_gradients: list[Tensor]) -> list[Tensor]:
        """Norm of each weight matrix's gradient."""
        calls.append(len(weight_gradients))
        return [g.norm() for g in weight_gradients]

    try:

        @zc.proxy(paper="this test")
        def largest_layer(layer_norms: list[Tensor]) -> Tensor:
            """Largest norm."""
            return max(layer_norms)

        @zc.proxy(paper="this test")
        def all_layers(layer_norms: list[Tensor]) -> Tensor:
            """Sum of the norms."""
            return sum(layer_norms, torch.zeros(()))

        card = zc.score(network, BATCH, "largest_layer,all_layers,grad_norm")
    finally:
        del zc.engine.signals.SIGNALS["layer_norms"]
    assert calls == [2]
    assert card["all_layers"] == pytest.approx(card["grad_norm"], rel=1e-6)
    assert 0 < card["largest_layer"] < card["all_layers"]


@pytest.mark.usefixtures("registries")
@pytest.mark.parametrize(
    ("result", "reason"),
    [(float("nan"), "the value is nan"), (float("inf"), "the value is inf"), (-float("inf"), "the value is -inf")],
)
def test_a_value_that_is_not_finite_is_a_failure(network: nn.Module, result: float, reason: str) -> None:
    @zc.proxy(paper="this test")
    def broken(parameter_count: int) -> float:
        """Not a number."""
        return result

    card = zc.score(network, BATCH, "broken,params")
    assert reason in card.failures["broken"]
    assert card["params"] == 26


@pytest.mark.usefixtures("registries")
def test_a_formula_that_raises_fails_alone_and_by_name(network: nn.Module) -> None:
    @zc.proxy(paper="this test")
    def raises(parameter_count: int) -> float:
        """Divides by zero."""
        return parameter_count / 0

    @zc.proxy(paper="this test")
    def refuses(parameter_count: int) -> float:
        """Refuses."""
        raise Failure("not for this network")

    card = zc.score(network, BATCH, "raises,refuses,params")
    assert card.failures == {
        "raises": "the proxy raised ZeroDivisionError: division by zero",
        "refuses": "not for this network",
    }
    assert list(card) == ["params"]


def test_a_parameter_that_names_no_signal_is_refused_when_it_is_registered() -> None:
    with pytest.raises(
        zc.InputError,
        match=r"signal in the parameters of proxy 'typo': 'weight_gradient'; did you mean 'weight_gradients'",
    ):

        @zc.proxy(paper="this test")
        def typo(weight_gradient: Tensor) -> Tensor:
            return weight_gradient

    assert "typo" not in REGISTRY


@pytest.mark.usefixtures("registries")
def test_a_name_registered_twice_is_the_last_one(network: nn.Module) -> None:
    def register(answer: float) -> None:
        @zc.proxy(paper="this test")
        def twice(parameter_count: int) -> float:
            return answer

    register(1.0)
    register(2.0)
    assert zc.proxies.names().count("twice") == 1
    assert zc.score(network, BATCH, "twice")["twice"] == 2.0


def test_a_decorator_without_a_paper_says_how_it_is_written() -> None:
    def mine(weights):
        return sum(w.sum() for w in weights)

    for wrong in (lambda: zc.proxy(mine), zc.proxy, lambda: zc.proxy(mode="eval")):
        with pytest.raises(zc.InputError, match=r'write @proxy\(paper="…"\)'):
            wrong()
