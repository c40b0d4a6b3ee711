from __future__ import annotations

import pytest
import torch
from torch import nn

import zerocost as zc
from zerocost.proxies.aggregates import AGGREGATES
from zerocost.proxies.papers import PAPERS, paper


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU())


@pytest.fixture
def batch() -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(8, 3, 10, 10, generator=torch.Generator().manual_seed(0)), torch.arange(8) % 2


def test_every_preset_is_of_a_proxy_that_exists() -> None:
    for name, (base, _) in PAPERS.items():
        assert {name, base} <= set(zc.proxies.names())
        (found,) = paper(name)
        assert found.name == f"paper:{name}"
        assert found.settings != zc.proxies.get(name).settings or found.formula is not zc.proxies.get(name).formula


def test_zen_as_in_its_paper_does_not_depend_on_the_images_or_the_weights(batch) -> None:
    model, other = net(), net()
    torch.nn.init.ones_(other[0].weight)
    images, labels = batch
    card = zc.score(model, (images, labels), "paper:zen,zen")
    again = zc.score(other, (images + 1, labels), "paper:zen,zen")
    assert card["paper:zen"] == again["paper:zen"]
    assert card["zen"] != again["zen"]
    assert card.spread["paper:zen"] > 0
    assert card.provenance["settings"]["paper:zen"]["repeats"] == 32


def test_meco_as_in_its_paper_counts_modules(batch) -> None:
    card = zc.score(net(), batch, [*paper("meco"), "meco_modules(inputs=noise, samples=1, pixels=64)"])
    assert len(set(card.values())) == 1


def test_a_proxy_without_a_preset_is_as_it_is(batch) -> None:
    card = zc.score(net(), (batch[0].mean((2, 3), keepdim=True).expand(-1, -1, 10, 10), None), "synflow,paper:synflow")
    assert card["synflow"] == card["paper:synflow"]


def test_an_aggregate_stands_for_its_parts() -> None:
    assert [p.name for p in zc.proxies.resolve("az_nas")] == list(AGGREGATES["az_nas"])
    assert [p.name for p in zc.proxies.resolve("paper:az_nas")] == [f"paper:{part}" for part in AGGREGATES["az_nas"]]
    parts = {part for parts in AGGREGATES.values() for part in parts}
    assert parts <= set(zc.proxies.names())


def test_an_unknown_name_is_told_the_nearest() -> None:
    with pytest.raises(zc.InputError, match="unknown proxy 'zenn'; did you mean 'zen'"):
        paper("zenn")
