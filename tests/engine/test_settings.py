from __future__ import annotations

import statistics

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import zerocost as zc
from zerocost.base.seeding import stream
from zerocost.engine.inputs import noise_like
from zerocost.engine.options import format_options, parse_options
from zerocost.engine.plan import plan, relevant_settings
from zerocost.engine.settings import CHOICES, DEFAULT, Settings
from zerocost.engine.signals import SIGNALS
from zerocost.proxies import get, resolve
from zerocost.testing.state import model_state

N = 6


def batch(n=N, seed=0, side=6):
    x = torch.randn(n, 3, side, side, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return x, torch.arange(n) % 3


def network():
    torch.manual_seed(0)
    model = nn.Sequential(
        *(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 6, 2), nn.ReLU()),
        *(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(24, 3)),
    ).double()
    with torch.no_grad():
        model[1].running_mean.fill_(0.3), model[1].running_var.fill_(2.0)
    return model


@pytest.fixture
def ran():
    """Shapes of the inputs of each run of a network, on no meta device, while proxies are scored."""

    def shapes(proxies, given=None):
        seen, model = [], network()
        model.register_forward_pre_hook(lambda _, x: None if x[0].is_meta else seen.append(tuple(x[0].shape)))
        card = zc.score(model, given or batch(), proxies)
        assert not card.failures
        return seen

    return shapes


# ---- The settings themselves.


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"mode": "test"}, "unknown mode 'test'. Known: eval, train"),
        ({"mode": "evel"}, "did you mean 'eval'"),
        ({"inputs": "zeros"}, "Known: batch, noise"),
        ({"initialisation": "xavier"}, "Known: gaussian, given, kaiming"),
        ({"normalisation": "gone"}, "Known: identity, kept"),
        ({"samples": 0}, "samples must be a whole number from 1, got 0"),
        ({"samples": 2.5}, "got 2.5"),
        ({"samples": "all"}, "got 'all'"),
        ({"pixels": True}, "pixels must be a whole number from 1, got True"),
        ({"parts": 1}, "parts must be a whole number from 2, got 1"),
        ({"parts": None}, "got None"),
        ({"perturbation": 0}, "perturbation must be a positive number, got 0"),
        ({"perturbation": "small"}, "got 'small'"),
    ],
)
def test_a_setting_that_cannot_be_is_an_input_error(given, message):
    with pytest.raises(zc.InputError, match=message):
        Settings(**given)


def test_equal_settings_are_one_key_and_read_as_what_differs():
    assert Settings(mode="eval", samples=4) == Settings(samples=4, mode="eval") and Settings() == DEFAULT
    assert len({DEFAULT, Settings(mode="train"), Settings(samples=None)}) == 1
    assert repr(Settings(pixels=8, mode="eval")) == "Settings(mode=eval, pixels=8)" and repr(DEFAULT) == "Settings()"
    assert DEFAULT.changed == {} and format_options({}) == ""


def test_only_what_is_heeded_is_kept():
    every = Settings("eval", "noise", "gaussian", 4, 8, 3, 0.1, "kept", 2)
    assert every.only([]) == DEFAULT and every.only(every.changed) == every
    assert every.only(["mode", "samples"]) == Settings(mode="eval", samples=4)
    assert every.only(["initialisation"]) == Settings(initialisation="gaussian", repeat=2)
    assert Settings(repeat=2).only(["initialisation"]) == DEFAULT  # nothing is drawn


@pytest.mark.parametrize(
    ("source", "kept"),
    [
        ("shape", {}),
        ("model", {"initialisation": "gaussian", "repeat": 2}),
        ("batch", {"samples": 4}),
        ("flow", {"initialisation": "gaussian", "normalisation": "kept", "repeat": 2}),
        (
            "loss",
            {"mode": "eval", "inputs": "noise", "initialisation": "gaussian", "samples": 4, "pixels": 8, "repeat": 2},
        ),
    ],
)
def test_a_source_heeds_what_makes_a_difference_to_it(source, kept):
    every = Settings("eval", "noise", "gaussian", 4, 8, 3, 0.1, "kept", 2)
    assert relevant_settings(source, every).changed == kept


def test_each_source_heeds_something_or_nothing_but_is_known():
    for signal in SIGNALS.values():
        assert relevant_settings(signal.source, DEFAULT) == DEFAULT


# ---- Variants of proxies.


def test_a_variant_is_named_by_its_call_and_found_by_its_name():
    variant = get("zico").using(parts=4, mode="eval")
    assert variant.name == "zico(mode=eval, parts=4)" and variant.settings == Settings(mode="eval", parts=4)
    assert resolve(variant.name) == [variant] and get("zico").settings == DEFAULT
    further = variant.using(samples=8)
    assert further.name == "zico(mode=eval, parts=4, samples=8)" and resolve(further.name) == [further]
    again = variant.using(parts=2)
    assert again.name == "zico(mode=eval, parts=2)" and again.settings.parts == 2
    assert get("zico").using() == get("zico") and get("vkdnw").using(samples=4).settings.mode == "eval"
    assert resolve("zen()") == [get("zen")]


def test_options_of_the_formula_are_passed_to_it():
    a, b = "swap_regularised(mu=1, sigma=2)", "swap_regularised(mu=1, sigma=3)"
    card = zc.score(network(), batch(), f"{a},swap_regularised(sigma=3,mu=1),zico,zico_bc(beta=0),swap_regularised")
    assert list(card) == [a, b, "zico", "zico_bc(beta=0)"] and card[a] != card[b]
    assert card["zico_bc(beta=0)"] == card["zico"]
    assert "needs the wanted size" in card.failures["swap_regularised"]
    assert card.provenance["settings"][a] == {"mode": "train", "mu": 1, "sigma": 2}


def test_whole_numbers_are_one_option_however_they_are_written():
    base = "swap_regularised"
    [one] = resolve([f"{base}(sigma=2)", f"{base}(sigma=2.0)", get(base).using(sigma=2.0)])
    assert one.name == "swap_regularised(sigma=2)"
    assert resolve("zico(parts=4.0)") == resolve("zico(parts=4)")
    both = zc.Combination({"zico(parts=4.0)": 1.0, "zico_bc(beta=0.5)": 1.0})
    assert list(both.weights) == ["zico(parts=4)", "zico_bc(beta=0.5)"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("zico(part=4)", "unknown option of proxy zico: 'part'; did you mean 'parts'"),
        ("snip(beta=1)", "unknown option of proxy snip: 'beta'"),
        ("snip(repeat=1)", "did you mean 'repeats'"),
        ("zicoo(parts=4)", "unknown proxy 'zicoo'; did you mean 'zico'"),
        ("zico(4)", r"expected NAME\(OPTION=VALUE, …\), as in zico\(parts=4\), got 'zico\(4\)'"),
        ("zico(parts=4", "expected NAME"),
        ("zico(parts=2+2)", "expected NAME"),
        ("zico(**batches)", "expected NAME"),
        ("zico(parts=4)(mode=eval)", "expected NAME"),
        ("zico(parts=4)x", "expected NAME"),
        ("zico(parts=many)", "parts must be a whole number from 2, got 'many'"),
        ("zico(repeats=0)", "repeats must be a whole number from 1 to 10,000, got 0"),
        ("zico(repeats=yes)", "got 'yes'"),
        ("zico(mode=test)", "unknown mode 'test'"),
    ],
)
def test_what_cannot_be_resolved_is_an_input_error(text, message):
    with pytest.raises(zc.InputError, match=message):
        resolve(text)


def test_values_of_options_are_numbers_words_or_nothing():
    assert parse_options("x(a=1, b=-2.5, c=word, d='two words', e=None, f=True)") == {
        **{"a": 1, "b": -2.5, "c": "word", "d": "two words"},
        **{"e": None, "f": True},
    }
    assert resolve("snip(samples=None)")[0].settings == DEFAULT


def test_names_with_commas_inside_come_in_a_list_or_a_string():
    names = ["zico(mode=eval, parts=4)", "snip", "az_expressivity"]
    assert [p.name for p in resolve(", ".join(names))] == [p.name for p in resolve(names)] == names
    assert [p.name for p in resolve([get("snip").using(samples=2), "snip(samples=2)"])] == ["snip(samples=2)"]
    assert [p.name for p in resolve("zico(parts=4,mode=eval),zico(mode=eval,parts=4)")] == names[:1]


# ---- Runs.


def test_equal_settings_share_a_run_and_others_do_not(ran):
    assert len(ran("snip,fisher,naswot,near,meco")) == 1
    assert len(ran("snip(mode=eval),lnwot,naswot_conv,naswot(mode=eval)")) == 1
    assert len(ran("snip,lnwot")) == len(ran("snip,snip(mode=eval)")) == 2
    assert len(ran("snip,snip(samples=2),fisher(samples=2)")) == 2


def test_settings_that_make_no_difference_cost_no_run(ran):
    assert len(ran("snip,snip(parts=4),snip(perturbation=0.1),snip(normalisation=kept)")) == 1
    assert len(ran("synflow,synflow(mode=eval),log_synflow(samples=2)")) == 1
    assert ran("l2_norm,l2_norm(mode=eval),l2_norm(initialisation=gaussian),params,depth,flops") == []
    assert len(ran("zico,zico(parts=3)")) == 2 + 3
    assert len(ran("naswot,zen,zen(perturbation=0.1)")) == 2 + 2  # both runs, once for each step


def test_a_score_is_the_same_alone_and_among_other_settings():
    names = ["snip", "snip(mode=eval)", "snip(samples=2)", "fisher(inputs=noise)", "zico(parts=3)", "lnwot"]
    names += ["naswot(initialisation=kaiming)", "naswot(repeats=3, initialisation=gaussian)", "synflow_bn", "zen"]
    together = zc.score(network(), batch(), names)
    backwards = zc.score(network(), batch(), names[::-1])
    assert not together.failures and dict(together) == dict(backwards)
    for name in names:
        assert zc.score(network(), batch(), name)[name] == together[name]


def test_samples_are_the_first_of_the_batch(ran):
    x, y = batch()
    names = ["snip", "fisher", "naswot", "epe_nas", "jacob_cov"]
    few = zc.score(network(), (x, y), [f"{name}(samples=4)" for name in names])
    assert list(few.values()) == list(zc.score(network(), (x[:4], y[:4]), names).values())
    assert ran("snip(samples=4)") == [(4, 3, 6, 6)] and ran("snip(samples=99)") == [(N, 3, 6, 6)]


def test_eval_mode_uses_the_running_statistics_and_leaves_them():
    model = network()
    before = model_state(model)
    card = zc.score(model, batch(), "snip(mode=eval),grad_norm(mode=eval),snip")
    assert model_state(model) == before
    model.eval()
    loss = F.cross_entropy(model(batch()[0]), batch()[1])
    weights = [p for p in model.parameters() if p.ndim > 1]
    gradients = torch.autograd.grad(loss, weights)
    expected = sum(float((w.detach() * g).abs().sum()) for w, g in zip(weights, gradients, strict=True))
    assert card["snip(mode=eval)"] == pytest.approx(expected, rel=1e-10) != pytest.approx(card["snip"], rel=1e-3)
    assert card["grad_norm(mode=eval)"] == pytest.approx(sum(float(g.norm()) for g in gradients), rel=1e-10)
    assert card.provenance["settings"]["snip(mode=eval)"] == {"mode": "eval"}


def test_noise_takes_the_shape_of_the_batch_and_not_its_values(ran):
    names = "naswot(inputs=noise),jacob_cov(inputs=noise)"
    one, other = (zc.score(network(), batch(seed=seed), names) for seed in (0, 1))
    assert dict(one) == dict(other) != dict(zc.score(network(), batch(), names, seed=1))
    drawn = zc.score(network(), noise_like(batch()[0], None, stream(0, "inputs")), "naswot,jacob_cov")
    assert list(one.values()) == list(drawn.values())
    assert ran("naswot(inputs=noise, pixels=12)") == [(N, 3, 12, 12)]
    assert ran("naswot(inputs=noise, samples=2, pixels=9)") == [(2, 3, 9, 9)]
    assert "snip(inputs=noise)" in zc.score(network(), batch(), "snip(inputs=noise)")  # labels are those of the batch


def test_there_is_no_noise_in_the_place_of_tokens():
    model = nn.Sequential(nn.Embedding(10, 4), nn.Flatten(), nn.Linear(12, 3), nn.ReLU(), nn.Linear(3, 3))
    card = zc.score(model, torch.randint(10, (5, 3)), "naswot_conv(inputs=noise),naswot_conv,params")
    assert "not floating-point" in card.failures["naswot_conv(inputs=noise)"] and "params" in card


def test_repeats_give_the_mean_and_the_deviation_over_seeds():
    name = "naswot(initialisation=gaussian, repeats=3)"
    card = zc.score(network(), batch(), [name, "snip"], seed=5)
    once = [zc.score(network(), batch(), "naswot(initialisation=gaussian)", seed=s) for s in (5, 6, 7)]
    values = [c["naswot(initialisation=gaussian)"] for c in once]
    assert card[name] == pytest.approx(statistics.fmean(values), rel=1e-12)
    assert card.spread == {name: pytest.approx(statistics.stdev(values), rel=1e-9)} and card.spread[name] > 0
    assert card.provenance["settings"][name] == {"mode": "train", "initialisation": "gaussian", "repeats": 3}


def test_repeats_run_again_only_what_differs(ran):
    assert len(ran("naswot(repeats=3)")) == 3 and len(ran("naswot,naswot(repeats=3)")) == 3
    assert ran("l2_norm(repeats=3)") == [] and len(ran("synflow(repeats=3)")) == 1
    assert len(ran("synflow(repeats=3, initialisation=kaiming)")) == 3
    card = zc.score(network(), batch(), "l2_norm(repeats=3)")
    assert card.spread == {"l2_norm(repeats=3)": 0.0}


def test_a_repeat_that_fails_fails_the_proxy(registries):
    @zc.proxy(paper="this test")
    def at_times(weights):
        return float("nan") if torch.rand(()) < 0.5 else 1.0

    card = zc.score(network(), batch(), "at_times(repeats=20)")
    assert "the value is nan" in card.failures["at_times(repeats=20)"] and not card.spread


def test_only_what_compares_batches_sees_more_than_the_first(ran):
    given = [batch(), batch(4, seed=1), batch(5, seed=2)]
    assert ran("snip,naswot", given) == [(N, 3, 6, 6)]
    assert ran("zico", given) == [(N, 3, 6, 6), (4, 3, 6, 6), (5, 3, 6, 6)]
    card = zc.score(network(), given, "snip,zico")
    assert card["snip"] == zc.score(network(), given[0], "snip")["snip"]
    assert card["zico"] != zc.score(network(), given[0], "zico")["zico"]
    assert card.provenance["batches"] == 3 and card.provenance["inputs"] == (N, 3, 6, 6)


def test_the_plan_tells_the_settings():
    text = str(plan(resolve("snip,lnwot,zico(parts=4)")))
    assert "3 proxies: 3 forward and 2 backward passes" in text
    assert "(mode=eval)" in text and "(parts=4)" in text and "layer_kernels for lnwot" in text


def test_the_passes_of_a_card_have_their_settings():
    card = zc.score(network(), batch(), "naswot,naswot(mode=eval)")
    assert [(p.name, p.settings) for p in card.passes] == [("data", {}), ("data", {"mode": "eval"})]


def test_every_choice_scores():
    for name, choices in CHOICES.items():
        for choice in choices:
            card = zc.score(network(), batch(), f"snip({name}={choice}),synflow({name}={choice})")
            assert not card.failures
