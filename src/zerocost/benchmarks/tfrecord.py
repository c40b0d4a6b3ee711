"""TensorFlow's record files and Protocol Buffers' wire format, as far as NAS-Bench-101 needs them."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from zerocost.base.errors import InputError


def _crc_table() -> list[int]:
    """What each byte does to a CRC-32C (Castagnoli)."""
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)  # noqa: PLW2901
        table.append(byte)
    return table


_CRC_TABLE = _crc_table()


def crc32c(raw: bytes) -> int:
    """The CRC-32C checksum of a few bytes.

    >>> hex(crc32c(b"123456789"))
    '0xe3069283'
    """
    crc = 0xFFFFFFFF
    for byte in raw:
        crc = _CRC_TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def mask_checksum(crc: int) -> int:
    """The checksum as a record file stores it."""
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def read_records(path: Path) -> Iterator[bytes]:
    """The records of a TFRecord file, one after the other.

    A record is its length in 8 bytes, the length's checksum in 4, the data, and the data's checksum in 4. Lengths are
    checked; the data's checksum is not, as plain Python would take minutes for it.

    Raises:
        InputError: the file is damaged or cut short.
    """
    with path.open("rb") as file:
        number = 0
        while head := file.read(12):
            number += 1
            yield _record(file, head, f"record {number} of {path}")


def _record(file: BinaryIO, head: bytes, origin: str) -> bytes:
    if len(head) < 12 or struct.unpack("<I", head[8:])[0] != mask_checksum(crc32c(head[:8])):
        raise InputError(f"{origin} is damaged, or the file is no TFRecord: its length does not match its checksum")
    (length,) = struct.unpack("<Q", head[:8])
    raw = file.read(length + 4)
    if len(raw) < length + 4:
        raise InputError(f"{origin} is cut short; download the file again")
    return raw[:-4]


def message_fields(message: bytes) -> Iterator[tuple[int, int | float | bytes]]:
    """The number and value of each field of a message: an int, a double, or the bytes of a string or inner message.

    Raises:
        ValueError: the bytes are no message, or it has groups or 32-bit fields, which NAS-Bench-101 has not.

    >>> list(message_fields(bytes([0x10, 0x96, 0x01, 0x0A, 0x02, 0x68, 0x69])))
    [(2, 150), (1, b'hi')]
    """
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, kind = key >> 3, key & 7
        if kind == 0:
            value, at = _varint(message, at)
            yield number, value
        elif kind == 1:
            yield number, struct.unpack_from("<d", message, at)[0]
            at += 8
        elif kind == 2:
            length, at = _varint(message, at)
            if at + length > len(message):
                raise ValueError(f"field {number} is cut short")
            yield number, message[at : at + length]
            at += length
        else:
            raise ValueError(f"field {number} has wire type {kind}; expected 0, 1 or 2")


def _varint(message: bytes, at: int) -> tuple[int, int]:
    """The number that starts at `at`, seven bits a byte, and where it ends."""
    value = shift = 0
    while at < len(message):
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
    raise ValueError("a number is cut short")
