from __future__ import annotations

import torch

from zerocost.engine.inputs import cloned, count, cut, leaves


def test_only_tensors_with_a_row_for_each_sample_are_cut():
    inputs = {"x": torch.rand(6, 2), "mask": torch.rand(3, 3), "scale": torch.tensor(2.0), "flag": True}
    part = cut(inputs, 1, 3)
    assert count(inputs) == 6 and count(part) == 2
    assert torch.equal(part["x"], inputs["x"][1:3])
    assert part["mask"] is inputs["mask"] and part["scale"] is inputs["scale"] and part["flag"] is True


def test_leaves_take_a_gradient_and_leave_the_callers_tensors_alone():
    inputs = (torch.rand(4, 2), torch.arange(4), torch.rand(3))
    found = leaves(inputs)
    assert [t.requires_grad for t in found] == [True, False, False]
    assert not inputs[0].requires_grad


def test_clones_of_leaves_can_be_written_to_and_lead_back_to_them():
    x = torch.rand(4, 2)
    leaf = leaves([x])[0]
    cloned([leaf])[0].mul_(0).sum().backward()
    assert torch.equal(leaf.grad, torch.zeros(4, 2)) and x.grad is None and leaf.data_ptr() == x.data_ptr()
