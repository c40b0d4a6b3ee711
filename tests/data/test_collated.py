"""Data whose batches the `collate_fn` of a DataLoader makes."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset, default_collate

import zerocost as zc
from zerocost.base.errors import InputError
from zerocost.data import draw, load, split
from zerocost.data.dataset import declared_task, standardise_alike


class Texts(Dataset):
    """Texts of one to five token ids from 1 to 9, with whether the first is above 4."""

    def __init__(self, count=40):
        generator = torch.Generator().manual_seed(0)
        lengths = torch.randint(1, 6, (count,), generator=generator)
        self.texts = [torch.randint(1, 10, (int(length),), generator=generator) for length in lengths]

    def __len__(self):
        return len(self.texts)

    def __getitem__(self, index):
        return self.texts[index], int(self.texts[index][0] > 4)


class Reader(nn.Module):
    def __init__(self, width=4):
        super().__init__()
        self.embed, self.out = nn.Embedding(10, width, padding_idx=0), nn.Linear(width, 2)

    def forward(self, ids):
        return self.out(self.embed(ids).sum(1))


class Masked(Reader):
    def forward(self, input_ids, attention_mask):
        return self.out((self.embed(input_ids) * attention_mask[..., None]).sum(1))


def pad(samples):
    texts, labels = zip(*samples, strict=True)
    return nn.utils.rnn.pad_sequence(texts, batch_first=True), torch.tensor(labels)


def pad_by_name(samples):
    ids, labels = pad(samples)
    return {"input_ids": ids, "attention_mask": (ids > 0).long(), "labels": labels}


def as_usual(samples):
    return default_collate(samples)


def relabel(samples):
    inputs, _ = default_collate(samples)
    return inputs * 100, (inputs[:, 0] > 0).long()


def rows():
    inputs = torch.randn(60, 3, generator=torch.Generator().manual_seed(1))
    return DataLoader(TensorDataset(inputs, torch.zeros(60, dtype=torch.long)), 20, collate_fn=relabel)


def test_a_split_of_a_loader_is_of_its_samples_in_its_batches():
    train, validation = split(rows(), 0.25)
    assert (len(train), len(validation)) == (45, 15)
    whole, parts = draw(rows(), 60), [draw(part, len(part)) for part in (train, validation)]
    assert torch.cat([part.inputs for part in parts]).abs().sum() == pytest.approx(float(whole.inputs.abs().sum()))
    assert torch.cat([part.targets for part in parts]).sum() == whole.targets.sum() > 0
    assert draw(train, 20, balanced=True).targets.bincount().tolist() == [10, 10]
    again, _ = split(train, 0.2)
    assert float(draw(again, 36).inputs.abs().max()) > 100


def test_training_is_on_the_batches_that_the_loader_makes():
    seen = []

    class Seeing(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(3, 2)

        def forward(self, x):
            seen.append(float(x.detach().abs().max()))
            return self.layer(x / 100)

    (run,) = zc.train({"net": Seeing}, train=rows(), epochs=20, learning_rate=0.1)
    assert min(seen) > 100
    assert run.failure is None
    labels = draw(rows(), 60).targets.bincount()
    assert run.metric > float(labels.max()) / 60 + 0.1  # the labels of the dataset are all 0


@pytest.mark.parametrize(("collate", "net"), [(pad, Reader), (pad_by_name, Masked)])
def test_padded_texts_are_ranked_trained_and_searched(collate, net):
    loader = DataLoader(list(Texts()), 8, collate_fn=collate)
    assert not zc.rank({"net": net}, loader, "snip").failures.size
    (run,) = zc.train({"net": net}, train=loader, epochs=1)
    assert run.failure is None
    (run,) = zc.train({"net": net}, train=loader, validation=DataLoader(Texts(12), 8, collate_fn=collate), epochs=1)
    assert run.failure is None

    def space(choose):
        return net(choose.int("width", 2, 8))

    found = zc.search(space, loader, candidates=3, keep=1, epochs=1, proxies="snip")
    assert found.best is not None


def test_a_named_space_fits_what_the_loader_makes():
    found = zc.search("mlp", rows(), candidates=2, keep=1, epochs=0, proxies="params")
    assert found.sizes == {"features": 3, "outputs": 2}


def test_what_a_source_knows_holds_in_its_batches_too(tmp_path):
    file = tmp_path / "series.csv"
    file.write_text("load\n" + "\n".join(map(str, range(40))) + "\n")
    source = load(f"series:{file}:load:4:2")
    loader = DataLoader(source, collate_fn=as_usual)
    train, validation = split(loader)
    kept, held_out = split(source)
    assert declared_task(loader) == declared_task(train) == "regression"
    assert (len(train), len(validation)) == (len(kept), len(held_out))
    assert torch.equal(draw(validation, 3).inputs, draw(held_out, 3).inputs)
    alike = standardise_alike(load(loader), load(loader))
    assert torch.equal(draw(alike[1], 3).inputs, draw(source, 3).inputs)


def test_samples_that_make_no_batch_say_what_would():
    (run,) = zc.train({"net": Reader}, train=DataLoader(Texts(), 8), epochs=1)
    assert "stack expects each tensor" in run.failure
    with pytest.raises(InputError, match="give tensors of one shape, or a DataLoader whose collate_fn makes them so"):
        draw(DataLoader(Texts(), 8), 8)


def test_lists_of_numbers_are_rows_as_data_of_hugging_face_has_them():
    rows = [{"input_ids": [i, 2, 3], "mask": [1, 1, 0], "labels": i % 2} for i in range(1, 7)]
    batch = draw(DataLoader(rows), 4)
    assert batch.inputs["input_ids"].shape == (4, 3) and batch.inputs["mask"].tolist() == [[1, 1, 0]] * 4
    assert batch.targets.tolist() == (batch.inputs["input_ids"][:, 0] % 2).tolist()
    pairs = draw(DataLoader([([0.5, 1.5], [1.0, 0.0])] * 3), 2)
    assert pairs.inputs.shape == pairs.targets.shape == (2, 2)
    with pytest.raises(InputError, match="the samples do not fit into one batch"):
        draw(DataLoader([{"ids": [1] * n, "labels": 0} for n in (1, 2)]), 2)
