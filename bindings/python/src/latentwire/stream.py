"""Packets over any stream of bytes: docs/format.md section 12, docs/stream.md.

for packet in read_packets(file, codec):
    latent = codec.decode(packet, prior)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Callable, Iterable, Iterator, Optional, Tuple, Union, cast

from .errors import CodecError, kind_of

if TYPE_CHECKING:
    from .codec import Codec

__all__ = ["Damage", "StreamError", "read_packets", "write_packets"]

_MOST_BYTES = 2**24
_FRONT = 64
#: The check of a false frame costs its length. So many bytes of such checks are allowed for each byte that came in.
_WORK = 64
_FREE_WORK = 2**20
_CHUNK = 2**16
#: The first byte of a full packet, docs/format.md 2.1.
_FIRST = 0x6C
_AGAIN, _BAD = -1, -2


class StreamError(CodecError):
    """A CodecError with the byte (``offset``) of the stream at which the faulty frame begins."""

    offset: int

    def __init__(self, code: str, message: str, offset: int) -> None:
        super().__init__(code, f"{message} (byte {offset})")
        self.offset = offset
        self._message = message

    def __reduce__(self) -> Tuple[type, Tuple[str, str, int]]:  # type: ignore[override]
        return StreamError, (self.code, self._message, self.offset)


@dataclass(frozen=True)
class Damage:
    """What a reader has lost."""

    #: Where it begins: bytes from the beginning of the stream.
    offset: int
    #: Bytes up to the next good frame. 0: the end mark alone is missing.
    bytes: int
    code: str
    message: str


def _check_limit(limit: int) -> int:
    if isinstance(limit, int) and 1 <= limit < 2**31:
        return limit
    raise ValueError(f"max_packet_bytes must be a whole number from 1 to 2^31 - 1, not {limit!r}")


def write_packets(
    packets: Iterable[bytes], codec: Optional[Codec] = None, *, max_packet_bytes: int = _MOST_BYTES
) -> Iterator[bytes]:
    """The bytes of a stream: a chunk for each packet, then the end mark.

    codec: judges every packet, which must be a full one with its checksum; None: packets may be anything. Give it at
    both ends or at none. Raises ValueError for an empty packet or one without a checksum, LIMIT_EXCEEDED for one of
    more than max_packet_bytes, and with a codec NOT_A_PACKET and CORRUPTED.
    """
    most = _check_limit(max_packet_bytes)
    return _frames(packets, codec, most)


def _frames(packets: Iterable[bytes], codec: Optional[Codec], most: int) -> Iterator[bytes]:
    for i, given in enumerate(packets):
        packet = bytes(memoryview(given))
        if not packet:
            raise ValueError(f"packet {i} is empty: a length of 0 ends the stream")
        if len(packet) > most:
            raise CodecError(
                "LIMIT_EXCEEDED",
                f"packet {i} has {len(packet)} bytes: raise max_packet_bytes ({most}) at both ends",
            )
        checksum = "valid" if codec is None else codec.inspect(packet).checksum
        if checksum == "absent":
            raise ValueError(f"packet {i} has no checksum: encode it with one, or give no codec at both ends")
        if checksum == "invalid":
            raise CodecError("CORRUPTED", f"packet {i} is damaged: wrong checksum")
        yield _varint(len(packet)) + packet
    yield b"\0"


def _varint(value: int) -> bytes:
    out = bytearray()
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def read_packets(
    source: Union[BinaryIO, Iterable[bytes]],
    codec: Optional[Codec] = None,
    *,
    damaged: str = "fatal",
    on_damage: Optional[Callable[[Damage], None]] = None,
    max_packet_bytes: int = _MOST_BYTES,
) -> Iterator[bytes]:
    """Packets of a stream, one after the other.

    source: a binary file or another object with ``read``, or chunks of any size. At most one packet and a chunk are
    held. codec: judges every packet, which must be a full one with its checksum; None: packets may be anything.
    damaged: ``fatal`` raises a StreamError for the first fault; ``skip`` goes on with the next good packet, tells
    on_damage what is lost, and needs both. Raises StreamError NOT_A_PACKET, UNSUPPORTED_VERSION, CORRUPTED, TRUNCATED
    where the stream ends inside a packet or without its end mark, LIMIT_EXCEEDED for a packet of more than
    max_packet_bytes, or if with ``skip`` a stream is made to take time. TypeError, ValueError for wrong arguments.
    """
    if damaged not in ("fatal", "skip"):
        raise ValueError(f'damaged must be "fatal" or "skip", not {damaged!r}')
    if damaged == "skip" and codec is None:
        raise TypeError('damaged="skip" needs a codec: only full packets can be found again behind damage')
    if (damaged == "skip") != callable(on_damage):
        raise TypeError('damaged="skip" and the function on_damage belong together: it is told what is lost')
    reader = _Reader(codec, _check_limit(max_packet_bytes), on_damage)
    return _packets(source, reader)


def _packets(source: Union[BinaryIO, Iterable[bytes]], reader: _Reader) -> Iterator[bytes]:
    read = getattr(source, "read", None)
    chunks = iter(lambda: read(_CHUNK), b"") if read else cast(Iterable[bytes], source)
    for chunk in chunks:
        reader.push(chunk)
        yield from reader
    reader.is_last = True
    yield from reader
    reader.finish()


class _Reader:
    """Takes chunks, gives packets. bindings/frames.ts is the same in JavaScript."""

    def __init__(
        self, codec: Optional[Codec], max_bytes: int, on_damage: Optional[Callable[[Damage], None]]
    ) -> None:
        self._codec = codec
        self._max_bytes = max_bytes
        self._on_damage = on_damage
        #: What is held; _at of it have been looked at. Taking bytes away at its beginning moves nothing.
        self._held = bytearray()
        self._at = 0
        self._base = 0
        self._need = 1
        self.is_last = False
        self._end_mark: Optional[int] = None
        self._lost: Optional[Tuple[int, str, str]] = None
        self._fault = ("", "")
        self._received = 0
        self._refused = 0

    def push(self, chunk: bytes) -> None:
        del self._held[: self._at]
        self._base += self._at
        self._at = 0
        self._held += chunk
        self._received += len(chunk)

    def __iter__(self) -> Iterator[bytes]:
        while True:
            left = len(self._held) - self._at
            if left == 0 or (left < self._need and not self.is_last):
                return
            if self._end_mark is not None:
                self._lose("CORRUPTED", "bytes follow the end of the stream", self._end_mark)
                self._end_mark = None
            head, length = self._look(left)
            if length == _AGAIN:
                return
            if length > 0:
                self._report()
                begin = self._at + head
                self._skip(head + length)
                yield bytes(self._held[begin : begin + length])
            elif length == 0:
                self._end_mark = self._base + self._at
                self._skip(1)
            else:
                self._lose(*self._fault, self._base + self._at)
                self._skip(1)
                self._hurry()

    def finish(self) -> None:
        if self._lost or self._end_mark is not None:
            self._report()
            return
        message = "the end mark is missing: whoever wrote this stopped early"
        offset = self._base + self._at
        if self._on_damage is None:
            raise StreamError("TRUNCATED", message, offset)
        self._on_damage(Damage(offset, 0, "TRUNCATED", message))

    def _skip(self, count: int) -> None:
        self._at += count
        self._need = 1

    def _hurry(self) -> None:
        """Goes to where the next good frame may begin: at most five bytes before the first byte of a packet."""
        found = self._held.find(_FIRST, self._at + 1)
        last = len(self._held) if found < 0 else found
        self._at = max(self._at, last - 5)

    def _look(self, left: int) -> Tuple[int, int]:
        """The bytes of the length of the frame here, and the length; 0: end mark; _AGAIN; or _BAD with _fault."""
        length = head = 0
        while True:
            if head == left:
                return self._missing(head + 1)
            byte = self._held[self._at + head]
            length |= (byte & 127) << 7 * head
            head += 1
            if byte < 128:
                break
            if head == 5:
                return self._bad("CORRUPTED", "a length has more than five bytes")
        if byte == 0 and head > 1:
            return self._bad("CORRUPTED", "a length is not written in the shortest way")
        if length == 0:
            return self._bad("CORRUPTED", "") if self._lost else (0, 0)
        if length > self._max_bytes:
            return self._bad("LIMIT_EXCEEDED", f"a frame of {length} bytes; at most {self._max_bytes} are allowed")
        begin = self._at + head
        codec = self._codec
        if codec is not None:
            if left == head:
                return self._missing(head + 1)
            if self._held[begin] != _FIRST:
                # Another kind of file has its magic at the beginning.
                kind = kind_of(bytes(self._held[self._at : self._at + 16])) if self._base + self._at == 0 else None
                return self._bad(
                    "NOT_A_PACKET",
                    f"the input is {kind}"
                    if kind
                    else "no full packet begins here: damage, or a compact packet, which is read without a codec",
                )
            front = min(length, _FRONT)
            if left < head + front:
                return self._missing(head + front)
            if length > _FRONT:
                code = codec.judge(bytes(self._held[begin : begin + _FRONT]), length)
                if code is not None:
                    return self._refuse(code, _FRONT)
        if left < head + length:
            return self._missing(head + length)
        if codec is not None:
            code = codec.judge(bytes(self._held[begin : begin + length]))
            if code is not None:
                return self._refuse(code, length)
        return head, length

    def _missing(self, need: int) -> Tuple[int, int]:
        self._need = need
        return self._bad("TRUNCATED", "the stream ends inside a frame") if self.is_last else (0, _AGAIN)

    def _bad(self, code: str, message: str) -> Tuple[int, int]:
        self._fault = (code, message)
        return 0, _BAD

    def _refuse(self, code: str, count: int) -> Tuple[int, int]:
        self._refused += count
        if self._refused > _FREE_WORK + _WORK * self._received:
            raise StreamError(
                "LIMIT_EXCEEDED",
                f"more than {_WORK} bytes of false frames for each byte: this is made to take time, not damaged by"
                " accident",
                self._base + self._at,
            )
        return self._bad(code, "a packet is damaged, of another version or without a checksum")

    def _lose(self, code: str, message: str, offset: int) -> None:
        if self._lost:
            return
        if self._on_damage is None:
            raise StreamError(code, message, offset)
        self._lost = (offset, code, message)

    def _report(self) -> None:
        if self._lost and self._on_damage:
            offset, code, message = self._lost
            self._on_damage(Damage(offset, self._base + self._at - offset, code, message))
        self._lost = None
