"""Files of many packets with names, `.lws`: docs/stream.md, docs/format.md section 13.

with open_packet_file("packets.lws") as file:
    latent = codec.decode(file["a.npy"].packet, prior)
"""

from __future__ import annotations

import io
import json
import os
import threading
from array import array
from types import TracebackType
from typing import BinaryIO, Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple, Type, Union

import numpy as np

from .errors import CodecError, refuse_kind
from .frames import Damage, FrameReader, StreamError, check_damaged, read_varint, varint_size
from .packet_record import (
    FILE_MAGIC,
    RECORD_EXTRA,
    TRAILER_BYTES,
    FileRecord,
    Places,
    RecordJudge,
    Trailer,
    format_index,
    format_record,
    name_bytes,
    parse_index,
    parse_record,
    parse_trailer,
)
from .tensor import Buffer, bytes_of

__all__ = [
    "Damage",
    "FileRecord",
    "PacketFile",
    "PacketFileWriter",
    "StreamError",
    "create_packet_file",
    "open_packet_file",
]

_MOST_PACKET = 2**24
_MOST_INDEX = 2**28
#: Bytes that are read at once where many follow one another.
_BATCH = 2**20

#: A path, all bytes of a file, or a binary file that can seek.
PacketSource = Union[str, "os.PathLike[str]", Buffer, BinaryIO]


class _Ranges:
    """Bytes that are read in ranges, from several threads, too."""

    def __init__(self, source: PacketSource) -> None:
        self._owned = isinstance(source, (str, os.PathLike))
        if isinstance(source, (str, os.PathLike)):
            self._file: BinaryIO = open(source, "rb")
        elif isinstance(source, (bytes, bytearray, memoryview, np.ndarray)):
            self._file = io.BytesIO(bytes_of(source, "source").tobytes())
        elif hasattr(source, "seek") and hasattr(source, "read"):
            self._file = source
        else:
            raise TypeError("source must be a path, bytes, or a binary file that can seek")
        self._lock = threading.Lock()
        self.size = self._file.seek(0, os.SEEK_END)

    def read(self, offset: int, length: int) -> bytes:
        """Raises TRUNCATED where the file has become shorter."""
        if self._owned and hasattr(os, "pread"):
            # It has no position that threads, or a process that was forked, could share.
            data = os.pread(self._file.fileno(), length, offset)
            while 0 < len(data) < length:
                more = os.pread(self._file.fileno(), length - len(data), offset + len(data))
                if not more:
                    break
                data += more
        else:
            with self._lock:
                self._file.seek(offset)
                data = self._file.read(length)
        if len(data) != length:
            raise CodecError("TRUNCATED", "the file became shorter while it was read")
        return data

    def close(self) -> None:
        if self._owned:
            self._file.close()


class _Found(NamedTuple):
    """What opening has found."""

    places: Places
    by_name: Dict[str, int]
    state: str
    end: int


class PacketFile:
    """An open packet file: records by number and by name. `open_packet_file` makes it; any thread may read."""

    #: How complete the file is. `indexed`: it has its index. `scanned`: the index is missing or damaged, and all
    #: records are there. `torn`: it ends early; records may be missing behind the last one. `damaged`: records are
    #: missing between others.
    state: str
    #: Byte behind the last record (docs/format.md 13.3).
    end: int

    def __init__(
        self, source: _Ranges, found: _Found, max_record: int, on_damage: Optional[Callable[[Damage], None]]
    ) -> None:
        self._source = source
        self._max_record = max_record
        self._places, self._by_name, self.state, self.end = found
        self._on_damage = on_damage
        numbers = self._places.numbers
        dense = len(numbers) == 0 or numbers[-1] == len(numbers) - 1
        #: None: record i has the number i.
        self._by_number = None if dense else {number: i for i, number in enumerate(numbers)}

    def __repr__(self) -> str:
        return f"<latentwire.packet_file.PacketFile of {len(self)} packets, {self.state}>"

    def __enter__(self) -> PacketFile:
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.close()

    def __len__(self) -> int:
        """Records that there are."""
        return len(self._places.names)

    @property
    def names(self) -> Sequence[str]:
        """Names in the order of the records; empty where a record has none."""
        return self._places.names

    def __contains__(self, key: object) -> bool:
        """Whether there is a record of this number or name."""
        return self._index_of(key) is not None

    def __getitem__(self, key: Union[int, str]) -> FileRecord:
        """The record of this number or name.

        Raises IndexError or KeyError if there is none; StreamError CORRUPTED if it is damaged or not the one that the
        index promises, LIMIT_EXCEEDED if it has more than max_packet_bytes; TRUNCATED if the file became shorter; what
        the file system raises.
        """
        i = self._known(key)
        return self._record(i, self._read(i, i + 1))

    def __iter__(self) -> Iterator[FileRecord]:
        """All records, in the order of the file, a megabyte read at a time.

        Raises as ``file[key]``; with ``damaged="skip"`` a record that is damaged is left out and told to on_damage.
        """
        i = 0
        while i < len(self):
            start, last = self._places.offsets[i], i + 1
            while last < len(self) and self._span(last)[1] - start <= _BATCH:
                last += 1
            data = self._read(i, last)
            for one in range(i, last):
                begin, end = self._span(one)
                try:
                    record = self._record(one, data[begin - start : end - start])
                except StreamError as error:
                    if self._on_damage is None:
                        raise
                    self._on_damage(Damage(begin, end - begin, error.code, str(error)))
                    continue
                yield record
            i = last

    def place_of(self, key: Union[int, str]) -> Tuple[int, int]:
        """Offset and bytes of a record in the file, with its name and check. Nothing is read.

        Raises IndexError or KeyError if there is none.
        """
        start, end = self._span(self._known(key))
        return start, end - start

    def close(self) -> None:
        """Closes a file that was opened by its path."""
        self._source.close()

    def _index_of(self, key: object) -> Optional[int]:
        if isinstance(key, str):
            return self._by_name.get(key)
        if isinstance(key, bool) or not hasattr(key, "__index__"):
            return None
        number = int(key)
        if self._by_number is not None:
            return self._by_number.get(number)
        return number if 0 <= number < len(self) else None

    def _known(self, key: Union[int, str]) -> int:
        i = self._index_of(key)
        if i is None:
            raise (KeyError if isinstance(key, str) else IndexError)(f"the file has no record {key!r}")
        return i

    def _span(self, i: int) -> Tuple[int, int]:
        start, length = self._places.offsets[i], self._places.lengths[i]
        return start, start + varint_size(length) + length

    def _read(self, first: int, last: int) -> bytes:
        """The frames of records [first, last); nothing of a single one that is too long, which `_record` refuses."""
        if last - first == 1 and self._places.lengths[first] > self._max_record:
            return b""
        start = self._places.offsets[first]
        return self._source.read(start, self._span(last - 1)[1] - start)

    def _record(self, i: int, frame: bytes) -> FileRecord:
        """A record from the bytes of its frame."""
        offsets, lengths, numbers, names = self._places
        record, code = None, "CORRUPTED"
        if lengths[i] > self._max_record:
            code, wrong = "LIMIT_EXCEEDED", f"has {lengths[i]} bytes: raise max_packet_bytes"
        else:
            length, head = read_varint(frame, 0, len(frame))
            if length == lengths[i] and len(frame) == head + length:
                record = parse_record(frame[head:])
            wrong = "is damaged" if record is None else "is not the one that the index names"
        if record is None or record.number != numbers[i] or record.name != names[i]:
            called = f"{numbers[i]} ({names[i]})" if names[i] else f"{numbers[i]}"
            raise StreamError(code, f"record {called} {wrong}", offsets[i])
        return record


def open_packet_file(
    source: PacketSource,
    *,
    damaged: str = "fatal",
    on_damage: Optional[Callable[[Damage], None]] = None,
    max_packet_bytes: int = _MOST_PACKET,
    max_index_bytes: int = _MOST_INDEX,
    index: bool = True,
) -> PacketFile:
    """Opens a packet file. Bytes are read when they are needed: the index first, then a range for each record.

    source: a path, bytes, or a binary file that can seek. damaged: ``fatal`` refuses a file that is torn or damaged;
    ``skip`` reads what is whole, tells on_damage of the rest, and needs it. An index that is missing is made by reading
    the file once. index False: the index is not read. max_packet_bytes and max_index_bytes bound what is held.

    Raises NOT_A_PACKET for another file, UNSUPPORTED_VERSION, CORRUPTED for an index that lies, LIMIT_EXCEEDED for one
    of more than max_index_bytes; StreamError TRUNCATED or CORRUPTED for a file that is torn or damaged, unless it is to
    skip; TypeError, ValueError for wrong arguments; what the file system raises.
    """
    check_damaged(damaged, on_damage)
    for name, limit in (("max_packet_bytes", max_packet_bytes), ("max_index_bytes", max_index_bytes)):
        _check_limit(name, limit)
    ranges = _Ranges(source)
    try:
        max_record = max_packet_bytes + RECORD_EXTRA
        found = _find(ranges, on_damage, max_record, max_index_bytes, index)
        return PacketFile(ranges, found, max_record, on_damage)
    except BaseException:
        ranges.close()
        raise


def _check_limit(name: str, limit: int) -> None:
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit < 2**31 - RECORD_EXTRA:
        raise ValueError(f"{name} must be a whole number of bytes from 1 to 2^31 - {RECORD_EXTRA + 1}, not {limit!r}")


def _find(
    source: _Ranges, on_damage: Optional[Callable[[Damage], None]], max_record: int, max_index: int, use_index: bool
) -> _Found:
    """Finds the records of a file."""
    size = source.size
    start = source.read(0, min(TRAILER_BYTES, size))
    magic = start[: len(FILE_MAGIC)]
    if len(magic) == 4 and magic[:3] == FILE_MAGIC[:3] and magic != FILE_MAGIC:
        raise CodecError("UNSUPPORTED_VERSION", f"packet file of version {magic[3]}; this release reads 1")
    # A file that was cut off inside its magic is torn.
    if size == 0 or magic != FILE_MAGIC[: len(magic)]:
        refuse_kind("NOT_A_PACKET", start, "packet file")
    trailer = None
    if size - len(FILE_MAGIC) > TRAILER_BYTES:
        trailer = parse_trailer(source.read(size - TRAILER_BYTES, TRAILER_BYTES), size)
    if trailer and use_index:
        length = size - trailer.start
        if length > max_index:
            raise CodecError("LIMIT_EXCEEDED", f"the index has {length} bytes: raise max_index_bytes")
        places = parse_index(source.read(trailer.start, length), trailer)
        if places:
            return _Found(places, _by_name(places.names), "indexed", trailer.start - 1)
    return _scan(source, trailer, max_record, on_damage)


def _by_name(names: Sequence[str]) -> Dict[str, int]:
    by_name: Dict[str, int] = {}
    for i, name in enumerate(names):
        if name and by_name.setdefault(name, i) != i:
            quoted = json.dumps(name, ensure_ascii=False)
            raise CodecError("CORRUPTED", f"the index has the name {quoted} twice; open it with index=False")
    return by_name


def _scan(
    source: _Ranges, trailer: Optional[Trailer], max_record: int, on_damage: Optional[Callable[[Damage], None]]
) -> _Found:
    """Finds records without the index, docs/format.md 13.3."""
    size = source.size
    offsets, lengths = array("q"), array("q")
    names: List[str] = []
    damages: List[Damage] = []
    judge = RecordJudge()
    end = min(len(FILE_MAGIC), size)
    reader = FrameReader(judge, max_record, damages.append, end)

    def take() -> None:
        nonlocal end
        for data in reader:
            record = judge.found
            assert record is not None
            if record.name:
                judge.by_name[record.name] = len(names)
            offsets.append(reader.at)
            lengths.append(len(data))
            judge.numbers.append(record.number)
            names.append(record.name)
            end = reader.offset

    for at in range(end, size, _BATCH):
        reader.push(source.read(at, min(_BATCH, size - at)))
        take()
    reader.is_last = True
    take()
    reader.finish()

    places = Places(offsets, lengths, judge.numbers, names)
    # What follows the last record: at most the mark that is missing, or damage that reaches to the end.
    between = [damage for damage in damages if damage.offset < end]
    gap = next((i for i, number in enumerate(judge.numbers) if number != i), None)
    complete = _ends_well(source, end, trailer, places)
    state = "damaged" if between or gap is not None else "scanned" if complete else "torn"
    lost = between if complete else damages
    if gap is not None and not between:
        # Records were taken out of the file, and no byte shows it.
        lost.insert(0, Damage(offsets[gap], 0, "CORRUPTED", f"record {gap} is missing"))
    for damage in lost:
        if on_damage is None:
            raise StreamError(
                damage.code, f'the file is {state}: {damage.message}; damaged="skip" reads the rest', damage.offset
            )
        on_damage(damage)
    return _Found(places, judge.by_name, state, end)


def _ends_well(source: _Ranges, end: int, trailer: Optional[Trailer], places: Places) -> bool:
    """Whether what follows the last record says that it is the last."""
    left = source.size - end - 1
    if left < 0 or source.read(end, 1) != b"\0":
        return False
    if trailer and trailer.start == end + 1:
        return True
    # The beginning of the index that these records give.
    index = format_index(places.lengths, places.names)
    return left <= len(index) and source.read(end + 1, left) == index[:left]


class PacketFileWriter:
    """Writes a packet file, one record after the other: `with create_packet_file(path) as writer:`.

    Without `close` the file has no index, and its last record may be torn: a reader finds the others.
    """

    def __init__(self, file: BinaryIO, owned: bool, max_packet_bytes: int) -> None:
        self._file = file
        self._owned = owned
        self._most = max_packet_bytes
        self._names: Dict[str, int] = {}
        self._list: List[str] = []
        self._lengths = array("q")
        self._closed = False
        file.write(FILE_MAGIC)

    def __enter__(self) -> PacketFileWriter:
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.close()

    def __len__(self) -> int:
        """Records so far."""
        return len(self._list)

    def __contains__(self, name: object) -> bool:
        """Whether a record has this name."""
        return name in self._names

    def add(self, packet: Buffer, name: str = "") -> int:
        """Adds a packet, any bytes, and returns its number.

        name: at most 1,024 bytes as UTF-8; no two records have the same. Raises ValueError for a name that is there
        already, too long or no Unicode text; LIMIT_EXCEEDED for a packet of more than max_packet_bytes; what the file
        system raises.
        """
        if self._closed:
            raise TypeError("the writer is closed")
        data = bytes_of(packet, "packet").tobytes()
        if len(data) > self._most:
            raise CodecError(
                "LIMIT_EXCEEDED",
                f"a packet of {len(data)} bytes: raise max_packet_bytes ({self._most}) here and where the file is read",
            )
        encoded = name_bytes(name)
        if name in self._names:
            raise ValueError(f"the file already has a record {name!r}")
        number = len(self._list)
        frame = format_record(number, encoded, data)
        self._file.write(frame)
        if name:
            self._names[name] = number
        self._list.append(name)
        self._lengths.append(read_varint(frame, 0, len(frame))[0])
        return number

    def close(self) -> None:
        """Writes the index, and closes a file that was opened by its path. A second call does nothing."""
        if self._closed:
            return
        self._closed = True
        try:
            self._file.write(b"\0" + format_index(self._lengths, self._list))
            self._file.flush()
        finally:
            if self._owned:
                self._file.close()


def create_packet_file(
    target: Union[str, "os.PathLike[str]", BinaryIO], *, max_packet_bytes: int = _MOST_PACKET
) -> PacketFileWriter:
    """Begins a packet file.

    target: a path, where no file may be yet; or a binary file. Raises ValueError for a wrong limit; what the file
    system raises, such as FileExistsError.
    """
    _check_limit("max_packet_bytes", max_packet_bytes)
    owned = isinstance(target, (str, os.PathLike))
    return PacketFileWriter(open(target, "xb") if owned else target, owned, max_packet_bytes)  # type: ignore
