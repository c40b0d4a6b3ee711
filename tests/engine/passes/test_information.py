from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call, jacrev

import zerocost as zc
from zerocost.engine.losses import cross_entropy
from zerocost.engine.plan import plan
from zerocost.engine.run import measure
from zerocost.engine.settings import Settings
from zerocost.proxies import resolve

N, CLASSES = 4, 3


def inputs():
    return torch.randn(N, 3, 5, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def network():
    torch.manual_seed(0)
    model = nn.Sequential(
        *(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Tanh(), nn.Flatten(), nn.Linear(36, CLASSES)),
    ).double()
    model[1].running_mean.fill_(0.1)
    return model


def information(model, x, samples=16):
    found = measure(model, [(x, None)], plan(resolve(f"vkdnw(samples={samples})")), cross_entropy, 0)
    return found.signals[Settings(mode="eval", samples=samples)]["fisher_information"]


def deep(classes, layers=7):
    torch.manual_seed(0)
    hidden = [part for _ in range(layers) for part in (nn.Linear(6, 6), nn.Tanh())]
    return nn.Sequential(*hidden, nn.Linear(6, classes)).double()


def features(n=N):
    return torch.randn(n, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def backwards(card):
    return next(step.backwards for step in card.passes if step.name == "information")


def by_hand(model, x):
    """E[Jᵀ (diag p − p pᵀ) J] with J by torch.func, on the first element of each parameter tensor."""
    parameters = {name: p.detach() for name, p in model.eval().named_parameters()}
    buffers = dict(model.named_buffers())
    total = 0
    for sample in x:
        logits = lambda p, s=sample: functional_call(model, (p, buffers), (s[None],))[0]  # noqa: E731
        jacobian = torch.stack([j.flatten(1)[:, 0] for j in jacrev(logits)(parameters).values()], dim=1)
        z = logits(parameters)
        p = 0.95 * torch.softmax(z, 0) + 0.05 / len(z)
        total = total + jacobian.T @ (torch.diag(p) - torch.outer(p, p)) @ jacobian
    return total / len(x)


def test_the_information_is_that_of_the_jacobian_by_torch_func():
    found = information(network(), inputs())
    assert found.shape == (6, 6) and found.dtype == torch.float64
    assert torch.allclose(found, by_hand(network(), inputs()), rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize(("classes", "passes"), [(2, 2 * N), (4, 4 * N), (5, 1 + 16), (400, 1 + 16)])
def test_backward_is_by_class_or_by_element_whichever_is_cheaper(classes, passes):
    found = information(deep(classes), features())
    assert torch.allclose(found, by_hand(deep(classes), features()), rtol=1e-10, atol=1e-14)
    assert backwards(zc.score(deep(classes), features(), "vkdnw")) == passes


class Normalised(nn.Linear):
    """In eval mode too, what a sample gives depends on those beside it."""

    def forward(self, x):
        out = super().forward(x)
        return out - out.mean(0) / 2


def test_samples_that_depend_on_each_other_are_measured_alone():
    def model():
        torch.manual_seed(0)
        return Normalised(6, 40).double()

    assert torch.allclose(information(model(), features()), by_hand(model(), features()), rtol=1e-10, atol=1e-14)
    assert backwards(zc.score(model(), features(), "vkdnw")) == N * (1 + 2)


def test_in_train_mode_a_sample_is_alone():
    model = network().eval()
    model[1] = nn.InstanceNorm2d(4, affine=True).double()
    x = inputs()
    expected = zc.score(model, x, "vkdnw")["vkdnw"]
    card = zc.score(model, x, "vkdnw(mode=train)")
    assert card["vkdnw(mode=train)"] == pytest.approx(expected, rel=1e-10)
    assert backwards(card) == N * (1 + 6)


class Cubed(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient):
        (x,) = ctx.saved_tensors
        return 3 * x * x * gradient


class Standardised(nn.Conv2d):
    def forward(self, x):
        flat = self.weight.flatten(1)
        return F.conv2d(x, ((flat - flat.mean(1, keepdim=True)) / flat.std(1, keepdim=True)).view_as(self.weight))


class Twice(nn.Linear):
    """Its weight is used by a layer and by itself."""

    def forward(self, x):
        return super().forward(x) + x @ self.weight.T.sin()


FEATURES = {
    "groups and strides": lambda: [nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=2, bias=False), nn.Conv2d(6, 4, 2)],
    "transposed": lambda: [nn.ConvTranspose2d(4, 6, 3, 2, 1, 1, groups=2), nn.Conv2d(6, 4, 3, padding="same")],
    "normalised": lambda: [nn.BatchNorm2d(4, affine=False), Standardised(4, 4, 2), nn.BatchNorm2d(4)],
    "axis": lambda: [nn.Conv2d(4, 4, 1), nn.Flatten(2), nn.Conv1d(4, 5, 3, dilation=2), nn.Linear(21, 6), Twice(6, 6)],
}


@pytest.mark.parametrize("kind", FEATURES)
def test_by_element_every_kind_of_layer_has_its_derivatives(kind):
    def model():
        torch.manual_seed(0)
        layers = [part for layer in FEATURES[kind]() for part in (layer, nn.ReLU())]
        made = (
            nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(inplace=True), *layers, nn.Flatten(), nn.LazyLinear(40))
            .double()
            .eval()
        )
        made(inputs())
        return made

    expected = by_hand(model(), inputs())
    assert torch.allclose(information(model(), inputs()), expected, rtol=1e-9, atol=1e-14)
    assert backwards(zc.score(model(), inputs(), "vkdnw")) == 1 + len(expected)


def test_without_a_second_derivative_it_goes_by_class():
    class Cubic(nn.Linear):
        def forward(self, x):
            return Cubed.apply(super().forward(x))

    torch.manual_seed(0)
    model = Cubic(6, 40).double()
    card = zc.score(model, features(), "vkdnw")
    assert backwards(card) == N * 40
    assert torch.isfinite(torch.tensor(card["vkdnw"]))


@pytest.mark.parametrize("classes", [3, 40])
def test_sparse_gradients_of_an_embedding_are_as_dense_ones(classes):
    def model(sparse):
        torch.manual_seed(0)
        return nn.Sequential(nn.Embedding(10, 6, sparse=sparse), nn.Flatten(), nn.Linear(12, classes)).double()

    tokens = torch.arange(6).reshape(3, 2)
    assert torch.equal(information(model(True), tokens), information(model(False), tokens))


def test_a_layer_inside_vmap_has_its_derivatives():
    class Mapped(nn.Module):
        def __init__(self, layer):
            super().__init__()
            self.layer = layer

        def forward(self, x):
            return torch.vmap(self.layer)(x)

    torch.manual_seed(0)
    plain = nn.Sequential(nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 40)).double()
    mapped = nn.Sequential(Mapped(plain[0]), plain[1], Mapped(plain[2]))
    assert torch.allclose(information(mapped, features()), information(plain, features()), rtol=1e-9)


def test_it_is_symmetric_and_positive_semidefinite_and_a_mean_over_samples():
    whole = information(network(), inputs())
    assert torch.allclose(whole, whole.T) and float(torch.linalg.eigvalsh(whole).min()) > -1e-12
    each = [information(network(), x[None]) for x in inputs()]
    assert torch.allclose(torch.stack(each).mean(0), whole, rtol=1e-10)
    assert torch.allclose(information(network(), inputs(), samples=2), (each[0] + each[1]) / 2, rtol=1e-10)


def test_no_more_than_128_parameter_tensors_take_part():
    torch.manual_seed(0)
    deep = nn.Sequential(*[nn.Linear(2, 2) for _ in range(70)]).double()
    assert information(deep, torch.randn(2, 2, dtype=torch.float64)).shape == (128, 128)


def test_a_weight_that_is_not_used_adds_a_row_of_zeros():
    class Spare(nn.Module):
        def __init__(self):
            super().__init__()
            self.spare, self.used = nn.Linear(2, 2), nn.Linear(2, 3)

        def forward(self, x):
            return self.used(x)

    found = information(Spare().double(), torch.randn(3, 2, dtype=torch.float64))
    assert not found[:2].any() and found[2:, 2:].any()


def test_the_score_is_the_entropy_of_the_deciles():
    values = torch.linalg.eigvalsh(by_hand(network(), inputs())).clamp(min=0)
    deciles = torch.quantile(values, torch.linspace(0.1, 0.9, 9, dtype=torch.float64))
    shares = deciles / deciles.sum()
    expected = float(torch.special.entr(shares).sum())
    card = zc.score(network(), inputs(), "vkdnw,vkdnw_single")
    assert card["vkdnw"] == pytest.approx(expected, rel=1e-6)
    assert card["vkdnw_single"] == pytest.approx(6 + expected, rel=1e-6)


def test_what_cannot_be_had_is_a_failure():
    class Detached(nn.Linear):
        def forward(self, x):
            return super().forward(x).detach()

    x = torch.rand(3, 2)
    assert "no path" in zc.score(Detached(2, 3), x, "vkdnw").failures["vkdnw"]
    assert "no parameters" in zc.score(nn.Flatten(), x, "vkdnw").failures["vkdnw"]
    broken = nn.Linear(2, 3)
    with torch.no_grad():
        broken.bias.fill_(torch.inf)
    alone = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3, track_running_stats=False))
    assert "BatchNorm has no variance" in zc.score(alone, x, "vkdnw").failures["vkdnw"]
    assert "outputs are not finite" in zc.score(broken, x, "vkdnw").failures["vkdnw"]
