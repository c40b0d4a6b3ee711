"""Networks with parts that are compiled, exported or quantised, and networks that change what they are given."""

from __future__ import annotations

import warnings

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import zerocost as zc

BATCH = torch.randn(8, 3, 6, 6, generator=torch.Generator().manual_seed(0)), torch.arange(8) % 4
WITH_GRADIENTS = {"snip", "grasp", "jacob_cov", "grad_norm"}
OF_CALLS = {"naswot", "meco", "near"}
PROXIES = ["params", "flops", "l2_norm", "synflow", *sorted(WITH_GRADIENTS | OF_CALLS)]


class Net(nn.Module):
    def __init__(self, part):
        super().__init__()
        self.part, self.conv, self.head = part, nn.Conv2d(8, 8, 1), nn.Linear(8, 4)

    def forward(self, x):
        return self.head(F.relu(self.conv(self.part(x))).mean((2, 3)))


def part():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU())


def net(part, kind=Net):
    torch.manual_seed(1)
    return kind(part)


@pytest.fixture(scope="module")
def plain():
    return dict(zc.score(net(part()), BATCH, PROXIES))


def scripted(module):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.jit.script(module)


def traced(module):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.jit.trace(module, BATCH[0])


@pytest.mark.parametrize("compiled", [scripted, traced])
def test_proxies_that_need_no_calls_score_a_network_with_a_compiled_part(compiled, plain):
    model = net(compiled(part()))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    card = zc.score(model, BATCH, PROXIES)
    assert dict(card) == pytest.approx({name: plain[name] for name in card}, rel=1e-4)
    assert card.failures.keys() == OF_CALLS | {"synflow"}
    assert all("compiled by torch.jit" in reason for reason in card.failures.values())
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert all(p.is_leaf and p.grad is None for p in model.parameters())
    assert all(module.training for module in model.modules())


def test_an_exported_part_is_seen_call_by_call(plain):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exported = torch.export.export(part(), (BATCH[0],)).module()
    card = zc.score(net(exported), BATCH, PROXIES)
    assert {*WITH_GRADIENTS, *OF_CALLS, "params", "l2_norm"} <= card.keys()
    assert dict(card) == pytest.approx({name: plain[name] for name in card}, rel=1e-4)
    assert all("the network raised" in reason for reason in card.failures.values())


def test_quantised_layers_are_named_where_a_gradient_is_needed(plain):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = torch.ao.quantization.quantize_dynamic(net(part()), {nn.Linear})
        card = zc.score(model, BATCH, PROXIES)
    assert card.failures.keys() == {*WITH_GRADIENTS, "synflow"}
    assert set(card.failures.values()) == {"the network has quantised layers, which have no gradient"}
    assert card["naswot"] == plain["naswot"]


def test_weights_of_quantised_layers_cannot_be_set():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = torch.ao.quantization.quantize_dynamic(net(part()), {nn.Linear})
        failures = zc.score(model, BATCH, "epsinas,zen(initialisation=gaussian),naswot").failures
    assert failures.keys() == {"epsinas", "zen(initialisation=gaussian)"}
    assert all("whose weights cannot be set" in reason for reason in failures.values())


def prepared_for_quantisation(model):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.qconfig = torch.ao.quantization.get_default_qat_qconfig("fbgemm")
        prepared = torch.ao.quantization.prepare_qat(model)
        prepared(torch.randn(8, 8))
        return prepared


def test_layers_with_fake_quantisation_have_weights_of_their_own():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))
    batch = torch.randn(8, 8), torch.arange(8) % 4
    found, expected = (zc.score(m, batch, "t_cet,near") for m in (prepared_for_quantisation(model), model))
    assert not found.failures and dict(found) == pytest.approx(dict(expected), rel=0.05)


def test_a_convolution_may_cast_its_weight():
    class Cast(nn.Conv2d):
        def forward(self, x):
            return F.conv2d(x, self.weight.double().float() * 1.0, self.bias)

    def score(kind):
        torch.manual_seed(0)
        model = net(nn.Sequential(kind(3, 8, 3), nn.ReLU()))
        return zc.score(model, BATCH, "t_cet,lnwot,naswot_conv,fisher,depth")

    found, expected = score(Cast), score(nn.Conv2d)
    assert not found.failures and dict(found) == pytest.approx(dict(expected), rel=1e-6)


class Casting(Net):
    def forward(self, x):
        return super().forward(x.float())


def test_a_convolution_may_use_the_weight_of_a_linear_layer():
    class Pointwise(nn.Linear):
        def forward(self, x):
            return F.conv2d(x, self.weight[:, :, None, None], self.bias)

    class Moved(nn.Linear):
        def forward(self, x):
            return super().forward(x.movedim(1, -1)).movedim(-1, 1)

    def score(kind):
        torch.manual_seed(0)
        layer = kind(8, 8)
        model = net(nn.Sequential(layer, nn.ReLU(), nn.Conv2d(8, 8, 3), layer, nn.ReLU()))
        images = torch.randn(8, 8, 6, 6, generator=torch.Generator().manual_seed(0))
        return zc.score(model, (images, BATCH[1]), "t_cet,fisher")

    found, expected = score(Pointwise), score(Moved)
    assert not found.failures and dict(found) == pytest.approx(dict(expected), rel=1e-5)


def test_a_network_that_casts_has_outputs_of_equal_weights():
    one, other = (zc.score(net(part(), kind), BATCH, "epsinas") for kind in (Casting, Net))
    assert dict(one) == dict(other) and one.failures == other.failures


class Asking(Net):
    def forward(self, x):
        return super().forward(x.requires_grad_())


class Refusing(Net):
    def forward(self, x):
        x.requires_grad_(False)
        x.requires_grad = False
        return super().forward(x)


class Marking(Net):
    def forward(self, x):
        self.seen, self.calls = x, getattr(self, "calls", 0) + 1
        for module in self.modules():
            module.marked = True
        for parameter in self.parameters():
            parameter.mark = self.calls
        return super().forward(x)


@pytest.mark.parametrize("kind", [Asking, Refusing, Marking])
def test_what_a_network_sets_on_what_it_is_given_changes_no_score(kind, plain):
    model = net(part(), kind)
    card = zc.score(model, BATCH, PROXIES)
    assert dict(card) == plain and not card.failures
    assert not hasattr(model, "calls") and not any(hasattr(m, "marked") for m in model.modules())


class Experts(nn.Module):
    """Rows in two groups, each with a matrix of its own."""

    def __init__(self, fused):
        super().__init__()
        self.fused, self.weight = fused, nn.Parameter(torch.randn(2, 16, 16))
        self.head = nn.Linear(16, 4)

    def forward(self, x):
        rows = x.flatten(1).repeat(2, 1)
        ends = torch.tensor([len(x), 2 * len(x)], dtype=torch.int32)
        if self.fused:
            mixed = torch._grouped_mm(rows, self.weight, offs=ends)
        else:
            mixed = torch.cat([part @ w for part, w in zip(rows.split(len(x)), self.weight, strict=True)])
        return self.head(mixed[: len(x)] + mixed[len(x) :])


def test_synaptic_flow_through_experts_without_a_kernel_for_float64():
    batch = torch.randn(8, 16), torch.arange(8) % 4
    values = []
    for fused in (True, False):
        torch.manual_seed(0)
        values.append(zc.score(Experts(fused), batch, "synflow,log_synflow"))
    assert not values[0].failures and dict(values[0]) == pytest.approx(dict(values[1]), rel=1e-12)


def test_synaptic_flow_of_a_network_prepared_for_quantisation():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))
    batch = torch.randn(8, 8), torch.arange(8) % 4
    card = zc.score(prepared_for_quantisation(model), batch, "synflow,snip,naswot")
    assert not card.failures
    assert card["synflow"] == pytest.approx(zc.score(model, batch, "synflow")["synflow"], rel=1e-12)


@pytest.mark.parametrize("layer", [nn.Hardsigmoid(), nn.Hardswish()])
def test_grasp_of_hard_gates_is_that_of_the_same_function_in_steps(layer):
    class InSteps(nn.Module):
        def forward(self, x):
            gate = F.relu6(x + 3) / 6
            return gate if isinstance(layer, nn.Hardsigmoid) else x * gate

    cards = []
    for activation in (layer, InSteps()):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(8, 16), activation, nn.Linear(16, 4))
        cards.append(zc.score(model, (torch.randn(8, 8), torch.arange(8) % 4), "grasp,snip"))
    assert not cards[0].failures and dict(cards[0]) == pytest.approx(dict(cards[1]), rel=1e-5)


def test_first_derivatives_are_the_same_beside_second_ones():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 16), nn.Hardsigmoid(), nn.Linear(16, 4))
    batch = torch.randn(8, 8), torch.arange(8) % 4
    assert zc.score(model, batch, "snip,grasp")["snip"] == zc.score(model, batch, "snip")["snip"]
