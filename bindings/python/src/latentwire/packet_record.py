"""The bytes of a packet file, docs/format.md section 13: its records and its index.

Every field is checked before it is used.
"""

from __future__ import annotations

import struct
from array import array
from typing import Dict, List, NamedTuple, NoReturn, Optional, Sequence, Tuple

from .errors import CodecError
from .frames import read_varint, varint_size
from .latentwire_bundle import varint, xxh32

#: The first bytes of a file, the version among them.
FILE_MAGIC = b"LWS\x01"
#: Most bytes of a name.
MOST_NAME = 1024
#: Most bytes of a record beside its packet.
RECORD_EXTRA = 2 + 5 + 2 + MOST_NAME + 4
TRAILER_BYTES = 16
_RECORD_MAGIC = b"LR"
_TRAILER_MAGIC = b"LWSI"
_CHECK = 4
#: The shortest frame of a record.
_LEAST_FRAME = 9


class FileRecord(NamedTuple):
    """A packet of a file."""

    number: int
    #: Empty where it has none.
    name: str
    packet: bytes


class Places(NamedTuple):
    """Where the records of a file are."""

    #: Byte at which each frame begins, ascending.
    offsets: Sequence[int]
    #: Bytes of each record, without the length of its frame.
    lengths: Sequence[int]
    #: Ascending.
    numbers: Sequence[int]
    names: Sequence[str]


class Trailer(NamedTuple):
    """What the last 16 bytes of a file say."""

    #: Byte at which the index begins, behind the end mark.
    start: int
    entries: int


def _text(data: bytes) -> Optional[str]:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


# ---- records


def format_record(number: int, name: bytes, packet: bytes) -> bytes:
    """A record as a frame."""
    record = b"".join((_RECORD_MAGIC, varint(number), varint(len(name)), name, packet))
    return b"".join((varint(len(record) + _CHECK), record, struct.pack("<I", xxh32(record))))


def _head(data: bytes, total: int) -> Optional[Tuple[int, int, int]]:
    """The number, and where name and packet begin, of a record of `total` bytes, of which the first are there.

    None: it is no record.
    """
    if data[:2] != _RECORD_MAGIC:
        return None
    number, at = read_varint(data, 2, len(data))
    length, name_at = read_varint(data, at, len(data)) if number >= 0 else (-1, at)
    packet_at = name_at + length
    if not (0 <= length <= MOST_NAME and number < 2**31 and packet_at + _CHECK <= total):
        return None
    return number, name_at, packet_at


def parse_record(data: bytes) -> Optional[FileRecord]:
    """What a frame holds, or None where that is no record, or a damaged one."""
    head = _head(data, len(data))
    end = len(data) - _CHECK
    if head is None or struct.unpack_from("<I", data, end)[0] != xxh32(data[:end]):
        return None
    number, name_at, packet_at = head
    name = _text(data[name_at:packet_at])
    return None if name is None else FileRecord(number, name, data[packet_at:end])


class RecordJudge:
    """What frames of a file must hold, for a scan. A record that comes a second time is none."""

    first = _RECORD_MAGIC[0]
    otherwise = "no record begins here"
    refused = "a record is damaged"

    def __init__(self) -> None:
        #: Of the records so far: their numbers, and each name with its place in the list.
        self.numbers = array("q")
        self.by_name: Dict[str, int] = {}
        #: The record that was found last.
        self.found: Optional[FileRecord] = None

    def kind(self, data: bytes) -> Optional[str]:
        return None

    def front(self, data: bytes, total: int) -> Optional[str]:
        return None if _head(data, total) else "CORRUPTED"

    def whole(self, data: bytes) -> Optional[str]:
        self.found = found = parse_record(data)
        last = self.numbers[-1] if self.numbers else -1
        return None if found and found.number > last and found.name not in self.by_name else "CORRUPTED"


# ---- the index


def format_index(lengths: Sequence[int], names: Sequence[str]) -> bytes:
    """The index and the trailer for records whose numbers are 0, 1, 2 and so on."""
    out = bytearray()
    for length, name in zip(lengths, names):
        encoded = name.encode()
        out += varint(length) + varint(len(encoded)) + encoded
    if len(out) >= 2**32:
        raise ValueError("the names of the file have more than 4 GB")
    out += struct.pack("<II", len(out), len(names))
    return bytes(out) + struct.pack("<I", xxh32(out)) + _TRAILER_MAGIC


def parse_trailer(data: bytes, file_bytes: int) -> Optional[Trailer]:
    """The trailer of a file of so many bytes; None: there is none."""
    if len(data) != TRAILER_BYTES or data[12:] != _TRAILER_MAGIC:
        return None
    length, count = struct.unpack_from("<II", data)
    start = file_bytes - TRAILER_BYTES - length
    # Not more records than fit before it.
    fits = start > len(FILE_MAGIC) and count * _LEAST_FRAME <= start - len(FILE_MAGIC) - 1
    return Trailer(start, count) if fits else None


def _lies(message: str) -> NoReturn:
    raise CodecError("CORRUPTED", f"the index contradicts the file: {message}; open it with index=False")


def parse_index(data: bytes, trailer: Trailer) -> Optional[Places]:
    """Reads the index and the trailer, which lie from `trailer.start` to the end of the file.

    None: their check does not fit. Raises CORRUPTED for an index that breaks the rules under a check that fits.
    """
    end = len(data) - TRAILER_BYTES
    if xxh32(data[: end + 8]) != struct.unpack_from("<I", data, end + 8)[0]:
        return None
    offsets, lengths = array("q"), array("q")
    names: List[str] = []
    at, offset = 0, len(FILE_MAGIC)
    for i in range(trailer.entries):
        length, at = read_varint(data, at, end)
        size, at = read_varint(data, at, end)
        at += size
        if not (_LEAST_FRAME - 1 <= length < 2**31 and 0 <= size <= MOST_NAME and at <= end):
            _lies(f"entry {i} is none")
        name = _text(data[at - size : at])
        if name is None:
            _lies(f"the name of record {i} is no UTF-8")
        offsets.append(offset)
        lengths.append(length)
        names.append(name)
        offset += varint_size(length) + length
    if at != end or offset != trailer.start - 1:
        _lies("its records do not fill the file")
    return Places(offsets, lengths, range(trailer.entries), names)


def name_bytes(name: str) -> bytes:
    """A name as bytes. Raises ValueError for one that a file cannot hold, TypeError for what is no text."""
    if not isinstance(name, str):
        raise TypeError(f"name must be a str, not {type(name).__name__}")
    try:
        encoded = name.encode()
    except UnicodeEncodeError:
        raise ValueError(f"the name {name!r} is no Unicode text") from None
    if len(encoded) > MOST_NAME:
        raise ValueError(f'the name "{name[:40]}.." has {len(encoded)} bytes; {MOST_NAME} are the most')
    return encoded
