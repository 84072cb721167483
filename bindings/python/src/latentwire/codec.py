"""The codec: checks arguments, makes priors, encodes and decodes."""

from __future__ import annotations

import math
from typing import Any, List, NamedTuple, NoReturn, Optional, Sequence, Set, Tuple, Union, cast

import numpy as np
import numpy.typing as npt

from . import abi
from .cdfs import STOCK_SCALES, factorized_rows, quantized_cdf, scale_rows
from .elements import Affine, Target, core_of, elements_of, type_name
from .errors import CodecError
from .memory import Memory
from .options import Checksum, Form, agreed, written_form
from .prior import (
    Network,
    Prior,
    Scales,
    Source,
    check_axis,
    check_parameters,
    check_rows,
    check_scales,
    check_step,
    fill_part,
    load_network,
    mixture_source,
    place_parameters,
)
from .proof import is_context_right
from .rate import Rate, rate_of
from .reader import PacketInfo, PartReader, inspect_packet, judge_full, open_packet, read_elements
from .tables import Table, Tables, TableSource
from .tensor import (
    Array,
    Buffer,
    Floats,
    array_of,
    bytes_of,
    check_shape,
    floats_of,
    mismatch,
    own_shape,
    shape_text,
)
from .writer import Guard, PartWriter, Settings, fill_writer, writer_settings

#: A prior, or a ladder of them, from fine to coarse.
PriorOrLadder = Union[Prior, Sequence[Prior]]


# Builds whose kernel of context priors has proved itself in this process.
_proven: Set[str] = set()


class _Decoding(NamedTuple):
    """The options of `decode`, read: `form` and `limits` as of `open_packet`."""

    dtype: str
    shape: Optional[Tuple[int, ...]]
    out: Optional[Array]
    form: Tuple[int, int]
    limits: Tuple[float, float]
    affine: Optional[Affine]


class Codec:
    """Codes latents. `latentwire.create()` makes one.

    A codec belongs to the thread that made it. All methods are synchronous; a failed call leaves the codec usable. No
    result shares memory with the codec.
    """

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._tables = Tables(memory)
        self._scales = Scales(memory)
        self._stock_table: Optional[Table] = None

    def __reduce__(self) -> NoReturn:
        raise TypeError("a codec cannot be pickled: call latentwire.create() in each process")

    def __repr__(self) -> str:
        return f"<latentwire.Codec {self.build}>"

    @property
    def build(self) -> str:
        """`simd` or `scalar`. Both write the same bytes."""
        return self._memory.build

    def trim(self) -> None:
        """Gives back memory that a large call took. Tables, priors, readers, writers and sequences stay as they are."""
        self._memory.enter()
        self._memory.trim()

    # ---- tables

    def table(self, source: TableSource) -> Table:
        """Loads and validates a table:

        JSON form (a dict) or binary form. The same bytes are loaded once. Raises INVALID_TABLE.
        """
        self._memory.enter()
        return self._tables.load(source)

    def quantized_cdf(self, pmf: Any, precision: int = 16) -> npt.NDArray[np.uint32]:
        """CompressAI's pmf_to_quantized_cdf: n probabilities -> n + 1 cumulative frequencies, 0 .. 2^precision.

        Raises INVALID_PMF; ValueError for a precision outside 1 .. 16.
        """
        self._memory.enter()
        if not 1 <= precision <= 16:
            raise ValueError(f"precision must be 1 .. 16, not {precision}")
        return quantized_cdf(self._memory, floats_of(pmf, "pmf").reshape(-1), precision)

    def gaussian_table(self, scales: Optional[Any] = None) -> Table:
        """Gaussian rows for ascending scales, default CompressAI's 64. Raises ValueError."""
        self._memory.enter()
        return self._stock() if scales is None else self._table_of_scales("gaussian", scales)

    def laplace_table(self, scales: Any = STOCK_SCALES) -> Table:
        """Laplace rows (density exp(-|x| / b) / 2b) for ascending scales b. Raises ValueError."""
        self._memory.enter()
        return self._table_of_scales("laplace", scales)

    def logistic_table(self, scales: Any = STOCK_SCALES) -> Table:
        """Logistic rows (distribution 1 / (1 + exp(-x / s))) for ascending scales s. Raises ValueError."""
        self._memory.enter()
        return self._table_of_scales("logistic", scales)

    def factorized_table(
        self, *, matrices: Sequence[Any], biases: Sequence[Any], factors: Sequence[Any], quantiles: Any
    ) -> Table:
        """The rows of CompressAI's EntropyBottleneck, with medians, from its parameters.

        Per layer i: matrices C x filters[i + 1] x filters[i], biases C x filters[i + 1] x 1; per layer but the last
        factors, as biases; quantiles C x 1 x 3. Raises ValueError where they contradict each other.
        """
        self._memory.enter()
        return self._tables.load(factorized_rows(self._memory, matrices, biases, factors, quantiles))

    def _table_of_scales(self, kind: str, scales: Any) -> Table:
        values = floats_of(scales, "scales")
        check_scales(values, values.size, "scales")
        return self._tables.load(scale_rows(self._memory, kind, values))

    def _stock(self) -> Table:
        if self._stock_table is None:
            self._stock_table = self._table_of_scales("gaussian", STOCK_SCALES)
        return self._stock_table

    # ---- priors

    def _prior(self, kind: str, table: Table, source: Source) -> Prior:
        address = cast(int, table.address_in(self._memory))
        return Prior(self._memory, kind, table, source._replace(table_address=address, table_rows=table.rows))

    def factorized(self, table: TableSource, *, axis: Optional[int] = None, step: float = 1.0) -> Prior:
        """A row per channel, its median subtracted: the factorized prior (Balle et al. 2018; FrankenSplit).

        axis: the dimension that selects the row; default 1 (NCHW), 0 where the rank is 1. step: quantization step, a
        positive float32.
        """
        self._memory.enter()
        return self._of_channels("factorized", table, axis, step, None)

    def context(
        self,
        parameters: Buffer,
        *,
        table: Optional[TableSource] = None,
        over: Optional[Prior] = None,
        axis: Optional[int] = None,
        step: Optional[float] = None,
    ) -> Prior:
        """A prior whose rows follow from symbols that are already decoded (docs/context.md).

        parameters: as a bundle holds them. table: a row per channel, with axis and step as of `factorized`. over:
        instead of the table, a prior of `gaussian` or `indexed`, for parameters that were fitted to such latents.
        Raises INVALID_CONTEXT, SHAPE_MISMATCH; TypeError where the parameters are for the other of the two.
        """
        self._memory.enter()
        self._prove_context()
        network = load_network(self._memory, bytes_of(parameters, "parameters"))
        if network.given_rows == 0:
            if table is None or over is not None:
                raise TypeError(
                    "table is missing: codec.context(parameters, table=table), "
                    "with the table of their fit and without over"
                )
            return self._of_channels("context", table, axis, 1.0 if step is None else step, network)
        if not isinstance(over, Prior) or over.kind not in ("gaussian", "indexed"):
            raise TypeError(
                "over is missing: these parameters are for codec.context(parameters, over=codec.gaussian(..)), "
                "or over indexed(..)"
            )
        source = Prior.source_of(over, self._memory)
        if table is not None or step is not None:
            raise TypeError("table and step are those of over")
        if network.given_rows != source.table_rows:
            raise mismatch(
                f"the table has {source.table_rows} rows, the context prior is for one of {network.given_rows}"
            )
        return Prior(self._memory, "context", over.table, source._replace(axis=check_axis(axis), network=network))

    def _prove_context(self) -> None:
        """Before the first context: makes sure that this machine computes one rightly. Raises BUILD_MISSING."""
        if self.build in _proven:
            return
        # The proof makes a context of its own.
        _proven.add(self.build)
        if not is_context_right(self):
            _proven.discard(self.build)
            raise CodecError(
                "BUILD_MISSING",
                f'this machine computes context priors wrongly in the build "{self.build}": create(build="scalar")',
            )

    def _of_channels(
        self, kind: str, table: TableSource, axis: Optional[int], step: float, network: Optional[Network]
    ) -> Prior:
        checked = check_step(step)
        loaded = self._tables.load(table)
        if network and network.channels != loaded.rows:
            raise mismatch(f"the table has {loaded.rows} rows, the context prior is for {network.channels} channels")
        centre = abi.CENTRE_NONE if loaded.medians is None else abi.CENTRE_MEDIANS
        source = Source(abi.KIND_CHANNELS, 0, 0, centre, checked, check_axis(axis), network=network)
        return self._prior(kind, loaded, source)

    def indexed(self, table: TableSource, rows: Any, *, means: Optional[Any] = None, step: float = 1.0) -> Prior:
        """A row per symbol, given directly: integers below the table's number of rows. Raises TypeError, ValueError."""
        self._memory.enter()
        loaded = self._tables.load(table)
        checked = check_rows(rows, loaded.rows)
        centres = None if means is None else floats_of(means, "means")
        shape = centres.shape if centres is not None and centres.size == checked.size else (checked.size,)
        source = Source(
            abi.KIND_ROWS,
            0,
            0,
            abi.CENTRE_NONE if centres is None else abi.CENTRE_MEANS,
            check_step(step),
            rows=checked,
            means=None if centres is None else centres.reshape(-1),
            shape=shape,
        )
        return self._prior("indexed", loaded, source)

    def gaussian(
        self,
        scales: Any,
        *,
        means: Optional[Any] = None,
        step: float = 1.0,
        table: Optional[TableSource] = None,
        scale_table: Optional[Any] = None,
    ) -> Prior:
        """A row per symbol, chosen by its scale: scale and mean-scale hyperpriors.

        scales, means: float arrays of the latent's shape. A scale below the lowest of the table takes the lowest row.
        table: row j belongs to the j-th scale of scale_table; default the stock 64-scale Gaussian table. Raises
        SHAPE_MISMATCH, TypeError, ValueError.
        """
        self._memory.enter()
        own = None if scale_table is None else floats_of(scale_table, "scale_table")
        if table is not None:
            loaded = self._tables.load(table)
        else:
            loaded = self._stock() if own is None else self._table_of_scales("gaussian", own)
        values = STOCK_SCALES if own is None else own
        check_scales(values, loaded.rows, "scale_table")
        sigmas = floats_of(scales, "scales")
        centres = None if means is None else floats_of(means, "means")
        check_parameters("means", centres, sigmas)
        source = Source(
            abi.KIND_SCALES,
            0,
            0,
            abi.CENTRE_NONE if centres is None else abi.CENTRE_MEANS,
            check_step(step),
            scales=sigmas.reshape(-1),
            means=None if centres is None else centres.reshape(-1),
            scales_address=self._scales.load(values),
            scale_table=values,
            shape=sigmas.shape,
        )
        return self._prior("gaussian", loaded, source)

    def mixture(
        self,
        *,
        scales: Any,
        means: Any,
        weights: Optional[Any] = None,
        components: int = 1,
        kind: str = "gaussian",
        support: Sequence[int] = (-128, 127),
        shape: Optional[Sequence[int]] = None,
    ) -> Prior:
        """A mixture of distributions per symbol; its row is made at run time (docs/format.md section 9).

        scales, means, weights: floats, [K, C, H, W]. weights 0 .. 1 need not sum to 1; None: all are 1. components: K,
        1 .. 16. kind: `gaussian`, `laplace` or `logistic`. support: smallest and largest symbol without escape. shape:
        of the part, where it does not follow from [K, C, H, W] or [1, K * C, H, W]. Raises SHAPE_MISMATCH, TypeError,
        ValueError.
        """
        self._memory.enter()
        stock = self._stock()
        source = mixture_source(scales, means, weights, components, kind, support, shape, stock, self._scales)
        return Prior(self._memory, "mixture", stock, source)

    # ---- one tensor

    def encode(
        self,
        latent: Any,
        prior: PriorOrLadder,
        *,
        stream: str = "native",
        header: str = "packet",
        lanes: Optional[int] = None,
        checksum: Checksum = True,
        fingerprint: bool = True,
        max_bytes: Optional[float] = None,
        affine: Optional[Affine] = None,
    ) -> bytes:
        """Codes a latent: floats are quantized first (docs/format.md section 6), integers and bool are symbols already.

        latent: 1 to 7 dimensions, any layout; the shape must be one the prior fits. prior: a prior, or with max_bytes a
        ladder of them, from fine to coarse: the first whose packet fits is taken. stream: `native`, or `compressai`:
        byte for byte what CompressAI's coder writes. header: `packet` stores shape, fingerprint and checksum; `compact`
        is one byte and a check; `none` has no check, and with stream="compressai" it is CompressAI's string. lanes:
        None (chosen by size), 1, 8, 16 or 32. affine: of a latent of quantized elements: subtracts its zero point. The
        decoder is given the same.

        Raises SHAPE_MISMATCH, NON_FINITE, OUT_OF_RANGE, LIMIT_EXCEEDED; TypeError, ValueError for a wrong argument.
        """
        self._memory.enter()
        form = written_form(header, stream, checksum, lanes, fingerprint)
        array = array_of(latent, "latent")
        if max_bytes is not None or not isinstance(prior, Prior):
            most = math.inf if max_bytes is None else max_bytes
            return self._encode_within(array, prior, form, header, most, affine)
        return self._encode(array, prior, form, affine)

    def _encode(self, latent: Array, prior: Prior, form: Form, affine: Optional[Affine]) -> bytes:
        source = Prior.source_of(prior, self._memory)
        if source.mixture and form.compressai:
            raise TypeError('a mixture in CompressAI\'s stream: writer(format="strings") writes it')
        # Symbols under a context are coded when all are known. CompressAI's stream has static rows.
        if source.mixture or (source.network and not form.compressai):
            with PartWriter(self._memory, Settings(form, None, False), self._sequence_source) as writer:
                writer.write(latent, prior, affine=affine)
                return writer.finish()
        zero_point = source.zero_point(affine, latent.dtype.newbyteorder("=").name)
        return self._encode_in_chunks(elements_of(latent, "latent", zero_point), source, form)

    def _encode_in_chunks(self, elements: Array, source: Source, form: Form) -> bytes:
        memory = self._memory
        wasm, part = memory.wasm, memory.part
        n = elements.size
        flat = elements.reshape(-1)
        memory.address(wasm.prepareTable(source.table_address, 1))
        writer = wasm.newWriter(0)
        fill_writer(memory, writer, form)
        fill_part(memory, part, source, elements.shape, n, elements.dtype.name)
        chunk = source.chunk(n)
        memory.check(wasm.beginEncode(writer, part, n, chunk))
        while True:
            code, end = 0, n
            # The last chunk first, because the last symbol is coded first.
            while end > 0 and code == 0:
                begin = (end - 1) // chunk * chunk
                place_parameters(memory, part, source, begin, end)
                memory.place(flat[begin:end], memory.word(part, abi.PART_AT_ELEMENTS))
                code = wasm.encodeChunk(writer, part, begin, end)
                # The stream may have taken memory.
                memory.sync()
                end = begin
            if code == 0:
                code = wasm.endEncode(writer)
            if code == abi.AGAIN:
                memory.sync()
                continue
            memory.check(code)
            start, length = memory.words(writer, abi.WRITER_START, 2)
            return memory.view(start, length, "uint8").tobytes()

    def _encode_within(
        self,
        latent: Array,
        prior: PriorOrLadder,
        form: Form,
        header: str,
        max_bytes: float,
        affine: Optional[Affine],
    ) -> bytes:
        # Not "< 0": NaN would switch the limit off.
        if not max_bytes >= 0:
            raise ValueError(f"max_bytes must be a number of bytes, not {max_bytes}")
        ladder: List[Prior] = [prior] if isinstance(prior, Prior) else list(prior)
        front = b""
        if not isinstance(prior, Prior):
            _check_ladder(ladder, header, form.fingerprint)
        least = math.inf
        for i, rung in enumerate(ladder):
            # A compact packet says its prior by a byte in front; a full one by its fingerprint.
            if not isinstance(prior, Prior) and header == "compact":
                front = bytes([i])
            packet = front + self._encode(latent, rung, form, affine)
            least = min(least, len(packet))
            if len(packet) <= max_bytes:
                return packet
        raise CodecError(
            "LIMIT_EXCEEDED",
            f"the smallest packet has {least} bytes, max_bytes is {max_bytes}: add a prior with a larger step",
        )

    def decode(
        self,
        packet: Buffer,
        prior: PriorOrLadder,
        *,
        dtype: Any = np.float32,
        shape: Optional[Sequence[int]] = None,
        out: Optional[Array] = None,
        stream: str = "native",
        header: str = "packet",
        checksum: Checksum = True,
        max_elements: float = 2**24,
        max_context_elements: float = 2**20,
        affine: Optional[Affine] = None,
    ) -> Array:
        """Decodes what `encode` returned, with an equal prior, or an equal ladder: the packet says which of its priors.

        dtype: float32, float16 and float64 dequantize; an integer type or bool gives the symbols. shape: needed with
        header `compact` and `none`; for a packet the shape you expect. out: takes the elements, an array of that dtype
        and shape in any layout; after an error it holds anything. max_elements: more are refused before memory is
        taken. max_context_elements: the same of symbols under a context prior, which take a hundred times the work.
        affine: as the encoder was given; with the latent's own dtype the same elements come back.

        Returns an array in C order, or `out`. Raises NOT_A_PACKET, UNSUPPORTED_VERSION, TRUNCATED, CORRUPTED,
        WRONG_PRIOR, SHAPE_MISMATCH, LIMIT_EXCEEDED, and OUT_OF_RANGE where dtype cannot hold a symbol; TypeError,
        ValueError for a wrong argument.
        """
        self._memory.enter()
        how = _Decoding(
            type_name(dtype),
            None if shape is None else own_shape(shape),
            out,
            agreed(header, stream, checksum),
            (max_elements, max_context_elements),
            affine,
        )
        data = bytes_of(packet, "packet")
        if isinstance(prior, Prior):
            return self._decode(data, prior, how)
        return self._decode_of(data, list(prior), how, header)

    def _decode(self, packet: npt.NDArray[np.uint8], prior: Prior, how: _Decoding) -> Array:
        memory = self._memory
        dtype, expected, form = how.dtype, how.shape, how.form
        wasm, part = memory.wasm, memory.part
        source = Prior.source_of(prior, memory)
        zero_point = source.zero_point(how.affine, dtype)
        if source.table_address:
            memory.address(wasm.prepareTable(source.table_address, 0))
        count = None if expected is None else check_shape(expected)
        reader = open_packet(memory, packet, form, how.limits, False, count)
        shape = expected
        if form[0] == abi.FORM_FULL:
            if memory.word(reader, abi.READER_SEVERAL):
                raise mismatch("the packet has several parts: codec.reader() reads it")
            shape = memory.words(reader, abi.READER_DIMS, memory.word(reader, abi.READER_RANK))
            if expected is not None and expected != shape:
                raise mismatch(f"the packet has the shape {shape_text(shape)}, {shape_text(expected)} was expected")
        elif shape is None:
            raise TypeError("shape must be given: the packet does not hold it")
        n = check_shape(shape)
        fill_part(memory, part, source, shape, n, core_of(dtype, zero_point))
        memory.check(wasm.beginPart(reader, part, 0))
        target = Target(how.out, dtype, shape, zero_point)
        read_elements(memory, reader, source, target.core.reshape(-1))
        memory.check(wasm.endPart(reader, part, 0))
        memory.check(wasm.finishReader(reader))
        return target.finish()

    def _decode_of(self, packet: npt.NDArray[np.uint8], ladder: List[Prior], how: _Decoding, header: str) -> Array:
        _check_ladder(ladder, header, True)
        if header == "compact":
            if packet.size == 0:
                raise CodecError("TRUNCATED", "the packet is empty")
            if packet[0] < len(ladder):
                return self._decode(packet[1:], ladder[packet[0]], how)
        elif inspect_packet(self._memory, packet).fingerprint is not None:
            for rung in ladder:
                try:
                    return self._decode(packet, rung, how)
                except CodecError as error:
                    if error.code != "WRONG_PRIOR":
                        raise
        raise CodecError("WRONG_PRIOR", "the packet was coded under none of the ladder's priors, or does not say which")

    def inspect(self, packet: Buffer) -> PacketInfo:
        """Reads what a packet says about itself; no prior is needed.

        A wrong checksum is in the result, and is not raised.

        Raises NOT_A_PACKET, UNSUPPORTED_VERSION, TRUNCATED, CORRUPTED if the header cannot be read, LIMIT_EXCEEDED for
        more than 65,536 shapes.
        """
        self._memory.enter()
        return inspect_packet(self._memory, bytes_of(packet, "packet"))

    def judge(self, data: Buffer, total_bytes: Optional[int] = None) -> Optional[str]:
        """Judges a full packet, or the first bytes of one while the rest is on its way.

        It decodes nothing, and takes no memory.

        data: all bytes of the packet, or at least its first 64. total_bytes: bytes of the whole packet; default: data
        is all of it. Looked at are the magic, the numbers in the first 64 bytes and, if all bytes are there, the
        checksum. Returns None if nothing is wrong, otherwise NOT_A_PACKET, UNSUPPORTED_VERSION, TRUNCATED or CORRUPTED,
        the last one also for a packet without a checksum. Raises ValueError for fewer than 64 bytes of more.
        """
        self._memory.enter()
        return judge_full(self._memory, bytes_of(data, "data"), total_bytes)

    # ---- symbols without coding

    def quantize(self, latent: Any, prior: Prior, *, dtype: Any = np.int32) -> Array:
        """Latent -> symbols, as `encode` does it: int32, int16 or int8. Raises as `encode`."""
        self._memory.enter()
        name = type_name(dtype)
        if name not in ("int32", "int16", "int8"):
            raise TypeError(f"dtype must be int32, int16 or int8, not {name}")
        return self._convert(elements_of(latent, "latent"), prior, name)

    def dequantize(self, symbols: Any, prior: Prior) -> Floats:
        """Symbols -> float32, as `decode` does it."""
        self._memory.enter()
        elements = elements_of(symbols, "symbols")
        if elements.dtype == np.float32:
            raise TypeError("symbols must have an integer type")
        return self._convert(elements, prior, "float32")

    def _convert(self, elements: Array, prior: Prior, dtype: str) -> Array:
        """Converts elements to symbols, or symbols to elements, by writing them to a part that no packet gets."""
        memory = self._memory
        wasm, part = memory.wasm, memory.part
        source = Prior.source_of(prior, memory)
        n = elements.size
        restore = dtype == "float32"
        fill_part(memory, part, source, elements.shape, n, elements.dtype.name)
        # Rows do not matter here.
        if source.kind != abi.KIND_CHANNELS:
            memory.set_word(part, abi.PART_KIND, abi.KIND_ROWS)
        writer = memory.address(wasm.newWriter(1))
        try:
            memory.check(wasm.openPart(writer, part, n))
            memory.check(wasm.stagePart(writer, part, n, 0))
            if source.means is not None:
                memory.place(source.means, memory.word(part, abi.PART_AT_MEANS))
            memory.place(elements.reshape(-1), memory.word(part, abi.PART_AT_ELEMENTS))
            memory.check(wasm.writePart(writer, part, n, int(restore)))
            if restore:
                return memory.copy(memory.word(part, abi.PART_AT_OUT), n, dtype).reshape(elements.shape)
            kept = "int32" if elements.dtype == np.float32 else elements.dtype.name
            found = memory.view(memory.word(part, abi.PART_AT_ELEMENTS), n, kept)
            result = found.astype(dtype)
            wrong = result != found
            if wrong.any():
                bad = int(wrong.argmax())
                raise CodecError(
                    "OUT_OF_RANGE", f"symbol {bad} is {found[bad]}, which {dtype} cannot hold; ask for int32"
                )
            return result.reshape(elements.shape)
        finally:
            wasm.freeWriter(writer)

    # ---- several parts

    def _sequence_source(self, table: Optional[TableSource], scale_table: Optional[Any], step: float) -> Source:
        """A prior without scales, for a sequence."""
        prior = self.gaussian(np.empty(0, np.float32), table=table, scale_table=scale_table, step=step)
        return Prior.source_of(prior, self._memory)

    def writer(
        self,
        *,
        format: str = "packet",
        header: str = "packet",
        lanes: Optional[int] = None,
        checksum: Checksum = True,
        fingerprint: bool = True,
        guard: Union[float, Guard, None] = None,
        index_checks: Optional[bool] = None,
    ) -> PartWriter:
        """Begins a packet of several parts: hyperpriors, channel groups, autoregressive priors.

        format: `packet`, or `strings`: one CompressAI string per part, without guard and checks. guard: how far the
        scales of writer and reader may differ, a relative bound or a `Guard` (docs/determinism.md). index_checks: two
        bytes per part by which a reader finds that its rows are not the writer's; default: with a guard. The others as
        of `encode`. Raises TypeError, ValueError.
        """
        self._memory.enter()
        settings = writer_settings(format, header, lanes, checksum, fingerprint, guard, index_checks)
        return PartWriter(self._memory, settings, self._sequence_source)

    def reader(
        self,
        packet: Union[Buffer, Sequence[Buffer]],
        *,
        header: str = "packet",
        checksum: Checksum = True,
        max_elements: float = 2**24,
        max_context_elements: float = 2**20,
    ) -> PartReader:
        """Opens a packet of any number of parts, or a list of CompressAI's strings.

        Raises NOT_A_PACKET, UNSUPPORTED_VERSION, TRUNCATED, CORRUPTED, LIMIT_EXCEEDED; TypeError, ValueError for a
        wrong argument.
        """
        self._memory.enter()
        form = agreed(header, "native", checksum)
        return PartReader(self._memory, packet, form, (max_elements, max_context_elements), self._sequence_source)

    def rate(self, latent: Any, prior: Prior, *, axis: Optional[int] = None, affine: Optional[Affine] = None) -> Rate:
        """The ideal code length of a latent, without encoding it. axis: a dimension along which it is reported, too.

        Raises as `encode`; ValueError for an axis that the latent does not have.
        """
        self._memory.enter()
        return rate_of(self._memory, array_of(latent, "latent"), prior, axis, affine)


def _check_ladder(ladder: Sequence[Any], header: str, fingerprint: bool) -> None:
    if not 1 <= len(ladder) <= 256:
        raise ValueError(f"a ladder has 1 to 256 priors, not {len(ladder)}")
    if header == "none" or (header != "compact" and not fingerprint):
        raise TypeError('a ladder needs a fingerprint, or header="compact"')
