"""AnalogNAS-Bench's pickle, read without what it names."""

from __future__ import annotations

import importlib.metadata
import pickle
from importlib.metadata import PackageNotFoundError

import pytest

from benchmarks.handmade import analog, shared
from data.handmade import Evil
from zerocost import benchmarks
from zerocost.base.errors import InputError, MissingExtraError
from zerocost.benchmarks.analog import installed_file

FACTS = {"baseline_accuracy": 93.5, "ptq_accuracy": 92.5, "baseline_drift_60": (12.25, 1.93)}
BASELINE = {"dataset": "cifar10", "metric": "baseline_accuracy", "epochs": 200, "seed": "mean"}


def read(tmp_path, raw):
    (tmp_path / "data.anb").write_bytes(raw)
    return benchmarks.get("nasbench201", tmp_path / "data.anb")


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_the_form_of_the_package(tmp_path, protocol):
    found = read(tmp_path, analog({(2, 1, 0, 4, 3, 2): FACTS}, protocol))
    text = "|nor_conv_3x3~0|+|none~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_1x1~1|nor_conv_3x3~2|"
    assert found.architectures() == (text,)
    assert found.metrics == tuple(FACTS)
    assert found.default._asdict() == BASELINE
    assert found.query(text, **BASELINE) == 93.5
    assert found.query(text, **BASELINE | {"metric": "baseline_drift_60"}) == 12.25


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_code_is_refused_and_not_run(tmp_path, protocol):
    target = tmp_path / "ran"
    with pytest.raises(InputError, match=r"data\.anb is refused: its pickle names (posix|nt)\.system"):
        read(tmp_path, pickle.dumps({(0,) * 6: Evil(target)}, protocol))
    assert not target.exists()


@pytest.mark.parametrize(
    "raw",
    [b"", b"no pickle", analog({(0,) * 6: FACTS})[:-9], pickle.dumps([1]), pickle.dumps({(0,) * 6: 1})]
    + [analog({key: FACTS}) for key in ((0, 0), (9,) * 6)]
    + [analog({(0,) * 6: {"baseline_accuracy": "high"}})],
)
def test_another_form_is_named(tmp_path, raw):
    with pytest.raises(InputError, match=r"data\.anb is not the data of analog-nasbench"):
        read(tmp_path, raw)


def test_without_the_package_the_error_names_the_extra(tmp_path, monkeypatch):
    def missing(name):
        raise PackageNotFoundError(name)

    monkeypatch.setenv("ZEROCOST_BENCHMARKS", str(tmp_path))
    monkeypatch.setattr(importlib.metadata, "distribution", missing)
    for ask in (benchmarks.get, benchmarks.convert):
        with pytest.raises(MissingExtraError, match=r"pip install 'zerocost\[nasbench201\]'"):
            ask("nasbench201")


def test_the_package_itself(tmp_path, monkeypatch):
    """Where it is installed: its keys are read right if its accuracies order cells as the official ones do."""
    try:
        installed_file()
    except PackageNotFoundError:
        pytest.skip("needs the package analog-nasbench, of the extra nasbench201")
    monkeypatch.setenv("ZEROCOST_BENCHMARKS", str(tmp_path))
    found = benchmarks.get("nasbench201")
    assert set(found.architectures()) == {str(arch) for arch in found.space}
    official = benchmarks.get("nasbench201", shared("nasbench201-cifar10.csv"))
    assert found.truth(**BASELINE).corr(official.truth(**official.default._asdict()), method="spearman") > 0.98
