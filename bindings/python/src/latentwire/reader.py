"""Reads the parts of a packet (docs/format.md section 8), or CompressAI's strings, in the order in which they were
written.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType
from typing import Any, Callable, List, Optional, Sequence, Tuple, Type, TypeVar, Union

import numpy as np
import numpy.typing as npt

from . import abi
from .elements import Affine, Target, core_of, type_name
from .errors import CodecError, refuse_kind
from .memory import PIECE, Memory
from .options import check_limit
from .prior import Prior, Source, fill_part, place_parameters
from .tables import TableSource
from .tensor import Array, Buffer, bytes_of, check_shape, mismatch, own_shape, shape_text
from .writer import Held, SequenceSource, Step, step_arrays

R = TypeVar("R")
Bytes = npt.NDArray[np.uint8]

#: A packet of more bytes than this is judged before it is copied, if memory would have to grow for it.
_COPIED_UNSEEN = 65536
#: Bytes that say how long a packet may be (docs/format.md 2.6). A piece may have so many.
_FRONT = 64
#: Most shapes, and most static parts, that are listed. No model has so many, and the list would take sixty times the
#: memory of the packet.
_MAX_LISTED = 65536


def open_packet(
    memory: Memory,
    packet: Bytes,
    form: Tuple[int, int],
    limits: Tuple[float, float],
    kept: bool,
    count: Optional[int] = None,
) -> int:
    """Copies a packet into Wasm memory and reads its header.

    Returns the reader's address, with `kept` until freeReader.

    form: FORM_* and the bytes of the check. limits: most elements, and most under a context. count: the number of
    symbols, if the caller knows it. Raises what is wrong with the packet, and ValueError for limits.
    """
    limit = check_limit("max_elements", limits[0])
    context_limit = check_limit("max_context_elements", limits[1])
    most = limit if form[0] == abi.FORM_FULL or count is None else min(limit, count)
    _judge(memory, packet, form[0], most, kept)
    return _load(memory, packet, form, limit, context_limit, kept, False)


def _judge(memory: Memory, packet: Bytes, form: int, limit: int, kept: bool, inspect: bool = False) -> None:
    """Raises what is wrong with a large packet, as far as its check and its front say so.

    For `inspect`, which wants to know more than that, only whether it begins like a packet.
    """
    length = packet.size
    # A block may have twice the bytes.
    if length <= _COPIED_UNSEEN or not memory.grows_for(2 * length if kept else length):
        return
    code = _judge_pieces(memory, packet[:_FRONT] if inspect else packet, length, form, limit)
    if not inspect or code not in (abi.AGAIN, abi.CORRUPTED):
        _check_packet(memory, packet, code)


def _check_packet(memory: Memory, packet: Bytes, code: int) -> None:
    """Raises what a code says of a packet; of what is none, what it is instead."""
    if code == abi.NOT_A_PACKET:
        refuse_kind("NOT_A_PACKET", packet[:16].tobytes(), "packet")
    memory.check(code)


def _judge_pieces(memory: Memory, packet: Bytes, length: int, form: int, limit: int) -> int:
    """Judges the bytes that are there of a packet of `length` bytes.

    AGAIN: nothing is wrong with them, and more follow.
    """
    at = memory.wasm.pieceAddress()
    code, begin = abi.AGAIN, 0
    while code == abi.AGAIN and begin < packet.size:
        # The last piece has at least 16 bytes.
        end = packet.size if packet.size - begin <= PIECE else begin + PIECE - _FRONT
        memory.place(packet[begin:end], at)
        code = memory.wasm.judgePacket(end - begin, begin, length, form, limit)
        begin = end
    return code


def judge_full(memory: Memory, packet: Bytes, total_bytes: Optional[int]) -> Optional[str]:
    """`codec.judge`."""
    total = packet.size if total_bytes is None else total_bytes
    whole = packet.size == total
    if packet.size < _FRONT if packet.size < total else not whole:
        raise ValueError("judge takes all bytes, or the first 64")
    memory.set_word(memory.wasm.faultAddress(), 12, abi.OK)
    code = _judge_pieces(memory, packet if whole else packet[:_FRONT], total, abi.FORM_FULL, 0xFFFFFFFF)
    # A fault of the front is noted at once, though it is returned behind the check.
    fault = memory.fault_code if code == abi.AGAIN else code
    if fault:
        return abi.CODES[fault]
    return None if packet.size > 1 and packet[1] & abi.HAS_CHECK else "CORRUPTED"


def _load(
    memory: Memory, packet: Bytes, form: Tuple[int, int], limit: int, context_limit: int, kept: bool, inspect: bool
) -> int:
    wasm = memory.wasm
    reader = memory.address(wasm.newReader(packet.size, int(kept)))
    memory.set_word(reader, abi.READER_FORM, form[0])
    memory.set_word(reader, abi.READER_CHECK, form[1])
    memory.set_word(reader, abi.READER_LIMIT, limit)
    memory.set_word(reader, abi.READER_INSPECT, int(inspect))
    memory.set_word(reader, abi.READER_CONTEXT_LIMIT, context_limit)
    memory.place(packet, memory.word(reader, abi.READER_START))
    code = wasm.openReader(reader)
    if code != 0 and kept:
        wasm.freeReader(reader)
    _check_packet(memory, packet, code)
    return reader


@dataclass(frozen=True)
class PacketInfo:
    """What `codec.inspect` reads from a packet without its priors."""

    version: int
    #: Number of parts; `encode` writes one.
    parts: int
    #: Shape of the only part; None with several.
    shape: Optional[Tuple[int, ...]]
    #: The shape of the only part. Of several parts: the shapes of the factorized ones, in order.
    shapes: Tuple[Tuple[int, ...], ...]
    #: Symbols of all parts.
    elements: int
    #: `native` or `compressai`.
    stream: str
    lanes: int
    escapes: bool
    #: Number of scales (or parameters of mixtures) that the packet lists because of a guard.
    corrections: int
    index_checks: bool
    #: Numbers, from 0, of the parts that have a context prior and do not use it: the static rows needed fewer bits.
    static_parts: Tuple[int, ...]
    #: 8 hex digits that identify the priors of all parts; None if the packet has none.
    fingerprint: Optional[str]
    #: `valid`, `invalid` or `absent`.
    checksum: str
    header_bytes: int
    stream_bytes: int
    total_bytes: int


def inspect_packet(memory: Memory, packet: Bytes) -> PacketInfo:
    """What a full packet says about itself. Raises what makes its header unreadable."""
    size = memory.size
    try:
        _judge(memory, packet, abi.FORM_FULL, 0xFFFFFFFF, False, True)
        return _info(memory, packet)
    finally:
        # A large packet is not kept in memory only because somebody looked at it.
        memory.trim(size)


def _info(memory: Memory, packet: Bytes) -> PacketInfo:
    reader = _load(memory, packet, (abi.FORM_FULL, 4), 0, 0, False, True)

    def word(field: int) -> int:
        return memory.word(reader, field)

    def stored() -> Tuple[int, ...]:
        return memory.words(reader, abi.READER_DIMS, word(abi.READER_RANK))

    shapes: List[Tuple[int, ...]] = []
    several = word(abi.READER_SEVERAL) == 1
    if several:
        memory.wasm.nextShape(reader)
        while word(abi.READER_RANK) > 0:
            _check_listed(len(shapes))
            shapes.append(stored())
            memory.wasm.nextShape(reader)
    else:
        shapes.append(stored())
    parts, flags = word(abi.READER_PARTS), word(abi.READER_STATIC)
    static_parts: Array = np.empty(0, np.int64)
    if flags:
        bits = np.unpackbits(memory.view(flags, (parts + 7) // 8, "uint8"), bitorder="little")
        static_parts = bits[:parts].nonzero()[0]
        _check_listed(static_parts.size - 1)
    state = word(abi.READER_CHECK_STATE)
    return PacketInfo(
        version=1,
        parts=parts,
        shape=None if several else shapes[0],
        shapes=tuple(shapes),
        elements=word(abi.READER_COUNT),
        stream="compressai" if word(abi.READER_COMPRESSAI) else "native",
        lanes=word(abi.READER_LANES),
        escapes=word(abi.READER_ESCAPE_BYTES) > 0,
        corrections=word(abi.READER_CORRECTIONS),
        index_checks=word(abi.READER_CHECKED) == 1,
        static_parts=tuple(static_parts.tolist()),
        fingerprint=f"{word(abi.READER_FINGERPRINT):08x}" if word(abi.READER_FINGERPRINTED) else None,
        checksum=("absent", "valid", "invalid")[state],
        header_bytes=word(abi.READER_HEADER_BYTES),
        stream_bytes=packet.size - word(abi.READER_HEADER_BYTES) - (4 if state else 0),
        total_bytes=packet.size,
    )


def _check_listed(count: int) -> None:
    if count >= _MAX_LISTED:
        raise CodecError("LIMIT_EXCEEDED", f"more than {_MAX_LISTED} shapes")


def read_elements(memory: Memory, reader: int, source: Source, flat: Array) -> None:
    """Reads the elements of a part that has begun, in chunks."""
    wasm, part = memory.wasm, memory.part
    n, dtype = flat.size, flat.dtype.name
    chunk = max(n, 1) if memory.word(reader, abi.READER_CHECKED) else source.chunk(n)
    memory.check(wasm.stageRead(reader, part, min(chunk, n), 0))
    for begin in range(0, n, chunk):
        end = min(begin + chunk, n)
        place_parameters(memory, part, source, begin, end)
        memory.check(wasm.readPart(reader, part, end - begin), dtype)
        flat[begin:end] = memory.view(memory.word(part, abi.PART_AT_ELEMENTS), end - begin, dtype)


class PartReader:
    """Reads the parts of a packet, in the order in which they were written.

    After an error it is closed; the codec stays usable.
    """

    def __init__(
        self,
        memory: Memory,
        packet: Union[Buffer, Sequence[Buffer]],
        form: Tuple[int, int],
        limits: Tuple[float, float],
        sequence_source: SequenceSource,
    ) -> None:
        self._memory = memory
        self._form = form
        self._limits = limits
        self._sequence_source = sequence_source
        self._address = 0
        self._held: Optional[Held] = None
        self._closed = False
        self._part = 0
        self._sequence: Optional[SequenceReader] = None
        #: None if it is a packet.
        self._strings: Optional[List[Bytes]] = None
        if isinstance(packet, (list, tuple)):
            self._strings = [bytes_of(string, f"strings[{i}]") for i, string in enumerate(packet)]
        else:
            self._open(bytes_of(packet, "packet"), form)

    def __enter__(self) -> PartReader:
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.close()

    def _open(self, packet: Bytes, form: Tuple[int, int]) -> None:
        self._address = open_packet(self._memory, packet, form, self._limits, True)
        self._held = Held(self, self._memory, "freeReader", self._address)

    def _next_string(self) -> None:
        """Each string is a packet of its own."""
        if self._strings is None:
            return
        if self._part >= len(self._strings):
            raise CodecError("TRUNCATED", f"there are {len(self._strings)} strings, one more was asked for")
        self._open(self._strings[self._part], (abi.FORM_STRING, 0))

    @property
    def remaining(self) -> Optional[int]:
        """Symbols that are still to be read.

        None with strings and compact packets of one part, which do not hold it.
        """
        if self._closed:
            return 0
        if self._strings is not None or (self._form[0] != abi.FORM_FULL and not self._word(abi.READER_SEVERAL)):
            return None
        return self._word(abi.READER_COUNT) - self._word(abi.READER_POSITION) - self._word(abi.READER_DONE)

    def _word(self, field: int) -> int:
        return self._memory.word(self._address, field)

    def close(self) -> None:
        """Frees the reader without checks. A second call does nothing."""
        if self._closed:
            return
        self._memory.enter()
        self._closed = True
        if self._sequence:
            self._sequence.abandon()
        self._sequence = None
        self._free()

    def _free(self) -> None:
        if self._held:
            self._held.free()
        self._held = None

    def _ready(self) -> None:
        self._memory.enter()
        if self._closed:
            raise TypeError("the reader is closed")
        if self._sequence:
            self._sequence.end()

    def _guarded(self, action: Callable[[], R]) -> R:
        """Runs `action`. If it fails, the reader is closed: it cannot go on."""
        try:
            return action()
        except BaseException:
            self.close()
            raise

    def _shape_of(self, source: Source, given: Optional[Tuple[int, ...]]) -> Tuple[int, ...]:
        if given is not None:
            check_shape(given)
        stored: Optional[Tuple[int, ...]] = None
        # Of several parts, only those whose prior has no shape have one in the packet.
        several = self._strings is None and self._word(abi.READER_SEVERAL) == 1
        if self._strings is None and self._form[0] == abi.FORM_FULL and not (several and source.shape is not None):
            if several:
                self._memory.wasm.nextShape(self._address)
            stored = self._memory.words(self._address, abi.READER_DIMS, self._word(abi.READER_RANK))
            if not stored:
                raise mismatch(f"part {self._part}: the packet has no shape for it")
            if given is not None and given != stored:
                raise mismatch(f"part {self._part} has the shape {shape_text(stored)}, not {shape_text(given)}")
        for shape in (given, stored, source.shape):
            if shape is not None:
                return shape
        raise TypeError("shape must be given: strings and compact packets do not say the shape of a factorized part")

    def read(
        self,
        prior: Prior,
        *,
        dtype: Any = np.float32,
        out: Optional[Array] = None,
        shape: Optional[Sequence[int]] = None,
        affine: Optional[Affine] = None,
    ) -> Array:
        """The next part: float32, dequantized, or with an integer dtype its symbols.

        dtype, affine: as of `codec.decode`. out: takes the elements; an array of that dtype and shape, in any layout.
        shape: needed where neither prior nor packet holds it: factorized parts of strings and of compact packets,
        priors made of flat arrays. Raises TRUNCATED, CORRUPTED, SHAPE_MISMATCH, MODEL_MISMATCH, NON_FINITE, and
        OUT_OF_RANGE for a symbol that dtype cannot hold; TypeError, ValueError for a wrong argument.
        """
        self._ready()
        memory = self._memory
        source = Prior.source_of(prior, memory)
        name = type_name(dtype)
        zero_point = source.zero_point(affine, name)
        wanted = None if shape is None else own_shape(shape)

        def action() -> Array:
            wasm, part = memory.wasm, memory.part
            if source.table_address:
                memory.address(wasm.prepareTable(source.table_address, 0))
            self._next_string()
            found = self._shape_of(source, wanted)
            n = check_shape(found)
            fill_part(memory, part, source, found, n, core_of(name, zero_point))
            memory.check(wasm.beginPart(self._address, part, 0))
            target = Target(out, name, found, zero_point)
            read_elements(memory, self._address, source, target.core.reshape(-1))
            memory.check(wasm.endPart(self._address, part, 0))
            self._end_part()
            return target.finish()

        return self._guarded(action)

    def _end_part(self) -> None:
        """The end of a part is the end of a string."""
        self._part += 1
        if self._strings is None:
            return
        self._memory.check(self._memory.wasm.finishReader(self._address))
        self._free()

    def sequence(
        self, *, table: Optional[TableSource] = None, scale_table: Optional[Any] = None, step: float = 1.0
    ) -> SequenceReader:
        """Begins a part that is read piece by piece. The options as of `codec.gaussian`."""
        self._ready()
        source = self._sequence_source(table, scale_table, step)

        def action() -> SequenceReader:
            self._next_string()
            return SequenceReader(self._memory, self._address, source, self.close, self._end_sequence)

        self._sequence = self._guarded(action)
        return self._sequence

    def _end_sequence(self) -> None:
        self._sequence = None
        self._guarded(self._end_part)

    def finish(self) -> None:
        """Checks the end of the packet, and frees the reader. What was read may be wrong until this has returned.

        Raises WRONG_PRIOR, SHAPE_MISMATCH where symbols are left, CORRUPTED, TRUNCATED.
        """
        self._ready()

        def action() -> None:
            if self._strings is None:
                self._memory.check(self._memory.wasm.finishReader(self._address))
            elif self._part < len(self._strings):
                raise mismatch(f"{len(self._strings) - self._part} strings were not read")

        self._guarded(action)
        self.close()


class SequenceReader:
    """One part, read piece by piece. The pieces may be cut in another way than they were written."""

    def __init__(
        self, memory: Memory, reader: int, source: Source, fail: Callable[[], None], done: Callable[[], None]
    ) -> None:
        memory.address(memory.wasm.prepareTable(source.table_address, 0))
        self._memory = memory
        self._reader = reader
        self._fail = fail
        self._done = done
        self._step = Step(memory, source)
        self._begun = False
        self._ended = False

    def _begin(self) -> None:
        """Begins the part. The first piece says whether there are means."""
        if not self._begun:
            self._begun = True
            self._memory.check(self._memory.wasm.beginPart(self._reader, self._step.part, 1))

    def next(self, scales: Any, means: Optional[Any] = None, out: Optional[Array] = None) -> Array:
        """Decodes as many elements as there are scales:

        float32 of the scales' shape, or `out`. Raises as `PartReader.read`.
        """
        memory = self._memory
        memory.enter()
        if self._ended:
            raise TypeError("the sequence has ended")
        sigmas, centres, result = step_arrays(scales, means, out)
        step, n = self._step, sigmas.size
        step.begin(centres)
        try:
            self._begin()
            memory.check(memory.wasm.stageRead(self._reader, step.part, n, 1))
            step.place(abi.PART_AT_ROWS_OR_SCALES, sigmas)
            step.place(abi.PART_AT_MEANS, centres)
            memory.check(memory.wasm.readPart(self._reader, step.part, n))
            step.take(abi.PART_AT_ELEMENTS, result)
        except BaseException:
            self._fail()
            raise
        return result

    def end(self) -> None:
        """Ends the part. Raises MODEL_MISMATCH if the part's index check does not fit."""
        if self._ended:
            return
        self._memory.enter()
        self._ended = True
        try:
            self._begin()
            self._memory.check(self._memory.wasm.endPart(self._reader, self._step.part, 1))
        except BaseException:
            self._fail()
            raise
        finally:
            self._step.free()
        self._done()

    def abandon(self) -> None:
        """Frees its memory, without checks."""
        self._ended = True
        self._step.free()
