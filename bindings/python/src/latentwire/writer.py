"""Collects parts and writes them as one packet (docs/format.md section 8), or as CompressAI's strings."""

from __future__ import annotations

import weakref
from types import TracebackType
from typing import Any, Callable, List, NamedTuple, Optional, Tuple, Type, Union

import numpy as np

from . import abi
from .elements import Affine, Target, elements_of
from .memory import Memory
from .options import STRINGS, Checksum, Form, check_choice, written_form
from .prior import Prior, Source, fill_part, place_parameters
from .tables import TableSource
from .tensor import Array, Floats, array_of, floats_of, mismatch, out_array

#: The source of a prior for a sequence, from table, scale_table and step.
SequenceSource = Callable[[Optional[TableSource], Optional[Any], float], Source]


class Guard(NamedTuple):
    """How far the parameters of two machines may differ:

    a difference is covered if it is at most relative * abs(value) + absolute.

    For networks of onnxruntime or torch on CPUs take 1e-5 for both (docs/determinism.md). Both are at least 0 and below
    1.
    """

    relative: float = 0.0
    absolute: float = 0.0


class Settings(NamedTuple):
    """The options of a writer, read."""

    form: Form
    guard: Optional[Guard]
    #: Whether there are index checks.
    hashed: bool


def writer_settings(
    format: str,
    header: str,
    lanes: Optional[int],
    checksum: Checksum,
    fingerprint: bool,
    guard: Union[float, Guard, None],
    index_checks: Optional[bool],
) -> Settings:
    """Raises TypeError, ValueError."""
    check_choice("format", format, ("packet", "strings"))
    margins = _guard_of(guard)
    # Where machines differ they may differ by more than the guard, so a guard turns the checks on.
    hashed = margins is not None if index_checks is None else bool(index_checks)
    if format == "strings":
        if margins or hashed:
            raise TypeError("CompressAI's strings have no room for guard or index_checks")
        return Settings(STRINGS, None, False)
    return Settings(written_form(header, "native", checksum, lanes, fingerprint), margins, hashed)


def _guard_of(guard: Union[float, Guard, None]) -> Optional[Guard]:
    if guard is None:
        return None
    read = Guard(*guard) if isinstance(guard, tuple) else Guard(guard)
    for name, value in zip(Guard._fields, read):
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1:
            raise ValueError(f"guard.{name} must be at least 0 and below 1, not {value!r}")
    return read if any(read) else None


def check_guard(guard: Guard, scales: Floats) -> None:
    """Raises ValueError if neighbouring scales are too close for the guard:

    two machines could take different boundaries for the nearest one.
    """
    relative, absolute = guard
    low, high = scales[:-2].astype(np.float64), scales[1:-1].astype(np.float64)
    # How far the reader's scale can be from a boundary that the writer's bound reaches: docs/determinism.md 2.
    above = low + (2 * (relative * low + absolute)) / (1 - relative)
    below = high - (2 * (relative * high + absolute)) / (1 + relative)
    wide = ~((above * above < low * high) & (below > 0) & (below * below > low * high))
    if wide.any():
        j = int(wide.argmax())
        raise ValueError(f"the guard is too wide for scales as close as {low[j]} and {high[j]}")


def fill_writer(memory: Memory, writer: int, form: Form) -> None:
    """Fills in a writer: the fields of docs/abi.md 3.2 that the host sets, except for a guard."""
    memory.set_word(writer, abi.WRITER_FORM, form.form)
    memory.set_word(writer, abi.WRITER_CHECK, form.check)
    memory.set_word(writer, abi.WRITER_LANES, form.lanes)
    memory.set_word(writer, abi.WRITER_FINGERPRINT, int(form.fingerprint))
    memory.set_word(writer, abi.WRITER_COMPRESSAI, int(form.compressai))


def write_elements(memory: Memory, writer: int, source: Source, flat: Array, target: Optional[Floats] = None) -> None:
    """Gives an open part its elements, in chunks. `target` takes what a reader will see."""
    wasm, part = memory.wasm, memory.part
    n = flat.size
    chunk = source.chunk(n)
    for begin in range(0, n, chunk):
        end = min(begin + chunk, n)
        memory.check(wasm.stagePart(writer, part, end - begin, 0))
        place_parameters(memory, part, source, begin, end)
        memory.place(flat[begin:end], memory.word(part, abi.PART_AT_ELEMENTS))
        memory.check(wasm.writePart(writer, part, end - begin, int(target is not None)))
        if target is not None:
            target[begin:end] = memory.view(memory.word(part, abi.PART_AT_OUT), end - begin, "float32")


class Held:
    """A block of an object. It is freed once: by `free`, or after the object was garbage collected."""

    def __init__(self, owner: object, memory: Memory, function: str, address: int) -> None:
        self._memory = memory
        self._function = function
        self._address = address
        self._finalizer = weakref.finalize(owner, memory.abandon, function, address)
        # At the end of the program memory need not be given back.
        self._finalizer.atexit = False

    def free(self) -> None:
        if self._finalizer.detach() is not None:
            getattr(self._memory.wasm, self._function)(self._address)


class PartWriter:
    """Collects parts and writes one packet. `with codec.writer() as writer:` frees it whatever happens."""

    def __init__(self, memory: Memory, settings: Settings, sequence_source: SequenceSource) -> None:
        self._memory = memory
        self._settings = settings
        self._sequence_source = sequence_source
        self._strings: List[bytes] = []
        self._sequence: Optional[SequenceWriter] = None
        self._finished = False
        self._corrections = 0
        self._address, self._held = self._open()

    def __enter__(self) -> PartWriter:
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.close()

    def _open(self) -> Tuple[int, Held]:
        memory = self._memory
        form, guard, hashed = self._settings
        address = memory.address(memory.wasm.newWriter(1))
        fill_writer(memory, address, form)
        relative, absolute = guard or Guard()
        memory.set_word(address, abi.WRITER_GUARD + abi.GUARD_HASHED, int(hashed))
        memory.set_float(address, abi.WRITER_GUARD + abi.GUARD_RELATIVE, relative, "float64")
        memory.set_float(address, abi.WRITER_GUARD + abi.GUARD_ABSOLUTE, absolute, "float64")
        return address, Held(self, memory, "freeWriter", address)

    @property
    def corrections(self) -> int:
        """Number of scales (or parameters of mixtures) so far that the packet will list because of `guard`."""
        if self._finished:
            return self._corrections
        return self._memory.word(self._address, abi.WRITER_GUARD + abi.GUARD_COUNT)

    def _ready(self) -> None:
        self._memory.enter()
        if self._finished:
            raise TypeError("the writer is finished")
        if self._sequence:
            self._sequence.end()

    def write(
        self,
        latent: Any,
        prior: Prior,
        *,
        dequantize: bool = False,
        out: Optional[Array] = None,
        affine: Optional[Affine] = None,
    ) -> Optional[Array]:
        """Adds a part: floats are quantized, integers are symbols. The latent may have any layout.

        Returns None, or with `dequantize` or `out` what the reader's `read` returns: float32 of the latent's shape.
        out: takes it; it may be the latent itself. affine: as of `codec.encode`. Raises SHAPE_MISMATCH, NON_FINITE,
        OUT_OF_RANGE, LIMIT_EXCEEDED; the writer stays as it was.
        """
        self._ready()
        memory = self._memory
        wasm, part = memory.wasm, memory.part
        source = Prior.source_of(prior, memory)
        array = array_of(latent, "latent")
        elements = elements_of(array, "latent", source.zero_point(affine, array.dtype.newbyteorder("=").name))
        target = Target(out, "float32", elements.shape) if dequantize or out is not None else None
        if self._settings.guard and source.scale_table is not None:
            check_guard(self._settings.guard, source.scale_table)
        if source.table_address:
            memory.address(wasm.prepareTable(source.table_address, 1))
        fill_part(memory, part, source, elements.shape, elements.size, elements.dtype.name)
        try:
            memory.check(wasm.openPart(self._address, part, elements.size))
            flat = None if target is None else target.core.reshape(-1)
            write_elements(memory, self._address, source, elements.reshape(-1), flat)
            memory.check(wasm.closePart(self._address, part))
        except BaseException:
            wasm.dropPart(self._address)
            raise
        self._end_part()
        return None if target is None else target.finish()

    def _end_part(self) -> None:
        """A string is complete with its part."""
        if self._settings.form.form != abi.FORM_STRING:
            return
        self._strings.append(self._packet())
        self._held.free()
        self._address, self._held = self._open()

    def sequence(
        self, *, table: Optional[TableSource] = None, scale_table: Optional[Any] = None, step: float = 1.0
    ) -> SequenceWriter:
        """Begins a part that is written piece by piece, in the reader's order. The options as of `codec.gaussian`."""
        self._ready()
        source = self._sequence_source(table, scale_table, step)
        if self._settings.guard and source.scale_table is not None:
            check_guard(self._settings.guard, source.scale_table)
        self._sequence = SequenceWriter(self._memory, self._address, source, self._end_sequence)
        return self._sequence

    def _end_sequence(self) -> None:
        self._sequence = None
        self._end_part()

    def _packet(self) -> bytes:
        memory = self._memory
        memory.check(memory.wasm.finishWriter(self._address))
        start, length = memory.words(self._address, abi.WRITER_START, 2)
        return memory.view(start, length, "uint8").tobytes()

    def finish(self) -> bytes:
        """The packet. The writer cannot be used afterwards."""
        if self._settings.form.form == abi.FORM_STRING:
            raise TypeError("strings come from finish_strings()")
        self._ready()
        packet = self._packet()
        self.close()
        return packet

    def finish_strings(self) -> List[bytes]:
        """With format="strings": one string per part, in the order written."""
        if self._settings.form.form != abi.FORM_STRING:
            raise TypeError('strings need the option format="strings"')
        self._ready()
        self.close()
        return self._strings

    def close(self) -> None:
        """Frees a writer that is not finished. A second call does nothing."""
        if self._finished:
            return
        self._memory.enter()
        self._corrections = self.corrections
        self._finished = True
        if self._sequence:
            self._sequence.abandon()
        self._held.free()


# ---- sequences


class Step:
    """A part in pieces. Its buffers stay in place between calls."""

    def __init__(self, memory: Memory, source: Source) -> None:
        self.part = memory.address(memory.wasm.newPart(1))
        self._memory = memory
        self._held = Held(self, memory, "release", self.part)
        self._steps = 0
        fill_part(memory, self.part, source, (), 0, "float32")

    def begin(self, means: Optional[Array]) -> None:
        """Checks that all pieces have means or none: they belong to the prior. Raises TypeError."""
        centre = abi.CENTRE_NONE if means is None else abi.CENTRE_MEANS
        if self._steps == 0:
            self._memory.set_word(self.part, abi.PART_CENTRE, centre)
        elif self._memory.word(self.part, abi.PART_CENTRE) != centre:
            raise TypeError("means must be given in every step or in none")
        self._steps += 1

    def place(self, field: int, values: Optional[Floats]) -> None:
        """Copies values to the address that is in `field`."""
        if values is not None:
            self._memory.place(values, self._memory.word(self.part, field))

    def take(self, field: int, out: Floats) -> None:
        """Copies values from the address that is in `field`."""
        out[...] = self._memory.view(self._memory.word(self.part, field), out.size, "float32").reshape(out.shape)

    def free(self) -> None:
        self._held.free()


def step_arrays(scales: Any, means: Optional[Any], out: Optional[Array]) -> Tuple[Floats, Optional[Floats], Array]:
    """Scales and means of a piece, flat, and the array that takes it. Raises TypeError, ValueError, SHAPE_MISMATCH."""
    sigmas = floats_of(scales, "scales")
    centres = None if means is None else floats_of(means, "means")
    if centres is not None and centres.size != sigmas.size:
        raise mismatch(f"{centres.size} means, but {sigmas.size} scales")
    _, result = out_array(out, "float32", sigmas.shape)
    return sigmas.reshape(-1), None if centres is None else centres.reshape(-1), result


class SequenceWriter:
    """One part, written piece by piece: an autoregressive prior's pixels."""

    def __init__(self, memory: Memory, writer: int, source: Source, done: Callable[[], None]) -> None:
        memory.address(memory.wasm.prepareTable(source.table_address, 1))
        self._memory = memory
        self._writer = writer
        self._done = done
        self._step = Step(memory, source)
        self._ended = False
        memory.check(memory.wasm.openPart(writer, self._step.part, 4096))

    def next(self, values: Any, scales: Any, means: Optional[Any] = None, out: Optional[Array] = None) -> Array:
        """Quantizes and keeps some elements, and returns what the reader will see:

        float32 of the scales' shape, or `out`.

        values, scales, means: floats, equally many. means: given with every piece or with none. Raises SHAPE_MISMATCH,
        NON_FINITE, OUT_OF_RANGE.
        """
        memory = self._memory
        memory.enter()
        if self._ended:
            raise TypeError("the sequence has ended")
        sigmas, centres, result = step_arrays(scales, means, out)
        elements = floats_of(values, "values").reshape(-1)
        if elements.size != sigmas.size:
            raise mismatch(f"{elements.size} values, but {sigmas.size} scales")
        step, n = self._step, sigmas.size
        step.begin(centres)
        memory.check(memory.wasm.stagePart(self._writer, step.part, n, 1))
        step.place(abi.PART_AT_ROWS_OR_SCALES, sigmas)
        step.place(abi.PART_AT_MEANS, centres)
        step.place(abi.PART_AT_ELEMENTS, elements)
        memory.check(memory.wasm.writePart(self._writer, step.part, n, 1))
        step.take(abi.PART_AT_OUT, result)
        return result

    def end(self) -> None:
        """Ends the part. The next `write` or `sequence` does it as well."""
        if self._ended:
            return
        self._memory.enter()
        self._ended = True
        try:
            self._memory.check(self._memory.wasm.closePart(self._writer, self._step.part))
            self._done()
        finally:
            self._step.free()

    def abandon(self) -> None:
        """Frees its memory, because the writer is closed."""
        self._ended = True
        self._step.free()
