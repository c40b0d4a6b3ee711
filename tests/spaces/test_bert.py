"""Space `bert`: the encoders of FlexiBERT."""

from __future__ import annotations

import pytest
import scipy.fft
import torch

from zerocost.base.errors import InputError
from zerocost.spaces import Fidelity, get
from zerocost.spaces.bert_operations import OPERATIONS, SpanConvolution, Transform
from zerocost.testing.spaces import check_space

SPACE = get("bert")
TOKENS = torch.randint(30_522, (2, 6), generator=torch.Generator().manual_seed(0))
PUBLISHED = {
    "256|SA:WMA:4:1024x3|LT:DCT:2:1024x3|SA:SDP:4:1024x3|SA:SDP:4:1024x1": 13_330_176,
    "256|LT:DFT:4:1024x3|SA:SDP:2:1024x1|DSC:9:4:1024x3|DSC:5:2:1024x1": 11_106_199,
    "256|DSC:9:4:1024x1|DSC:5:2:1024x1": 5_526_167,
    "256|LT:DCT:2:1024x1|DSC:5:2:1024x1": 5_356_549,
}
"""Counted by the authors without a head, all at width 256 and with 1,024 features."""


def test_contract() -> None:
    check_space(SPACE, TOKENS, samples=4, fidelities=[Fidelity(width=0.25), Fidelity(0.5, 0.5)])


@pytest.mark.parametrize(("text", "expected"), PUBLISHED.items())
def test_published_parameter_counts(text: str, expected: int) -> None:
    with torch.device("meta"):
        network = SPACE.build(SPACE.parse(text))
        head = sum(p.numel() for p in network.classifier.parameters())
    assert sum(p.numel() for p in network.parameters()) - head == expected


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("heads", [2, 4])
def test_every_operation_mixes_tokens_and_keeps_their_shape(name: str, heads: int) -> None:
    operation = OPERATIONS[name](16, heads)
    x = torch.randn(2, 11, 16, requires_grad=True)
    y = operation(x)
    assert y.shape == x.shape
    (slope,) = torch.autograd.grad(y[0, 3].sum(), x)
    assert slope[0, 4].abs().sum() > 0
    assert slope[1].abs().sum() == 0


def test_transforms_are_those_of_scipy() -> None:
    x = torch.randn(2, 7, 12)
    for cosine in (False, True):
        transform = Transform(12, 3, cosine)
        heads = transform.input(x).detach().unflatten(2, (3, 4)).transpose(1, 2).numpy()
        expected = scipy.fft.dctn(heads, axes=(2, 3)) if cosine else scipy.fft.fft2(heads).real
        got = transform(x).unflatten(2, (3, 4)).transpose(1, 2)
        assert torch.allclose(got, torch.from_numpy(expected).float(), atol=1e-4)


def test_a_span_convolution_sees_the_tokens_of_its_kernel() -> None:
    operation = SpanConvolution(8, 4, 5)
    x = torch.randn(1, 12, 8, requires_grad=True)
    (slope,) = torch.autograd.grad(operation(x)[0, 6, 4:].sum(), x)
    assert (slope[0].abs().sum(1) > 0).nonzero().flatten().tolist() == [4, 5, 6, 7, 8]


def test_the_text_is_the_benchmarks() -> None:
    text = "128|LT:DFT:4:512x1|SA:SDP:2:1024x3"
    arch = SPACE.parse(text)
    assert dict(arch.choices)["perceptron2"] == "1024x3"
    assert str(arch) == text


@pytest.mark.parametrize(
    "text", ["", "128", "128|SA:SDP:2:512x1", "64|SA:SDP:2:512x1|SA:SDP:2:512x1", "128|SA:5:2:512x1|X"]
)
def test_parse_says_what_is_wrong(text: str) -> None:
    with pytest.raises(InputError, match=r"reads WIDTH\|LAYER\|….*operations are SA:SDP.*but got"):
        SPACE.parse(text)


def test_refuses_no_classes() -> None:
    with pytest.raises(InputError, match="classes >= 1, but got vocabulary=9, classes=0"):
        get("bert", vocabulary=9, classes=0)
