"""A proxy of the user's own, in a file, at the shell."""

from __future__ import annotations

import pytest

OWN = '''
import torch
import zerocost as zc


@zc.signal
def gradient_sizes(weight_gradients):
    """Norm of each weight matrix's gradient."""
    return torch.stack([g.norm() for g in weight_gradients])


@zc.proxy(paper="mine", mode="eval")
def mine(gradient_sizes, *, power=1):
    """Sum of the gradients' sizes to some power."""
    return (gradient_sizes**power).sum()


def no_proxy():
    return 1
'''


@pytest.fixture
def own(tmp_path, registries):
    (tmp_path / "my_proxy.py").write_text(OWN)
    return f"{tmp_path}/my_proxy.py"


@pytest.mark.parametrize("command", ["rank", "score"])
def test_it_is_scored_beside_the_others(run, user_file, own, command):
    target = {"rank": "candidates", "score": "build"}[command]
    proxies = f"{own}:mine,snip,{own}:mine(power=2)"
    result = run(command, f"{user_file}:{target}", "--data", "digits:8", "--batch", 16, "--proxies", proxies, "--json")
    assert result.code == 0
    scores = result.json["ranking"][0] if command == "rank" else result.json["scores"]
    assert {"mine", "snip", "mine(power=2)"} <= set(scores)
    assert scores["mine(power=2)"] < scores["mine"] ** 2


def test_a_search_ranks_by_it(run, own):
    options = ("--data", "digits:8", "--candidates", 4, "--keep", 1, "--epochs", 0, "--batch", 8, "--json")
    result = run("search", "--space", "cnn", "--proxies", f"{own}:mine,snip", *options)
    assert result.code == 0
    assert result.json["settings"]["proxies"] == "mine,snip"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_proxy", "is not a proxy: decorate the function with @zerocost.proxy"),
        ("nobody", "unknown name in"),
        ("mine(power", "expected NAME(OPTION=VALUE, …), as in zico(parts=4)"),
        ("mine(force=2)", "unknown option of proxy mine: 'force'"),
        ("mine(mode=fast)", "unknown mode 'fast'"),
    ],
)
def test_mistakes_are_one_line(run, user_file, own, name, message):
    result = run("rank", f"{user_file}:candidates", "--data", "digits:8", "--proxies", f"{own}:{name}")
    assert (result.code, result.out) == (2, "")
    assert message in result.err
    assert len(result.err.strip().splitlines()) == 1


def test_repeats_are_shown_with_their_spread(run, user_file):
    options = ("--data", "digits:8", "--batch", 8, "--repeats", 3)
    shown = run("rank", f"{user_file}:candidates", *options, "--proxies", "snip")
    assert shown.out.count("±") == 3
    found = run("rank", f"{user_file}:candidates", *options, "--proxies", "snip,zico", "--batches", 2, "--json").json
    assert all(spread["snip"] > 0 for spread in found["spread"].values())
    assert {made["batches"] for made in found["provenance"].values()} == {2}
