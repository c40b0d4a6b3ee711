from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

import zerocost as zc
from zerocost.engine.graph import custom_functions, differentiable_once, gradients


class Square(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, gradient):
        return 2 * gradient * ctx.saved_tensors[0]


class SquareOnce(Square):
    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient):
        return 2 * gradient * ctx.saved_tensors[0]


def batch(n=6):
    return torch.randn(n, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64), torch.arange(n) % 3


class Between(nn.Module):
    def __init__(self, call):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.last, self.call = nn.Linear(4, 16).double(), nn.Linear(16, 3).double(), call

    def forward(self, x):
        return self.last(self.call(self.first(x)))


def test_custom_functions_are_found_and_told_apart():
    x = torch.ones(2, requires_grad=True)
    assert custom_functions(x.exp()) == {} and differentiable_once(Square.apply(x).sum()) is None
    both = (SquareOnce.apply(Square.apply(x) + 1) * 2).sum()
    assert custom_functions(both).keys() == {Square, SquareOnce}
    assert differentiable_once(both) == "SquareOnce"


def test_a_second_derivative_that_torch_would_get_wrong_is_a_failure():
    exact, custom, once = (
        zc.score(Between(call), batch(), ["grasp", "snip"])
        for call in (lambda x: x * x, Square.apply, SquareOnce.apply)
    )
    assert custom["grasp"] == pytest.approx(exact["grasp"], rel=1e-10)
    assert once["snip"] == pytest.approx(exact["snip"], rel=1e-12)
    assert "SquareOnce can be differentiated once only" in once.failures["grasp"]


class SquareOfDetached(Square):
    @staticmethod
    def backward(ctx, gradient):
        return 2 * gradient * ctx.saved_tensors[0].detach()


class SquareDetaching(Square):
    @staticmethod
    def backward(ctx, gradient):
        return 2 * gradient.detach() * ctx.saved_tensors[0]


class SquareWithoutGrad(Square):
    @staticmethod
    def backward(ctx, gradient):
        with torch.no_grad():
            return 2 * gradient * ctx.saved_tensors[0]


class Rectified(Square):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.relu()

    @staticmethod
    def backward(ctx, gradient):
        return gradient * (ctx.saved_tensors[0] > 0)


class Reversed(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        return -gradient


@pytest.mark.parametrize("function", [SquareOfDetached, SquareDetaching, SquareWithoutGrad])
def test_a_backward_that_detaches_has_no_second_derivative(function):
    card = zc.score(Between(function.apply), batch(), "grasp,snip,vkdnw")
    assert f"{function.__name__} can be differentiated once only" in card.failures["grasp"]
    exact = zc.score(Between(lambda x: x * x), batch(), "snip,vkdnw").scores
    assert card.scores == pytest.approx(exact)


def test_a_step_in_a_backward_and_a_linear_one_are_exact():
    for function, equal in ((Rectified.apply, torch.relu), (Reversed.apply, lambda x: -x + 2 * x.detach())):
        found, expected = (zc.score(Between(call), batch(), "grasp")["grasp"] for call in (function, equal))
        assert found == pytest.approx(expected)


def checkpointed(reentrant):
    return lambda x: checkpoint(lambda v: torch.relu(v) ** 2, x, use_reentrant=reentrant)


@pytest.mark.parametrize("reentrant", [False, True])
def test_a_checkpointed_part_counts_as_if_it_were_not(reentrant):
    names = [name for name in zc.proxies.names() if name != "flops"]
    plain, saved = (
        zc.score(Between(call), batch(), names) for call in (lambda x: torch.relu(x) ** 2, checkpointed(reentrant))
    )
    assert plain.failures == saved.failures
    assert dict(saved) == pytest.approx(dict(plain), rel=1e-12)


def test_running_statistics_of_a_checkpointed_part_count_once():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 3))
    saved = copy.deepcopy(net)
    forward = saved[1].forward
    saved[1].forward = lambda x: checkpoint(forward, x, use_reentrant=False)
    expected = zc.score(net, batch(), "zen")["zen"]
    assert [zc.score(saved, batch(), names)["zen"] for names in ("zen", "zen,snip,jacob_cov")] == [expected] * 2


def test_normalisation_recomputed_in_the_flows_backward_pass_is_the_identity_there_too():
    class Net(nn.Module):
        def __init__(self, norm, call):
            super().__init__()
            torch.manual_seed(0)
            self.first, self.last, self.norm, self.call = nn.Linear(4, 4), nn.Linear(4, 3), norm, call

        def forward(self, x):
            middle = lambda v: torch.relu(self.norm(v))  # noqa: E731
            x = self.first(x)
            return self.last(checkpoint(middle, x, use_reentrant=False) if self.call else middle(x))

    with torch.no_grad():
        norm = nn.BatchNorm1d(4)
        norm.running_mean.fill_(5)
    values = {
        zc.score(Net(n, call), batch(), "synflow")["synflow"] for n in (norm, nn.Identity()) for call in (True, False)
    }
    assert len(values) == 1


class CheckpointFunction(torch.autograd.Function):
    """As other libraries have it: the part runs once more backward, where its weights are not of the same graph."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return torch.relu(x) ** 2

    @staticmethod
    def backward(ctx, gradient):
        with torch.enable_grad():
            x = ctx.saved_tensors[0].detach().requires_grad_()
            torch.autograd.backward(torch.relu(x) ** 2, gradient)
        return x.grad


def test_checkpointing_that_hides_weights_from_the_graph_is_a_failure():
    names = ["snip", "vkdnw", "synflow", "az_trainability", "naswot"]
    card = zc.score(Between(CheckpointFunction.apply), batch(), names)
    assert set(card.failures) == {"snip", "vkdnw", "synflow", "az_trainability"}
    assert all("use_reentrant=False" in reason for reason in card.failures.values())
    assert zc.score(Between(CheckpointFunction.apply), batch(), "snip").failures["snip"] == card.failures["snip"]


def test_gradients_are_dense_and_zero_where_there_is_no_path():
    table, other = torch.ones(3, 2, requires_grad=True), torch.ones(2, requires_grad=True)
    value = nn.functional.embedding(torch.tensor([1]), table, sparse=True).sum()
    found = gradients(value, [table, other])
    assert torch.equal(found[0], torch.tensor([[0.0, 0], [1, 1], [0, 0]])) and torch.equal(found[1], torch.zeros(2))


def test_a_sparse_embedding_scores_like_a_dense_one():
    class Words(nn.Module):
        def __init__(self, sparse):
            super().__init__()
            torch.manual_seed(0)
            self.words, self.last = nn.Embedding(5, 4, sparse=sparse), nn.Linear(4, 3)

        def forward(self, x):
            return self.last(self.words(x).mean(1))

    tokens = torch.randint(5, (6, 3), generator=torch.Generator().manual_seed(0)), torch.arange(6) % 3
    names = ["snip", "grad_norm", "synflow", "grasp"]
    assert dict(zc.score(Words(True), tokens, names)) == pytest.approx(dict(zc.score(Words(False), tokens, names)))


@pytest.mark.parametrize(
    "end", [nn.Softmax(1), nn.Softmax(-1), lambda x: x.T.softmax(0).T, lambda x: x.softmax(1)[:, :]]
)
def test_the_sum_of_a_softmax_has_no_gradient(end):
    proxies = "synflow,log_synflow,jacob_cov,epe_nas,ntk_trace"
    card = zc.score(Between(lambda x: x), batch(), proxies)
    assert not card.failures

    class Ended(Between):
        def forward(self, x):
            return end(super().forward(x))

    failures = zc.score(Ended(lambda x: x), batch(), proxies).failures
    assert failures.keys() == card.keys()
    assert all("ends in a softmax" in reason for reason in failures.values())


@pytest.mark.parametrize(
    "end", [nn.LogSoftmax(1), lambda x: x.softmax(1) * torch.arange(3), lambda x: x.softmax(1)[:, :2]]
)
def test_what_is_made_of_a_softmax_has_one(end):
    class Ended(Between):
        def forward(self, x):
            return end(super().forward(x))

    assert not zc.score(Ended(lambda x: x), batch(), "synflow,jacob_cov,ntk_trace", loss=lambda y, _: y.mean()).failures
