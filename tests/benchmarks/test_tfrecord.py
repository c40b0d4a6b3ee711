"""Record files and protobuf messages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.handmade import checksum, double, nested, tfrecord, varint
from zerocost.base.errors import InputError
from zerocost.benchmarks.tfrecord import crc32c, mask_checksum, message_fields, read_records

PUBLISHED = {
    bytes(32): 0x8A9136AA,
    b"\xff" * 32: 0x62A8AB43,
    bytes(range(32)): 0x46DD794E,
    bytes(range(31, -1, -1)): 0x113FDB5C,
}
"""Of RFC 3720, B.4."""


@pytest.mark.parametrize("raw", PUBLISHED)
def test_checksums_that_are_published(raw):
    assert crc32c(raw) == PUBLISHED[raw]


@given(st.binary(max_size=20))
def test_checksums_are_masked_as_tensorflow_does(raw):
    assert mask_checksum(crc32c(raw)).to_bytes(4, "little") == checksum(raw)


@given(st.lists(st.binary(max_size=300)))
def test_records_come_back(tmp_path_factory, written):
    file = tmp_path_factory.mktemp("records") / "a.tfrecord"
    file.write_bytes(tfrecord(written))
    assert list(read_records(file)) == written


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda raw: raw[:-1], "record 2 of .* is cut short; download"),
        (lambda raw: raw[:-7], "record 2 of .* is cut short; download"),
        (lambda raw: raw[: len(raw) // 2 + 5], "record 2 of .* is damaged, or the file is no TFRecord"),
        (lambda raw: b"\x06" + raw[1:], "record 1 of .* is damaged, or the file is no TFRecord"),
        (lambda raw: b"PK\x03\x04" + raw, "record 1 of .* is damaged, or the file is no TFRecord"),
    ],
)
def test_damage_is_named(tmp_path, change, message):
    file = tmp_path / "a.tfrecord"
    file.write_bytes(change(tfrecord([b"first", b"other"])))
    with pytest.raises(InputError, match=message):
        list(read_records(file))


numbers = st.tuples(st.integers(1, 15), st.integers(0, 2**63) | st.floats(allow_nan=False) | st.binary(max_size=300))


@given(st.lists(numbers))
def test_fields_come_back(written):
    raw = b""
    for number, value in written:
        if isinstance(value, bytes):
            raw += nested(number, value)
        else:
            raw += double(number, value) if isinstance(value, float) else bytes([number << 3]) + varint(value)
    assert list(message_fields(raw)) == written


@pytest.mark.parametrize("raw", [b"\x0a\x05abc", b"\x08", b"\x08\xff", b"\x0d\x00\x00\x00\x00", b"\x0b"])
def test_what_is_no_message_is_refused(raw):
    with pytest.raises(ValueError, match=r"cut short|wire type"):
        list(message_fields(raw))
