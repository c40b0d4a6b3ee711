from __future__ import annotations

import pytest
import torch

from zerocost.base.errors import Failure
from zerocost.base.seeding import stream
from zerocost.engine.inputs import as_leaves, clone_tensors, noise_like, sample_count, take_samples


def test_only_tensors_with_a_row_for_each_sample_are_cut():
    inputs = {"x": torch.rand(6, 2), "mask": torch.rand(3, 3), "scale": torch.tensor(2.0), "flag": True}
    part = take_samples(inputs, 1, 3)
    assert sample_count(inputs) == 6 and sample_count(part) == 2
    assert torch.equal(part["x"], inputs["x"][1:3])
    assert part["mask"] is inputs["mask"] and part["scale"] is inputs["scale"] and part["flag"] is True


def test_leaves_take_a_gradient_and_leave_the_callers_tensors_alone():
    inputs = (torch.rand(4, 2), torch.arange(4), torch.rand(3))
    found = as_leaves(inputs)
    assert [t.requires_grad for t in found] == [True, False, False]
    assert not inputs[0].requires_grad


def test_clones_of_leaves_can_be_written_to_and_lead_back_to_them():
    x = torch.rand(4, 2)
    leaf = as_leaves([x])[0]
    clone_tensors([leaf])[0].mul_(0).sum().backward()
    assert torch.equal(leaf.grad, torch.zeros(4, 2)) and x.grad is None and leaf.data_ptr() == x.data_ptr()


def test_noise_replaces_what_belongs_to_samples_and_follows_the_seed():
    inputs = {"image": torch.ones(6, 3, 8, 8).half(), "words": torch.ones(6, 5).long(), "scale": torch.tensor(2.0)}
    one, again, other = (noise_like(inputs, None, stream(seed, "inputs")) for seed in (0, 0, 1))
    assert one["words"] is inputs["words"] and one["scale"] is inputs["scale"]
    assert one["image"].dtype == torch.float16 and one["image"].shape == (6, 3, 8, 8)
    assert torch.equal(one["image"], again["image"]) and not torch.equal(one["image"], other["image"])
    assert bool((inputs["image"] == 1).all()) and float(one["image"].float().std()) == pytest.approx(1, abs=0.1)


def test_pixels_are_those_of_images_alone():
    found = noise_like([torch.ones(6, 3, 8, 8), torch.ones(6, 5)], 4, stream(0, "inputs"))
    assert found[0].shape == (6, 3, 4, 4) and found[1].shape == (6, 5)


def test_there_is_no_noise_for_tokens():
    with pytest.raises(Failure, match="not floating-point"):
        noise_like(torch.ones(6, 5).long(), None, stream(0, "inputs"))
