"""Small files and objects in the forms of the benchmarks' own."""

from __future__ import annotations

import base64
import json
import pickle
import random
import struct
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch

import pytest

SHARED = Path(__file__).parents[2].parent / "shared" / "data"


def shared(name: str) -> Path:
    if not (SHARED / name).exists():
        pytest.skip(f"needs ../shared/data/{name}, which is not part of the repository")
    return SHARED / name


def checksum(raw: bytes) -> bytes:
    """A masked CRC-32C, bit by bit."""
    crc = 0xFFFFFFFF
    for byte in raw:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0x82F63B78 * (crc & 1)
    crc ^= 0xFFFFFFFF
    return struct.pack("<I", ((crc >> 15 | crc << 17 & 0xFFFFFFFF) + 0xA282EAD8) % 2**32)


def tfrecord(records: Sequence[bytes]) -> bytes:
    heads = [struct.pack("<Q", len(record)) for record in records]
    return b"".join(
        [head + checksum(head) + record + checksum(record) for head, record in zip(heads, records, strict=True)]
    )


def varint(value: int) -> bytes:
    high, low = divmod(value, 128)
    return bytes([low | 128]) + varint(high) if high else bytes([low])


def double(field: int, value: float) -> bytes:
    return bytes([field << 3 | 1]) + struct.pack("<d", value)


def nested(field: int, raw: bytes) -> bytes:
    return bytes([field << 3 | 2]) + varint(len(raw)) + raw


def training(cell: dict[str, Any], epochs: int, seed: int) -> bytes:
    """The record of one training of a cell written as in nasbench101-sample.json."""
    numbers = cell["computed"][str(epochs)][seed]
    evaluations = [double(1, 0.0) + double(2, 0.0) + nested(6, b"/model.ckpt-0")]
    for epoch, when in ((epochs / 2, "halfway"), (epochs, "final")):
        kinds = ("training_time", "train_accuracy", "validation_accuracy", "test_accuracy")
        found = [double(field, numbers[f"{when}_{kind}"]) for field, kind in enumerate(kinds, 2)]
        evaluations.append(double(1, float(epoch)) + b"".join(found))
    message = b"".join([nested(1, evaluation) for evaluation in evaluations])
    message += bytes([2 << 3]) + varint(cell["trainable_parameters"]) + double(3, 1234.5)
    digits = "".join([str(entry) for row in cell["adjacency"] for entry in row])
    record = [cell["hash"], epochs, digits, ",".join(cell["operations"]), base64.encodebytes(message).decode()]
    return json.dumps(record).encode()


def cell(operation: str, params: int, accuracies: Sequence[float], epochs: int = 108) -> dict[str, Any]:
    """A cell of one operation in the form of nasbench101-sample.json; its hash is made up."""
    trainings = [
        {
            f"{when}_{kind}": accuracy + shift
            for when, shift in (("halfway", -0.25), ("final", 0.0))
            for kind in ("training_time", "train_accuracy", "validation_accuracy", "test_accuracy")
        }
        for accuracy in accuracies
    ]
    return {
        "hash": f"hash of {operation}",
        "adjacency": [[0, 1, 0], [0, 0, 1], [0, 0, 0]],
        "operations": ["input", operation, "output"],
        "trainable_parameters": params,
        "computed": {str(epochs): trainings},
    }


def analog(cells: dict[tuple[int, ...], dict[str, Any]], protocol: int = 4) -> bytes:
    """A pickle as analog-nasbench has it; drifts are (value, uncertainty)."""
    module = ModuleType("analognasbench.data")
    names = ("Architecture", "DriftMeasurement")
    kinds = {name: type(name, (), {"__module__": "analognasbench.data"}) for name in names}
    module.__dict__.update(kinds)

    def made(name: str, **attributes: Any) -> Any:
        thing = kinds[name]()
        thing.__dict__.update(attributes)
        return thing

    content = {}
    for key, facts in cells.items():
        values = {
            name: made("DriftMeasurement", value=fact[0], uncertainty=fact[1]) if isinstance(fact, tuple) else fact
            for name, fact in facts.items()
        }
        content[key] = made("Architecture", architecture=key, **values)
    with patch.dict(sys.modules, {"analognasbench": ModuleType("analognasbench"), "analognasbench.data": module}):
        return pickle.dumps(content, protocol)


class Results:
    """What the object of nats-bench holds of one architecture and training: seeds by dataset."""

    def __init__(self, seeds: dict[str, list[int]]) -> None:
        self.seeds = seeds

    def get_dataset_names(self) -> list[str]:
        return list(self.seeds)

    def get_dataset_seeds(self, dataset: str) -> list[int]:
        return list(self.seeds[dataset])

    def get_compute_costs(self, dataset: str) -> dict[str, float | None]:
        latency = None if dataset == "cifar100" else 0.0139
        return {"flops": 15.64737, "params": 0.129306, "latency": latency, "T-train@epoch": 1.0}


class NATS:
    """The methods of nats-bench's object that are used; architecture 0 has a seed less than the others."""

    def __init__(self, texts: Sequence[str], trainings: Sequence[str]) -> None:
        self.texts, self.trainings = texts, trainings

    def __len__(self) -> int:
        return len(self.texts)

    def arch(self, index: int) -> str:
        return self.texts[index]

    def query_by_index(self, arch_index: int, dataname: str | None = None, hp: str = "12") -> Results:
        assert dataname is None
        if hp not in self.trainings:
            raise ValueError(f"only has hyper-parameters of {self.trainings}")
        seeds = [777, 888][: 1 + arch_index]
        return Results(dict.fromkeys(("cifar10-valid", "cifar10", "cifar100"), seeds))

    def get_more_info(
        self, index: int, dataset: str, iepoch: int | None = None, hp: str = "12", is_random: bool | int = True
    ) -> dict[str, float | str | None]:
        assert iepoch is None
        assert not isinstance(is_random, bool), "a random seed, or a mean"
        draw = random.Random(f"{index} {dataset} {hp} {is_random}").random
        sets = {"cifar10-valid": ("train", "valid", "test"), "cifar10": ("train", "test")}
        info: dict[str, float | str | None] = {"comment": "words"}
        for kind in sets.get(dataset, ("train", "valid", "test", "valtest")):
            info |= {f"{kind}-loss": draw(), f"{kind}-accuracy": 100 * draw()}
            info |= {f"{kind}-per-time": None, f"{kind}-all-time": None}
        return info
