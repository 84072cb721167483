"""Priors: which row codes which symbol, and what is subtracted before quantizing."""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np
import numpy.typing as npt

from . import abi
from .cdfs import DISTRIBUTIONS, STOCK_SCALES
from .elements import CORE, Affine, zero_point_of
from .errors import CodecError, refuse_kind
from .memory import CHUNK, Memory
from .tables import Table
from .tensor import (
    Floats,
    array_of,
    check_shape,
    floats_of,
    mismatch,
    own_shape,
    shape_text,
    shapes_agree,
)

#: Where the scales begin behind the address that newScales gives: SCALES_VALUES of assembly/rows.ts.
_SCALES_VALUES = 64 + 32768


class Mixture(NamedTuple):
    """What only a mixture has. All its arrays hold component after component."""

    components: int
    distribution: int
    low: int
    size: int
    weights: Optional[Floats]
    means: Floats


class Network(NamedTuple):
    """Loaded parameters of a context prior."""

    address: int
    #: Channels of the tensor, and how many of them are coded under the context.
    channels: int
    active: int
    #: All channels: first the active ones in the order of coding, then the others, ascending.
    order: Tuple[int, ...]
    #: Rows of the table where each symbol is given one, otherwise 0.
    given_rows: int


class Source(NamedTuple):
    """What a prior consists of. A name that ends in address is an address in the memory of the codec. kind and
    centre_kind are numbers of abi: KIND_* and CENTRE_*. Arrays have one dimension: one number for each element, in a
    mixture K numbers.
    """

    kind: int
    table_address: int
    table_rows: int
    centre_kind: int = abi.CENTRE_NONE
    step: float = 1.0
    #: For kind channels, and under a context. None: 1, or 0 where the rank is 1.
    axis: Optional[int] = None
    rows: Optional[npt.NDArray[np.uint16]] = None
    scales: Optional[Floats] = None
    means: Optional[Floats] = None
    scales_address: int = 0
    #: The table's scales, one per row: those behind that address. A guard's limits follow from them.
    scale_table: Optional[Floats] = None
    mixture: Optional[Mixture] = None
    network: Optional[Network] = None
    #: The shape, if the prior has one.
    shape: Optional[Tuple[int, ...]] = None

    @property
    def whole(self) -> bool:
        """Whether all elements must be in Wasm memory at once, because they do not follow one another or depend on each
        other.
        """
        return self.mixture is not None or self.network is not None

    def zero_point(self, affine: Optional[Affine], dtype: str) -> int:
        """The zero point of quantized elements of this type. Raises ValueError where `affine` does not fit."""
        return zero_point_of(affine, dtype, self.step, self.centre_kind != abi.CENTRE_NONE)

    def axis_of(self, shape: Sequence[int]) -> int:
        """The dimension of the channels."""
        return self.axis if self.axis is not None else 0 if len(shape) == 1 else 1

    def chunk(self, n: int) -> int:
        """How many of n elements are in Wasm memory at once, at least 1."""
        return max(n if self.whole else min(n, CHUNK), 1)


class Prior:
    """Says which row codes which symbol, and how elements become symbols. Use it with the codec that made it.

    Arrays that are given to a prior are read when it is used, not when it is made.
    """

    def __init__(self, memory: Memory, kind: str, table: Table, source: Source) -> None:
        self._memory = memory
        self._source = source
        #: `factorized`, `gaussian`, `indexed`, `mixture` or `context`.
        self.kind = kind
        #: The rows. A mixture has none; its table is that of the 64 scales to which its scales are rounded.
        self.table = table

    def __repr__(self) -> str:
        return f"<latentwire.Prior {self.kind}, {self.table.rows} rows, step {self.step}>"

    @property
    def step(self) -> float:
        """The quantization step, a float32."""
        return self._source.step

    @staticmethod
    def source_of(prior: Any, memory: Memory) -> Source:
        """Raises TypeError for a prior of another codec."""
        if isinstance(prior, Prior) and prior._memory is memory:
            return prior._source
        raise TypeError(
            "prior must come from factorized(), gaussian(), indexed(), mixture() or context() of this codec"
        )


def fill_part(memory: Memory, part: int, source: Source, shape: Sequence[int], n: int, dtype: str) -> None:
    """Fills in a part of n elements (a sequence counts its own later).

    Raises SHAPE_MISMATCH if the prior does not fit the shape.
    """
    if shape and source.shape is not None and not shapes_agree(source.shape, shape):
        # Equal numbers of elements are not enough: a transposed export has them, too.
        raise mismatch(f"the prior has the shape {shape_text(source.shape)}, the part {shape_text(shape)}")
    mixture = source.mixture
    axis, run = 0, 1
    if source.kind == abi.KIND_CHANNELS:
        axis = source.axis_of(shape)
        run = _run(source, shape, axis)
    elif shape:
        if source.network:
            axis = source.axis_of(shape)
            found = shape[axis] if axis < len(shape) else None
            if found != source.network.channels:
                raise mismatch(
                    f"dimension {axis} of the shape {shape_text(shape)} is {found}, "
                    f"the context prior is for {source.network.channels} channels"
                )
        _check_counts(source, shape, n)
    base = part >> 2
    words = memory.u32
    words[base + (abi.PART_KIND >> 2)] = source.kind
    words[base + (abi.PART_CENTRE >> 2)] = source.centre_kind
    memory.set_float(part, abi.PART_STEP, source.step)
    words[base + (abi.PART_AXIS >> 2)] = axis
    words[base + (abi.PART_TABLE >> 2)] = source.table_address
    words[base + (abi.PART_COUNT >> 2)] = n
    words[base + (abi.PART_RUN >> 2)] = run
    words[base + (abi.PART_TYPE >> 2)] = CORE.index(dtype)
    words[base + (abi.PART_RANK >> 2)] = len(shape)
    for d, size in enumerate(shape):
        words[base + (abi.PART_DIMS >> 2) + d] = size
    words[base + (abi.PART_SCALES >> 2)] = source.scales_address
    words[base + (abi.PART_COMPONENTS >> 2)] = mixture.components if mixture else 1
    words[base + (abi.PART_CONTEXT >> 2)] = source.network.address if source.network else 0
    if mixture:
        words[base + (abi.PART_DISTRIBUTION >> 2)] = mixture.distribution
        words[base + (abi.PART_LOW >> 2)] = mixture.low & 0xFFFFFFFF
        words[base + (abi.PART_SIZE >> 2)] = mixture.size
        words[base + (abi.PART_WEIGHTED >> 2)] = mixture.weights is not None


def _run(source: Source, shape: Sequence[int], axis: int) -> int:
    """How many consecutive symbols share a row."""
    if axis >= len(shape):
        raise mismatch(f"the prior's axis is {axis}, the shape {shape_text(shape)} has {len(shape)} dimensions")
    if shape[axis] != source.table_rows:
        raise mismatch(
            f"dimension {axis} of the shape {shape_text(shape)} is {shape[axis]}, "
            f"the table has {source.table_rows} rows; the option axis names the dimension of the rows"
        )
    run = 1
    for size in shape[axis + 1 :]:
        run *= size
    # Wasm divides by it, in 32 bits. Without elements any number will do.
    return run if 0 < run <= 0x7FFFFFFF else 1


def _check_counts(source: Source, shape: Sequence[int], n: int) -> None:
    parameters = source.rows if source.kind == abi.KIND_ROWS else source.scales
    found = 0 if parameters is None else parameters.size
    expected = n * (source.mixture.components if source.mixture else 1)
    if found != expected:
        raise mismatch(f"the prior is for {found} elements, the shape {shape_text(shape)} has {expected}")
    if source.means is not None and source.means.size != n:
        raise mismatch(f"the prior has {source.means.size} means, the shape {shape_text(shape)} has {n} elements")


def place_parameters(memory: Memory, part: int, source: Source, begin: int, end: int) -> None:
    """Copies means, and scales or rows, of elements [begin, end) to the addresses of the part."""
    if source.means is not None:
        memory.place(source.means[begin:end], memory.word(part, abi.PART_AT_MEANS))
    if source.rows is not None:
        memory.place(source.rows[begin:end], memory.word(part, abi.PART_AT_ROWS_OR_SCALES))
    if source.scales is None:
        return
    mixture = source.mixture
    k = mixture.components if mixture else 1
    memory.place(source.scales[k * begin : k * end], memory.word(part, abi.PART_AT_ROWS_OR_SCALES))
    if mixture:
        memory.place(mixture.means[k * begin : k * end], memory.word(part, abi.PART_AT_CENTRES))
        if mixture.weights is not None:
            memory.place(mixture.weights[k * begin : k * end], memory.word(part, abi.PART_AT_WEIGHTS))


# ---- making priors


class Scales:
    """Scales in Wasm memory, for the life of the codec: its own 64, or those of a table."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._known: Dict[bytes, int] = {}

    def load(self, values: Floats) -> int:
        """The address of these scales. Raises LIMIT_EXCEEDED."""
        key = values.tobytes()
        if key not in self._known:
            address = self._memory.address(self._memory.wasm.newScales(values.size))
            self._memory.place(values, address + _SCALES_VALUES)
            self._memory.wasm.buildScales(address)
            self._known[key] = address
        return self._known[key]


def load_network(memory: Memory, parameters: npt.NDArray[np.uint8]) -> Network:
    """Loads parameters of a context prior. Raises INVALID_CONTEXT, UNSUPPORTED_VERSION, LIMIT_EXCEEDED."""
    size = memory.size
    source = memory.address(memory.wasm.contextSource(parameters.size))
    memory.place(parameters, source)
    address = memory.wasm.loadContext(source, parameters.size)
    memory.sync()
    if address == 0:
        code = memory.fault_code
        memory.trim(size)
        if code == abi.UNSUPPORTED_VERSION:
            raise CodecError(
                "UNSUPPORTED_VERSION",
                "the parameters of the context prior have another version: update latentwire, or fit them again",
            )
        beginning = parameters[:16].tobytes()
        if beginning[:3] != b"LWC":
            refuse_kind("INVALID_CONTEXT", beginning, "context prior")
        raise CodecError(
            "INVALID_CONTEXT",
            "the parameters of the context prior are damaged: `latentwire tables fit --context` makes them",
        )
    channels = memory.word(address, abi.CONTEXT_CHANNELS)
    order = memory.words(memory.word(address, abi.CONTEXT_ORDER), 0, channels)
    active, given = (memory.word(address, field) for field in (abi.CONTEXT_ACTIVE, abi.CONTEXT_GIVEN_ROWS))
    return Network(address, channels, active, order, given)


def mixture_source(
    scales: Any,
    means: Any,
    weights: Any,
    components: int,
    kind: str,
    support: Sequence[int],
    shape: Optional[Sequence[int]],
    stock: Table,
    loaded: Scales,
) -> Source:
    """The source of a mixture's prior. Raises TypeError, ValueError, SHAPE_MISMATCH."""
    if not (_is_whole(components) and 1 <= components <= 16):
        raise ValueError(f"components must be 1 .. 16, not {components!r}")
    if kind not in DISTRIBUTIONS:
        raise TypeError(f"kind must be one of {', '.join(DISTRIBUTIONS)}, not {kind!r}")
    low, high = support
    if not (_is_whole(low) and _is_whole(high) and -32768 <= low <= high <= 32767):
        raise ValueError(f"support must be two ascending int16 numbers, not [{low},{high}]")
    if high - low > 4095:
        raise ValueError(f"support [{low},{high}] has more than 4096 values")
    sigmas = floats_of(scales, "scales")
    centres = floats_of(means, "means")
    mixing = None if weights is None else floats_of(weights, "weights")
    if sigmas.size % components:
        raise mismatch(f"{sigmas.size} scales are no multiple of {components} components")
    for name, found in (("means", centres), ("weights", mixing)):
        if found is not None and found.size != sigmas.size:
            raise mismatch(f"{found.size} {name}, but {sigmas.size} scales")
        check_parameters(name, found, sigmas)
    wanted = _mixture_shape(sigmas.shape, components, sigmas.size) if shape is None else own_shape(shape)
    check_shape(wanted)
    return Source(
        kind=abi.KIND_MIXTURE,
        table_address=0,
        table_rows=stock.rows,
        scales=sigmas.reshape(-1),
        scales_address=loaded.load(STOCK_SCALES),
        scale_table=STOCK_SCALES,
        mixture=Mixture(
            int(components),
            list(DISTRIBUTIONS).index(kind),
            int(low),
            int(high) - int(low) + 1,
            None if mixing is None else mixing.reshape(-1),
            centres.reshape(-1),
        ),
        shape=wanted,
    )


def _mixture_shape(shape: Tuple[int, ...], components: int, n: int) -> Tuple[int, ...]:
    """The shape of a part from that of its parameters:

    [C, H, W] from [K, C, H, W], and [1, C, H, W] from [1, K * C, H, W].
    """
    if components == 1:
        return shape
    if len(shape) > 1 and shape[0] == components:
        return shape[1:]
    if len(shape) > 2 and shape[0] == 1 and shape[1] % components == 0:
        return (1, shape[1] // components, *shape[2:])
    return (n // components,)


def check_parameters(name: str, found: Optional[Floats], sigmas: Floats) -> None:
    """Checks that the parameters of a prior have one shape, except for dimensions of 1."""
    if found is not None and not shapes_agree(found.shape, sigmas.shape):
        raise mismatch(f"the {name} have the shape {shape_text(found.shape)}, the scales {shape_text(sigmas.shape)}")


def check_rows(rows: Any, limit: int) -> npt.NDArray[np.uint16]:
    """Rows as u16, each checked against the table. Raises TypeError, ValueError."""
    array = array_of(rows, "rows").reshape(-1)
    if array.size and array.dtype.kind not in "iu":
        raise TypeError(f"rows must be integers, not {array.dtype}")
    outside = (array < 0) | (array >= limit)
    if outside.any():
        position = int(outside.argmax())
        raise ValueError(f"rows[{position}] is {array[position]}, the table has rows 0 .. {limit - 1}")
    # A copy, because the rows were checked.
    return array.astype(np.uint16)


def check_step(step: Any) -> float:
    """A positive float32 of at most 2^94 (docs/format.md section 6). Raises TypeError, ValueError."""
    if isinstance(step, bool) or not isinstance(step, (int, float, np.floating, np.integer)):
        raise TypeError(f"step must be a number, not {step!r}")
    with np.errstate(over="ignore"):
        rounded = float(np.float32(step))
    if not 0 < rounded <= 2**94:
        raise ValueError(f"step must be a positive number of at most 2^94, not {step}")
    return rounded


def check_axis(axis: Optional[int]) -> Optional[int]:
    """A dimension, or None. Raises ValueError."""
    if axis is None:
        return None
    if not _is_whole(axis) or not 0 <= axis < 7:
        raise ValueError(f"axis must be a dimension from 0 to 6, not {axis!r}")
    return int(axis)


def check_scales(scales: Floats, rows: int, name: str) -> None:
    """Ascending finite scales, one per row. Raises ValueError."""
    if scales.ndim != 1 or scales.size != rows:
        raise ValueError(f"{name} has {scales.size} scales, the table {rows} rows")
    below: List[float] = [0.0, *scales.tolist()]
    for j, scale in enumerate(scales.tolist()):
        if not below[j] < scale < float("inf"):
            raise ValueError(f"{name} must hold positive ascending numbers; {name}[{j}] is {scale}")


def _is_whole(value: Union[int, Any]) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)
