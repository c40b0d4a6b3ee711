from __future__ import annotations

import pickle
import warnings
from collections import OrderedDict

import numpy as np
import pytest

from data.handmade import Evil, python2_pickle
from zerocost.base.errors import InputError
from zerocost.data.pickles import ADMITTED, PickledArray, Uint8, unpickle

PIXELS = np.random.default_rng(0).integers(0, 256, (3, 7), dtype=np.uint8)


def test_a_python_2_pickle():
    content = unpickle(python2_pickle(PIXELS, [3, 1, 2]), "data_batch_1")
    assert content[b"labels"] == [3, 1, 2]
    assert content[b"batch_label"] == b"training batch 1 of 5"
    np.testing.assert_array_equal(content[b"data"].values, PIXELS)


def test_the_handmade_pickle_is_one_that_python_reads():
    with warnings.catch_warnings(action="ignore"):
        content = pickle.loads(python2_pickle(PIXELS, [3, 1, 2]), encoding="bytes")
    np.testing.assert_array_equal(content[b"data"], PIXELS)


@pytest.mark.parametrize("protocol", [2, 3, 4])
@pytest.mark.parametrize("order", ["C", "F"])
def test_pickles_of_python_3_in_either_memory_order(protocol, order):
    raw = pickle.dumps({"data": np.asarray(PIXELS, order=order), b"labels": [1, 2]}, protocol)
    content = unpickle(raw, "batch")
    np.testing.assert_array_equal(content["data"].values, PIXELS)
    assert content[b"labels"] == [1, 2]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_code_is_refused_and_not_run(tmp_path, protocol):
    target = tmp_path / "ran"
    raw = pickle.dumps({"data": Evil(target)}, protocol)
    with pytest.raises(InputError, match=r"data_batch_1 is refused: its pickle names (posix|nt)\.system"):
        unpickle(raw, "data_batch_1")
    assert not target.exists()


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        (b"cbuiltins\neval\n(V1+1\ntR.", "builtins.eval"),
        (b"c__builtin__\nexec\n.", "__builtin__.exec"),
        (b"cnumpy\nload\n.", "numpy.load"),
        (b"\x80\x04\x8c\x05numpy\x8c\x0fndarray.tofile2\x93.", "numpy.ndarray.tofile2"),
        (b"(ios\nsystem\n.", "os.system"),
        (pickle.dumps(OrderedDict(a=1)), "collections.OrderedDict"),
        (pickle.dumps(np.float64(1)), "numpy.*scalar"),
    ],
)
def test_every_other_name_is_refused(raw, name):
    with pytest.raises(InputError, match=f"names {name}"):
        unpickle(raw, "batch")


@pytest.mark.parametrize("dtype", [np.int64, np.float32, object])
def test_arrays_of_another_dtype_are_refused(dtype):
    with pytest.raises(InputError, match="expected an array of uint8"):
        unpickle(pickle.dumps(np.zeros(3, dtype), 4), "batch")


@pytest.mark.parametrize("cut", [0, 1, 5, 40, 150, -1])
def test_a_damaged_pickle_is_named(cut):
    with pytest.raises(InputError, match="data_batch_1 is not a readable pickle"):
        unpickle(python2_pickle(PIXELS, [3, 1, 2])[:cut], "data_batch_1")


@pytest.mark.parametrize(("module", "name"), ADMITTED)
@pytest.mark.parametrize("state", [b"}Vattribute\nNs", b"N}V__init__\nNs\x86", b"N}V__defaults__\nNs\x86"])
def test_a_pickle_cannot_change_what_it_names(module, name, state):
    raw = f"\x80\x02c{module}\n{name}\n".encode() + state + b"b."
    with pytest.raises(InputError):
        unpickle(raw, "batch")
    assert not hasattr(ADMITTED[module, name], "attribute")
    assert PickledArray().values.size == 0
    assert Uint8("u1") is not None
