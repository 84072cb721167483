"""Frames: a length, then so many bytes (docs/format.md section 12).

They are found in chunks of any size and, where somebody can judge what is in them, also behind damage.
bindings/frames.ts is the same in JavaScript.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Iterator, Optional, Protocol, Tuple, cast

from .errors import CodecError

_FRONT = 64
#: The check of a false frame costs its length. So many bytes of such checks are allowed for each byte that came in.
_WORK = 64
_FREE_WORK = 2**20
_AGAIN, _BAD = -1, -2
_LONG = "a length has more than five bytes, or is not written in the shortest way"


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


class Judge(Protocol):
    """Says whether the bytes of a frame are what the stream should hold."""

    #: The first byte of what a frame holds. What begins otherwise is not shown to the judge.
    first: int
    #: What a fault is called: another first byte, or what the judge refuses.
    otherwise: str
    refused: str

    def kind(self, data: bytes) -> Optional[str]:
        """What the first bytes of a stream that begins otherwise are, where that is known."""

    def front(self, data: bytes, total: int) -> Optional[str]:
        """The code of what is wrong with the first 64 bytes of more."""

    def whole(self, data: bytes) -> Optional[str]:
        """The code of what is wrong with all bytes of a frame."""


def check_damaged(damaged: str, on_damage: object) -> None:
    """Checks the options of every reader that can go on behind damage. Raises ValueError, TypeError."""
    if damaged not in ("fatal", "skip"):
        raise ValueError(f'damaged must be "fatal" or "skip", not {damaged!r}')
    if (damaged == "skip") != callable(on_damage):
        raise TypeError('damaged="skip" and the function on_damage belong together: it is told what is lost')


def varint_size(value: int) -> int:
    """Bytes of a number as a varint."""
    return max(1, (value.bit_length() + 6) // 7)


def read_varint(data: bytes, at: int, end: int) -> Tuple[int, int]:
    """The varint at ``at``, which is minimal and ends before ``end``, and where it ends. (-1, at): there is none."""
    value = 0
    for i in range(at, min(at + 5, end)):
        value |= (data[i] & 127) << 7 * (i - at)
        if data[i] < 128:
            return (value, i + 1) if data[i] or i == at else (-1, at)
    return -1, at


class FrameReader:
    """Takes chunks, gives what frames hold. It holds one frame and a chunk at most."""

    def __init__(
        self,
        judge: Optional[Judge],
        max_bytes: int,
        on_damage: Optional[Callable[[Damage], None]],
        offset: int = 0,
    ) -> None:
        """judge: None where a frame holds any bytes. on_damage: None raises a fault. offset: of the first byte."""
        self._judge = judge
        self._max_bytes = max_bytes
        self._on_damage = on_damage
        #: What is held; _at of it have been looked at. Taking bytes away at its beginning moves nothing.
        self._held = bytearray()
        self._at = 0
        self._base = offset
        #: Where the last frame begins.
        self.at = offset
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
                self.at = self.offset
                begin = self._at + head
                self._skip(head + length)
                yield bytes(self._held[begin : begin + length])
            elif length == 0:
                self._end_mark = self.offset
                self._skip(1)
            else:
                self._lose(*self._fault, self.offset)
                self._skip(1)
                self._hurry()

    @property
    def offset(self) -> int:
        """Of the byte that is looked at next."""
        return self._base + self._at

    def finish(self) -> None:
        if self._lost or self._end_mark is not None:
            self._report()
            return
        message = "the end mark is missing: whoever wrote this stopped early"
        offset = self.offset
        if self._on_damage is None:
            raise StreamError("TRUNCATED", message, offset)
        self._on_damage(Damage(offset, 0, "TRUNCATED", message))

    def _skip(self, count: int) -> None:
        self._at += count
        self._need = 1

    def _hurry(self) -> None:
        """Goes to where the next good frame may begin: at most five bytes before the first byte of a packet."""
        found = self._held.find(cast(Judge, self._judge).first, self._at + 1)
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
                return self._bad("CORRUPTED", _LONG)
        if byte == 0 and head > 1:
            return self._bad("CORRUPTED", _LONG)
        if length == 0:
            return self._bad("CORRUPTED", "") if self._lost else (0, 0)
        if length > self._max_bytes:
            return self._bad("LIMIT_EXCEEDED", f"a frame of {length} bytes; at most {self._max_bytes} are allowed")
        begin = self._at + head
        judge = self._judge
        if judge is not None:
            if left == head:
                return self._missing(head + 1)
            if self._held[begin] != judge.first:
                kind = judge.kind(bytes(self._held[self._at : self._at + 16])) if self.offset == 0 else None
                return self._bad("NOT_A_PACKET", f"the input is {kind}" if kind else judge.otherwise)
            front = min(length, _FRONT)
            if left < head + front:
                return self._missing(head + front)
            if length > _FRONT:
                code = judge.front(bytes(self._held[begin : begin + _FRONT]), length)
                if code is not None:
                    return self._refuse(code, _FRONT)
        if left < head + length:
            return self._missing(head + length)
        if judge is not None:
            code = judge.whole(bytes(self._held[begin : begin + length]))
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
                self.offset,
            )
        return self._bad(code, cast(Judge, self._judge).refused)

    def _lose(self, code: str, message: str, offset: int) -> None:
        if self._lost:
            return
        if self._on_damage is None:
            raise StreamError(code, message, offset)
        self._lost = (offset, code, message)

    def _report(self) -> None:
        if self._lost and self._on_damage:
            offset, code, message = self._lost
            self._on_damage(Damage(offset, self.offset - offset, code, message))
        self._lost = None
