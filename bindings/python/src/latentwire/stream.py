"""Packets over any stream of bytes: docs/format.md section 12, docs/stream.md.

for packet in read_packets(file, codec):
    latent = codec.decode(packet, prior)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, Callable, Iterable, Iterator, Optional, Union

from .errors import CodecError, kind_of
from .frames import Damage, FrameReader, StreamError, check_damaged
from .latentwire_bundle import varint

if TYPE_CHECKING:
    from .codec import Codec

__all__ = ["Damage", "StreamError", "read_packets", "write_packets"]

_MOST_BYTES = 2**24
_CHUNK = 2**16


class _PacketJudge:
    """The magic and the checksum of full packets, as the codec knows them."""

    #: docs/format.md 2.1
    first = 0x6C
    otherwise = "no full packet begins here: damage, or a compact packet, which is read without a codec"
    refused = "a packet is damaged, of another version or without a checksum"

    def __init__(self, codec: Codec) -> None:
        self._codec = codec

    def kind(self, data: bytes) -> Optional[str]:
        return kind_of(data)

    def front(self, data: bytes, total: int) -> Optional[str]:
        return self._codec.judge(data, total)

    def whole(self, data: bytes) -> Optional[str]:
        return self._codec.judge(data)


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
        yield varint(len(packet)) + packet
    yield b"\0"


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
    if damaged == "skip" and codec is None:
        raise TypeError('damaged="skip" needs a codec: only full packets can be found again behind damage')
    check_damaged(damaged, on_damage)
    judge = None if codec is None else _PacketJudge(codec)
    return _packets(source, FrameReader(judge, _check_limit(max_packet_bytes), on_damage))


def _packets(source: Union[BinaryIO, Iterable[bytes]], reader: FrameReader) -> Iterator[bytes]:
    read = getattr(source, "read", None)
    chunks = iter(lambda: read(_CHUNK), b"") if read else source
    for chunk in chunks:
        reader.push(chunk)
        yield from reader
    reader.is_last = True
    yield from reader
    reader.finish()
