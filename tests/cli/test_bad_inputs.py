"""Bad input of every kind, to every command: one line, an exit code, and nothing of what was there is lost."""

from __future__ import annotations

import hashlib
import io
import json
import sqlite3
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from cli.conftest import USER_FILE
from zerocost.store import Score, Store

DEEP = 100_000
SCORE, RANK = "score {f}/mine.py:build --data digits:8", "rank {f}/mine.py:candidates --data digits:8 --proxies snip"
SEARCH = "search --data digits:8 --candidates 2 --keep 1 --epochs 0 --batch 4 --proxies snip"
EVALUATE = "evaluate macro --truth {f}/macro.csv --data digits:8 --proxies params --n 4 --seeds 1"
TUNE = "tune --trained {f}/trained.csv --space cnn --data digits:8"

USAGE = [
    "rnak",
    "Rank",
    "--vresion",
    "--batch 3",
    "rank",
    "rank {f}/mine.py:candidates",
    "rank {f}/mine.py:candidates --data",
    "score",
    "score --data digits",
    "search",
    "search cnn --data digits",
    "evaluate",
    "tune",
    "explain",
    "proxies snip",
    "proxies --jsno",
    *(f"{SCORE} {x}" for x in ("--batch 0", "--batch -1", "--batch 1.5", "--batch many", "--batch", "--btach 4")),
    *(f"{SCORE} {x}" for x in ("--seed -1", "--seed x", "--batches 0", "--proxy snip", "--data", "extra", "-x")),
    *(
        f"{RANK} {x}"
        for x in (
            "--top 0",
            "--repeats 0",
            "--wher snip>0",
            "--store a.db",
            "--workers 0",
            "--epochs 3",
            "--metric accuracy",
            "--jsn",
        )
    ),
    *(f"{SEARCH} {x}" for x in ("--candidates 0", "--keep 0", "--epochs -1", "--workers 0", "--reduction 1")),
    *(f"{SEARCH} {x}" for x in ("--moves 0", "--trials 0", "--patience 0", "--training-seeds 0", "--stratgy local")),
    *(f"{EVALUATE} {x}" for x in ("--n 2", "--k 0", "--seeds 0", "--resamples 0", "--epochs x", "--out a.csv")),
    *(f"{TUNE} {x}" for x in ("--trials 1", "--folds 1", "--rounds 0", "--pool -1", "--batch 0", "--saev t.json")),
]
UNKNOWN = [
    f"{SCORE} --proxies snipp",
    f"{SCORE} --proxies zico(part=4)",
    f"{SCORE} --proxies zico(parts=four)",
    f"{SCORE} --proxies zico(parts=0",
    f"{SCORE} --proxies zico(mode=evl)",
    f"{SCORE} --proxies paper:zenn",
    f"{SCORE} --proxies {{f}}/mine.py:build",
    f"{SCORE} --proxies {{f}}/gone.py:mine",
    f"{SCORE} --proxies ,",
    f"{SCORE} --proxies zen(repeats=1000000000)",
    *(f"{SCORE} --batches {n}" for n in (10_000_000, 10**30)),
    *(f"{RANK} {x}" for x in ("--batches 10000000", "--repeats 100000000")),
    *(f"{EVALUATE} {x}" for x in ("--n 99999999", "--batches 10000000", "--seeds 10000000", "--resamples 9999999999")),
    f"{SCORE} --device quantum",
    f"{SCORE} --device cuda:99",
    f"{RANK} --ray auto --device cuda:1",
    "explain snipp",
    "explain ,",
    *(f"rank {{f}}/mine.py:candidates --data {x}" for x in ("digit", "", ":", "cifar11:x", "noise3x8x8")),
    *(f"{SEARCH} {x}" for x in ("--space cmn", "--space nasbench202", "--strategy evolutoin", "--strategy=")),
    *(f"{SEARCH} {x}" for x in ("--objectives sore", "--objectives ,", "--objectives score,latncy")),
    *(f"{SEARCH} {x}" for x in ("--export {f}/out --epochs 1 --formats onxx", "--proxies snipp", "--device quantum")),
    *(f"{SEARCH} {x}" for x in ("--hardware {f}/macro.csv", "--truth {f}/macro.csv", "--strategy gradient")),
    "evaluate nasbench202",
    f"{EVALUATE} --dataset cifar11",
    f"{EVALUATE} --metric loss",
    f"{EVALUATE} --epochs 7",
    f"{EVALUATE} --proxies snpi",
    f"{TUNE} --proxies snpi",
    f"{TUNE} --space cmn",
]
CONDITIONS = [
    *("snpi > 0", "snip >", "snip", "1", "snip = 3", "import os", "__import__('os')", "snip.real > 0", "snip[0] > 1"),
    *("[snip] > 0", "'snip' > 0", "snip > 'a'", "snip ** 2 > 1", "(lambda: 1) > 0", "snip > 0 if 1 else 0"),
    *("snip in params", "snip > 1" + "0" * 400, "snip > 1" + "0" * 5000, "snip is None", "\u00e9 > 1", "a;b", "#"),
]
DEEP_CONDITIONS = [
    "(" * DEEP + "snip" + ")" * DEEP + " > 0",
    "not " * DEEP + "snip > 0",
    "snip" + " + 1" * DEEP + " > 0",
    "-" * DEEP + "1 < snip",
    "not " * 150 + "snip > 0",
]
FIDELITIES = ["width", "width=", "width=2", "width=0", "width=-1", "width=1e9", "width=nan", "widht=1", "depth=x"]
FIDELITIES += ["resolution=0", "resolution=1.5", "width=1,width=1", ">", "full > ", "batch=0"]
SIZES = [
    *("noise:99999x99999x99999", "noise:3x8", "noise:0x8x8", "noise:-1x8x8", "noise:1x1x999999999999999", "noise:x"),
    *("noise:3x8x8:0", "noise:3x8x8:x", f"noise:3x8x8:{'9' * 30}", f"noise:{'9' * 5000}x1x1", "noise:3x8x8:2:2"),
    *("tokens:999999999", "tokens:0", "tokens:x", f"tokens:{'9' * 25}", "tokens:8:0", "digits:99999", "digits:0"),
    *("digits:x", "digits:-1", "digits:999999999999", "images:{f}/images:999999", "images:{f}/images:0"),
]
FILES = [
    *("npz:", "npz:{f}/gone.npz", "npz:{f}", "npz:{f}/empty", "npz:{f}/text.txt", "npz:{f}/one.npy", "npz:{f}/cut.npz"),
    *("npz:{f}/other.npz", "npz:{f}/pickled.npz", "npz:{f}/nan.npz", "npz:{f}/negative.npz", "npz:{f}/few.npz"),
    *("npz:{f}/huge.npz", "npz:{f}/liar.npz", "npz:{f}/words.npz", "npz:{f}/scalar.npz", "npz:{f}/none.npz"),
    *("images:", "images:{f}/gone", "images:{f}/text.txt", "images:{f}/empty_class", "images:{f}/broken"),
    *(
        "images:{f}/no_class",
        "cifar10:",
        "cifar10:{f}/gone",
        "cifar10:{f}/text.txt",
        "cifar10:{f}",
        "cifar100:{f}/a.tar",
    ),
]
MODELS = [
    *("gone.py:build", "mine.py", "mine.py:", ":build", "mine.py:bild", "mine.py:number", "mine.py:not_a_network"),
    *("mine.py:raising", "syntax.py:build", "raises.py:build", "deep.py:build", "text.txt:build", "null.py:build"),
    *("text.keras", "empty.keras", "gone.keras", "empty.h5", "."),
]
CANDIDATES = [
    "mine.py:leaving",
    "mine.py:with_control_characters",
    "mine.py:with_half_a_character",
    "mine.py:with_a_long_reason",
    "mine.py:half_a_list",
    "mine.py:nothing",
    "mine.py:number",
    "mine.py:only_broken",
    "lazy.py:candidates",
    "mine.py:bild",
    "gone.py:candidates",
]
COMBINATIONS = ["gone", "empty", "text", "deep", "list", "format", "truth", "setting", "heavy", "weightless", "unknown"]
COMBINATIONS += ["clause", "reference", "bytes"]
STORES = ["text.txt", ".", "gone/scores.db", "other.db", "cut.db", "scores.csv"]
URLS = ["sqlite://x", "mysql://h/d", "postgresql://", "postgresql://u:p@127.0.0.1:1/d", "oracle:x://", "://", "ftp://x"]
TARGETS = ["{f}", "{f}/gone/a.html", "{f}/text.txt/a.html", "/dev/full/a"]
TRUTHS = ["gone.csv", "text.txt", "empty.csv", "columns.csv", "words.csv", "strange.csv", "twice.csv", "deep.json", "."]
CONFIGS = ["gone.json", "text.txt", "deep.json", "list.json", "kind.json", "lama.json", "."]

CASES = [
    *USAGE,
    *UNKNOWN,
    *(f"{SCORE} --data {x}" for x in SIZES),
    *(f"{SCORE} --data {x}" for x in FILES),
    *(f"score {{f}}/{x} --data digits:8" for x in MODELS),
    *(f"rank {{f}}/{x} --data digits:8" for x in CANDIDATES),
    *(f"rank hf:{{f}}/{x} --data tokens" for x in CONFIGS),
    *(f"rank timm:{x} --data digits:8" for x in ("", "nosuchnet", "-resnet18")),
    *(f"{RANK} --proxies {{f}}/{x}.json" for x in COMBINATIONS),
    *(f"{RANK} --save {x}" for x in (*TARGETS, "{f}/a.txt")),
    *(f"{RANK} {x}" for x in ("--csv {f}/a.xlsx", "--csv {f}/a.csv.gz", "--parquet {f}/a.csv")),
    *(f"{SEARCH} {x}" for x in ("--report {f}/a.pdf", "--csv {f}/a.parquet")),
    *(f"{EVALUATE} {x}" for x in ("--report {f}/a.pdf", "--csv {f}/a.tsv", "--latex {f}/a.csv")),
    *(f"{TUNE} --save {x}" for x in ("{f}/a.csv", "{f}/a")),
    "calibrate --space cnn --data digits:8 --save {f}/a.csv",
    "profile {f}/mine.py:build --data digits:8 --flame {f}/a.png",
    f"{RANK} --batch 1000000000000",
    f"{SCORE} --batch 1000000000000",
    f"{SCORE} --batch 1798 --balanced",
    *(f"{SEARCH} --fidelity={x}" for x in FIDELITIES),
    *(f"{SEARCH} --store {{f}}/{x}" for x in STORES),
    *(f"{SEARCH} --store {x}" for x in (*URLS, "/proc/scores.db")),
    *(f"{SEARCH} --study-storage {x}" for x in (*URLS, "sqlite:///{f}/text.txt", "sqlite:////proc/a.db")),
    *(f"{SEARCH} --report {x}" for x in TARGETS),
    *(f"{SEARCH} --export {x} --epochs 1" for x in ("{f}/text.txt", "{f}/text.txt/a", "/dev/full/a", "{f}/net.pt")),
    *(f"{command} --workdir {{f}}/runs.csv" for command in (f"{SEARCH} --epochs 1", f"{RANK} --train 1")),
    *(f"{command} --logger csv:{{f}}/runs.csv" for command in (f"{SEARCH} --epochs 1", f"{RANK} --train 1")),
    *(f"{EVALUATE} --csv {x}" for x in TARGETS[:3]),
    *(f"{EVALUATE} --latex {x}" for x in TARGETS[:2]),
    *(f"{EVALUATE} --pictures {x}" for x in ("{f}/text.txt", "{f}/text.txt/a", "{f}/figures.pdf")),
    f"{EVALUATE} --cache {{f}}/scores.csv",
    *(f"evaluate macro --truth {{f}}/{x} --data digits:8 --n 4" for x in TRUTHS),
    *(f"evaluate nasbench101 --truth {{f}}/{x}" for x in ("deep.json", "list.json", "cut.tfrecord", "text.txt")),
    *(f"tune --trained {{f}}/{x} --space cnn --data digits:8" for x in TRUTHS[:6]),
    f"{TUNE} --save {{f}}/gone/t.json",
    f"{TUNE} --save {{f}}",
]


def npy(shape: tuple[int, ...], data: bytes = b"") -> bytes:
    """An array file whose header promises a shape, whatever follows it."""
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "<f4", "fortran_order": False, "shape": shape})
    return stream.getvalue() + data


def write_arrays(folder: Path) -> None:
    images = np.zeros((20, 1, 8, 8), np.float32)
    labels = np.arange(20) % 2
    np.save(folder / "one.npy", images)
    for name, arrays in {
        "good": {"images": images, "labels": labels},
        "other": {"pictures": images},
        "pickled": {"images": np.array([{}, None], dtype=object), "labels": labels},
        "nan": {"images": images * np.nan, "labels": labels},
        "negative": {"images": images, "labels": labels - 5},
        "few": {"images": images, "labels": labels[:3]},
        "words": {"images": np.array([["a", "b"]] * 20), "labels": labels},
        "scalar": {"images": np.float32(3), "labels": labels},
        "none": {"images": images[:0], "labels": labels[:0]},
    }.items():
        np.savez(folder / f"{name}.npz", **arrays)
    (folder / "cut.npz").write_bytes((folder / "good.npz").read_bytes()[:2000])
    for name, shape in {"huge": (10**6, 3, 10**3, 10**3), "liar": (1000, 3, 8, 8)}.items():
        with zipfile.ZipFile(folder / f"{name}.npz", "w") as archive:
            archive.writestr("images.npy", npy(shape, b"\0" * 64))


def write_combinations(folder: Path) -> None:
    good = {"zerocost combination": 1, "weights": {"snip": 1.0}}
    for name, content in {
        "good": good,
        "list": [1],
        "format": good | {"zerocost combination": 9},
        "truth": good | {"zerocost combination": True},
        "setting": good | {"wieghts": 1},
        "heavy": good | {"weights": {"snip": 5}},
        "weightless": good | {"weights": {}},
        "unknown": good | {"weights": {"snipp": 1}},
        "clause": good | {"where": "snip >"},
        "reference": good | {"reference": {"snip": ["a"]}},
        "kind": {"hidden_size": 3},
        "lama": {"model_type": "lama"},
    }.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    (folder / "empty.json").touch()
    (folder / "text.json").write_text("no JSON")
    (folder / "deep.json").write_text("[" * DEEP + "]" * DEEP)
    (folder / "bytes.json").write_bytes(b"\xff\xfe\x00")


def write_stores(folder: Path) -> None:
    with Store(folder / "scores.db") as store:
        store.add("made", {(f"arch-{i}", 0, "snip"): Score(float(i), None) for i in range(300)})
    (folder / "cut.db").write_bytes((folder / "scores.db").read_bytes()[:5000])
    with sqlite3.connect(folder / "other.db") as other:
        other.execute("CREATE TABLE scores (player TEXT, points INTEGER)")
    other.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Files of every kind, good and bad."""
    folder = tmp_path_factory.mktemp("files")
    write_arrays(folder)
    write_combinations(folder)
    write_stores(folder)
    for name, text in {
        "mine.py": USER_FILE,
        "syntax.py": "def build(:\n",
        "raises.py": "raise RuntimeError('two\\nlines')\n",
        "lazy.py": "class Lazy(dict):\n    def items(self):\n        raise ImportError\ncandidates = Lazy(a=1)\n",
        "deep.py": "def build():\n    return build()\n",
        "text.txt": "this is no file of any kind\n",
        "text.keras": "this is no model\n",
        "macro.csv": "arch,test_accuracy\n00000000,86.1\n01111202,91.1\n12121212,92.4\n22222222,93.0\n",
        "columns.csv": "name,points\na,1\n",
        "words.csv": "arch,accuracy,test_accuracy\n00000000,high,high\n",
        "strange.csv": "arch,accuracy,test_accuracy\nnothing,1,1\n",
        "twice.csv": "arch,test_accuracy\n00000000,1\n00000000,2\n",
        "trained.csv": "arch,accuracy\n",
        "report.html": "an earlier report\n",
    }.items():
        (folder / name).write_text(text)
    for name in ("empty", "empty.csv", "empty.keras", "empty.h5"):
        (folder / name).touch()
    (folder / "null.py").write_bytes(b"x = 1\0\n")
    (folder / "cut.tfrecord").write_bytes(struct.pack("<Q", 10**12) + b"abc")
    for name in ("images/a", "images/b", "broken/a", "empty_class/a", "no_class"):
        (folder / name).mkdir(parents=True)
    for name in ("images/a/1.png", "images/b/1.png", "broken/a/1.png"):
        (folder / name).write_bytes(b"no picture")
    return folder


def contents(folder: Path) -> dict[str, str]:
    """A checksum of every file, but for those that SQLite keeps beside a database and Python beside a module."""
    passing = ("-wal", "-shm", ".pyc")
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.name.endswith(passing)]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def check(result, code: int = 2) -> None:
    """One line on stderr, an exit code, and no other word."""
    assert (result.code, result.out) == (code, ""), (result.out[:300], result.err[:300])
    lines = result.err.splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("error: ")
    assert "Traceback" not in lines[0]
    assert len(lines[0]) < 1500
    assert result.err.strip().isprintable()


def test_there_are_more_than_200():
    assert len(CASES) + len(CONDITIONS) + len(DEEP_CONDITIONS) > 300
    assert len(set(CASES)) == len(CASES)


@pytest.mark.parametrize("case", CASES)
def test_bad_input_is_one_line_and_nothing_is_lost(run, folder, monkeypatch, case):
    monkeypatch.chdir(folder)
    before = contents(folder)
    check(run(*case.format(f=folder).split(" ")))
    assert contents(folder) == before


def test_a_store_on_a_full_disk_is_one_line(run, folder, monkeypatch):
    monkeypatch.chdir(folder)
    check(run(*SEARCH.split(" "), "--store", "/dev/full"), 1)


@pytest.mark.parametrize("command", [RANK, SEARCH])
@pytest.mark.parametrize("where", [*CONDITIONS, *DEEP_CONDITIONS], ids=lambda where: where[:20])
def test_what_is_no_condition_is_one_line(run, folder, command, where):
    check(run(*command.format(f=folder).split(" "), "--where", where))
