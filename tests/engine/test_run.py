from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import zerocost as zc
from zerocost.testing.state import global_state, model_state

ISSUE = ["grad_norm", "snip", "plain", "fisher", "jacob_cov", "synflow", "naswot", "grasp"]
BUDGETS = {name for name in zc.proxies.names() if zc.proxies.get(name).group == "budgets"}
EVERY = [name for name in zc.proxies.names() if name != "swap_regularised"] + ["swap_regularised(mu=1, sigma=1)"]
TOKENS = {"dss", "head_confidence", "w_pca"}
LABELLED = {
    *("snip", "plain", "grad_norm", "fisher", "grasp", "global_grad_norm", "snr_snip"),
    *("zico", "zico_bc", "l_swag", "gradsign", "knas", "epe_nas", "wrcor"),
}


def batch(n=6, classes=3):
    x = torch.randn(n, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    return x, torch.arange(n) % classes


def cnn(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(
        *(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU()),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3)),
    )


class Tokens(nn.Module):
    """One transformer layer on the pixels of an image."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layer, self.head = nn.TransformerEncoderLayer(3, 1, 8, dropout=0.0, batch_first=True), nn.Linear(3, 3)

    def forward(self, x):
        return self.head(self.layer(x.flatten(2).mT).mean(1))


class Engine:
    """Torch's autograd engine, counting its runs."""

    def __init__(self, engine):
        self.engine, self.runs = engine, 0

    def run_backward(self, *args, **kwargs):
        self.runs += 1
        return self.engine.run_backward(*args, **kwargs)

    def __getattr__(self, name):
        return getattr(self.engine, name)


@pytest.fixture
def count(monkeypatch):
    """Counts the calls of the network on a batch of 6, the backward passes, and whether a graph was built."""

    def counted(names, model=None):
        model, forwards, graphs = model or cnn(), [], []
        model.register_forward_pre_hook(lambda _, given: forwards.append(1) if not given[0].is_meta else None)
        model.register_forward_hook(lambda m, i, out: graphs.append(out.requires_grad))
        engine = Engine(torch.autograd.Variable._execution_engine)
        monkeypatch.setattr(torch.autograd.Variable, "_execution_engine", engine)
        card = zc.score(model, batch(), names)
        assert not card.failures
        return len(forwards), engine.runs, any(graphs)

    return counted


def test_eight_proxies_take_two_forward_and_four_backward_runs(count):
    assert count(ISSUE) == (2, 4, True)


CALLS = {"batches": (2, 2), "samples": (6, 6), "tangents": (1, 6), "information": (3, 2 + 1 + 8 + 2)}
"""Passes that run on halves of the batch, on each sample by itself, or backward once a sample or weight tensor; in
`information` each layer but the first goes backward once by itself."""


@pytest.mark.parametrize("name", EVERY)
def test_each_proxy_takes_the_runs_that_explain_shows(name, count):
    steps = [CALLS.get(s.name, (s.forwards, s.backwards)) for s in zc.explain(name).passes]
    steps *= 2 if name == "synflow_bn" else 1  # once more, to see what rounding does to it
    model = Tokens() if name in TOKENS else cnn()
    assert count([name], model)[:2] == (sum(f for f, _ in steps), sum(b for _, b in steps))


def test_runs_of_the_whole_batch_are_what_explain_counts():
    for name in EVERY:
        passes = zc.explain(name).passes
        assert zc.explain(name).forwards == sum(p.forwards for p in passes)
        assert zc.explain(name).backwards == sum(p.backwards for p in passes if p.backwards > 0)


def test_the_runs_of_a_card_are_those_counted(count):
    plan = zc.explain(ISSUE)
    assert count(ISSUE)[:2] == (plan.forwards, plan.backwards)
    card = zc.score(cnn(), batch(), ISSUE)
    assert (sum(p.forwards for p in card.passes), sum(p.backwards for p in card.passes)) == (2, 4)
    assert "2 forward and 4 backward passes" in str(plan)


def test_naswot_builds_no_graph(count):
    assert count(["naswot"]) == (1, 0, False)


def test_what_needs_no_run_runs_nothing(count):
    assert count(["params", "l2_norm"]) == (0, 0, False)


@pytest.mark.parametrize(
    "mode",
    [torch.no_grad, torch.inference_mode, lambda: torch.autocast("cpu"), torch.enable_grad],
    ids=["no_grad", "inference_mode", "autocast", "enable_grad"],
)
def test_the_callers_modes_do_not_apply(mode):
    expected = dict(zc.score(cnn(), batch(), zc.proxies.names()))
    with mode():
        before = global_state()
        assert dict(zc.score(cnn(), batch(), zc.proxies.names())) == expected
        assert global_state() == before


def test_a_network_and_batch_made_in_inference_mode_are_scored():
    with torch.inference_mode():
        model, data = cnn(), batch()
    assert dict(zc.score(model, data, zc.proxies.names())) == dict(zc.score(cnn(), batch(), zc.proxies.names()))


def test_the_callers_attention_kernels_do_not_apply():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(2), nn.TransformerEncoderLayer(64, 2, 8, batch_first=True, dropout=0.0))
    model = nn.Sequential(model, nn.Flatten(), nn.Linear(192, 3))
    from torch.nn.attention import SDPBackend, sdpa_kernel

    expected = zc.score(model, batch(), "grasp,snip")
    assert not expected.failures
    with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
        assert dict(zc.score(model, batch(), "grasp,snip")) == dict(expected)


def test_channels_last_scores_the_same():
    names = zc.proxies.names()
    expected = dict(zc.score(cnn(), batch(), names))
    x, y = batch()
    last = zc.score(cnn().to(memory_format=torch.channels_last), (x.to(memory_format=torch.channels_last), y), names)
    assert dict(last) == pytest.approx(expected, rel=1e-4)


class Stops(nn.Module):
    def __init__(self, stop):
        super().__init__()
        self.stop = stop

    def forward(self, x):
        raise self.stop


def test_an_interrupt_in_forward_leaves_the_model_as_it_was():
    model = cnn().append(Stops(KeyboardInterrupt))
    before, process = model_state(model), global_state()
    with pytest.raises(KeyboardInterrupt):
        zc.score(model, batch(), zc.proxies.names())
    assert model_state(model) == before and global_state() == process


def test_an_exit_in_forward_is_a_failure():
    model = cnn().append(Stops(SystemExit))
    before, process = model_state(model), global_state()
    card = zc.score(model, batch(), ["snip", "params"])
    assert "the network raised SystemExit" in card.failures["snip"] and "params" in card
    assert model_state(model) == before and global_state() == process


def test_hooks_of_the_caller_run_and_their_errors_are_named():
    model, seen = cnn(), []
    model[0].register_forward_hook(lambda *_: seen.append(1))
    assert not zc.score(model, batch(), "naswot").failures and seen == [1]

    def boom(*_):
        raise ValueError("no")

    model[0].register_forward_hook(boom)
    assert "the network raised ValueError: no" in zc.score(model, batch(), "naswot").failures["naswot"]
    assert len(model[0]._forward_hooks) == 2


def test_labels_are_needed_only_by_what_needs_them():
    card = zc.score(cnn(), batch()[0], EVERY)
    assert set(card.failures) == LABELLED | TOKENS
    assert all("needs labels" in card.failures[name] for name in LABELLED)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (torch.tensor([0, 1, 2, 3, 0, 1]), "found 3, but the network has 3 outputs, so labels must be 0 to 2"),
        (torch.tensor([0, 1, 2, -1, 0, 1]), "found -1"),
        (torch.tensor([-100] * 6), "all labels are -100"),
        (torch.rand(6), r"targets of shape \(6,\) do not fit outputs of shape \(6, 3\)"),
        (torch.zeros(6, 2, dtype=torch.long), r"labels of shape \(6, 2\) do not fit outputs of shape \(6, 3\)"),
        (torch.ones(6, 3, dtype=torch.long), r"expected one class a sample, shape \(6,\)"),
        (torch.arange(3), "6 inputs need 6 targets"),
        ("abc", "labels must be a tensor"),
        (["a"] * 6, "labels must be a tensor"),
    ],
)
def test_labels_that_do_not_fit_are_an_input_error(labels, message):
    with pytest.raises(zc.InputError, match=message):
        zc.score(cnn(), (batch()[0], labels), "snip")


def test_labels_in_any_form_of_whole_numbers():
    x, y = batch()
    expected = dict(zc.score(cnn(), (x, y), "snip"))
    for labels in (y.int(), y.to(torch.uint8), y.numpy(), y.tolist()):
        assert dict(zc.score(cnn(), (x, labels), "snip")) == expected


def test_masks_of_other_numbers_say_what_does_not_count():
    masks = torch.full((2, 4, 4), 255)
    with pytest.raises(zc.InputError, match="labels must be 0 to 2; give -100 to what does not count"):
        zc.score(torch.nn.Conv2d(3, 3, 1), (torch.rand(2, 3, 4, 4), masks), "snip")


def test_the_label_minus_100_is_left_out_of_the_mean():
    x, y = batch()
    model = nn.Sequential(nn.Flatten(), nn.Linear(192, 3))
    ignored = zc.score(model, (x, torch.where(y == 0, -100, y)), "snip")
    assert ignored["snip"] == pytest.approx(zc.score(model, (x[y != 0], y[y != 0]), "snip")["snip"], rel=1e-5)


def test_segmentation_and_regression():
    segment = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 5, 1))
    x, _ = batch()
    failures = zc.score(segment, (x, torch.randint(5, (6, 8, 8))), EVERY).failures
    classes = {"vkdnw", "vkdnw_single"}
    assert set(failures) == TOKENS | classes | {"apd", "az_progressivity", "az_trainability", "epe_nas"}
    assert "needs class logits N×C" in failures["vkdnw"]
    assert "no BatchNorm" in failures["apd"] and "one class a sample" in failures["epe_nas"]
    assert "fewer than two blocks" in failures["az_progressivity"]
    regress = nn.Sequential(nn.Flatten(), nn.Linear(192, 8), nn.ReLU(), nn.Linear(8, 1), nn.Flatten(0))
    card = zc.score(regress, (x, torch.randn(6)), ["snip", "grasp", "jacob_cov"], loss=F.mse_loss)
    assert not card.failures and card.provenance["loss"] == "mse_loss"
    with pytest.raises(zc.InputError, match="found 2, but the network has 1 output, so labels must be 0 or 1"):
        zc.score(regress, batch(), ["snip", "jacob_cov"])


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (lambda out, y: F.cross_entropy(out, y, reduction="none"), r"got shape \(6,\)"),
        (lambda out, y: 3.0, "got float"),
        (lambda out, y: None, "got NoneType"),
    ],
)
def test_a_loss_must_return_one_number(loss, message):
    with pytest.raises(zc.InputError, match=message):
        zc.score(cnn(), batch(), "snip", loss=loss)


def test_a_loss_that_raises_or_is_not_finite_is_a_failure_of_what_needs_it():
    def raises(out, y):
        raise ValueError("no loss")

    for loss, reason in ((raises, "ValueError: no loss"), (lambda out, y: out.sum() * torch.inf, "the loss is")):
        card = zc.score(cnn(), batch(), "snip, naswot, jacob_cov", loss=loss)
        assert set(card.failures) == {"snip"} and reason in card.failures["snip"]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_numbers(value):
    model = cnn()
    with torch.no_grad():
        model[7].weight[0, 0] = value
    card = zc.score(model, batch(), EVERY)
    assert set(card) - BUDGETS == {"params", "flops", "depth", "layer_count", "non_embedding_params", "epsinas"}
    by_the_flow = {name for name in card.failures if [p.name for p in zc.explain(name).passes] == ["flow"]}
    assert "is not a number" in card.failures.pop("l2_norm")
    for name, reason in card.failures.items():
        assert ("the synaptic flow is not finite" if name in by_the_flow else "the outputs are not finite") in reason


def test_no_gradient_is_no_zero():
    class NoGrad(nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        @torch.no_grad()
        def forward(self, x):
            return self.inner(x)

    class Detached(NoGrad):
        def forward(self, x):
            return self.inner(x).detach()

    for wrap in (NoGrad, Detached):
        card = zc.score(wrap(cnn()), batch(), EVERY)
        by_sight = {
            "epsinas",
            "naswot",
            "naswot_conv",
            "lnwot",
            "linear_regions",
            "swap",
            "swap_regularised(mu=1, sigma=1)",
        }
        by_sight |= {"meco", "meco_opt", "meco_modules", "near", "zen", "apd", "az_expressivity", "az_progressivity"}
        sizes = {"params", "flops", "l2_norm", "depth", "layer_count", "non_embedding_params"}
        within = {"az_trainability"} if wrap is Detached else set()  # the blocks are connected with each other
        assert set(card) - BUDGETS == sizes | by_sight | within
        assert all("no path" in reason for name, reason in card.failures.items() if name not in TOKENS)


@pytest.mark.parametrize(
    ("out", "message"),
    [
        (lambda x: ("a", None), "returned a tuple"),
        (lambda x: x.sum(), "the first axis must be the samples"),
        (lambda x: x.transpose(0, 1), "the first axis must be the samples"),
        (lambda x: x[:, :0], "N×classes"),
    ],
)
def test_outputs_that_cannot_be_scored(out, message):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = cnn()

        def forward(self, x):
            return out(self.inner(x))

    assert message in zc.score(Net(), batch(), "snip").failures["snip"]


def test_random_layers_follow_the_seed_and_differ_between_seeds():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(192, 3))
    values = [zc.score(model, batch(), "snip", seed=seed)["snip"] for seed in (0, 0, 1)]
    assert values[0] == values[1] != values[2]


def test_a_single_sample():
    model = nn.Sequential(nn.Flatten(), nn.Linear(192, 8), nn.ReLU(), nn.Linear(8, 3))
    failures = zc.score(model, (batch()[0][:1], torch.tensor([0])), EVERY).failures
    maps = {"meco", "meco_opt", "meco_modules", "apd", "az_progressivity", "az_trainability"}
    pairs = {"jacob_cov", "epe_nas", "naswot", "naswot_conv", "ntk_condition", "wrcor"}
    assert set(failures) == TOKENS | maps | pairs | {"zico", "zico_bc", "l_swag", "epsinas"}
    assert {failures[name] for name in pairs} == {"needs a batch of two samples or more"}
    assert failures["zico"] == "a batch of 1 cannot be cut into 2 batches to compare"


def test_weights_without_values_say_so_and_what_needs_none_scores():
    with torch.device("meta"):
        model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 5))
    shapes = ["params", "flops", "depth", "peak_memory", "training_memory"]
    values = ["snip", "synflow", "naswot", "l2_norm", "jacob_cov", "zen", "vkdnw", "epsinas", "zico", "gradsign"]
    card = zc.score(model, (torch.rand(4, 3, 8, 8), torch.arange(4)), shapes + values)
    assert list(card) == shapes
    assert all("no values, as they are on the meta device" in card.failures[name] for name in values)


@pytest.mark.parametrize("given", [False, True])
def test_a_network_that_computes_a_gradient_in_forward_has_one_in_every_pass(given):
    class Force(nn.Module):
        def __init__(self):
            super().__init__()
            self.energy, self.last = nn.Sequential(nn.Linear(6, 8), nn.Softplus(), nn.Linear(8, 1)), nn.Linear(6, 3)

        def forward(self, x):
            x.requires_grad_()
            return self.last(torch.autograd.grad(self.energy(x).sum(), x, create_graph=True)[0])

    torch.manual_seed(0)
    batch = torch.randn(4, 6).requires_grad_(given), torch.arange(4) % 3
    names = "near,snip,jacob_cov,zen,synflow,gradsign,ntk_trace,flops,peak_memory,training_memory,active_params"
    model = Force()
    assert not zc.score(model, batch, names).failures
    for name in names.split(","):
        assert zc.score(model, batch, name)[name] == zc.score(model, batch, names)[name]
