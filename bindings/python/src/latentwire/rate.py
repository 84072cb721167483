"""What a latent costs, without coding it. These figures are for people: no packet depends on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, NamedTuple, Optional, Tuple

import numpy as np
import numpy.typing as npt

from . import abi
from .elements import CORE, Affine, elements_of
from .memory import Memory
from .prior import Network, Prior, fill_part
from .tables import Rows
from .tensor import Array
from .writer import write_elements

#: A larger share of escapes, or more bits than this many times the latent's own histograms, gives a warning.
_ESCAPE_SHARE = 0.005
_EXCESS = 1.2


@dataclass(frozen=True)
class Rate:
    """What a latent costs under a prior."""

    symbols: int
    #: Ideal code length: the sum of -log2(freq / 65536), and 8 bits for every byte of an escape.
    bits: float
    escapes: int
    #: Along `axis`: float64 and int64, one per index.
    channel_bits: Optional[npt.NDArray[np.float64]] = None
    channel_escapes: Optional[npt.NDArray[np.int64]] = None
    #: A sentence, if the table does not fit the latent.
    warning: Optional[str] = None


class _Costs(NamedTuple):
    """Symbols of a part as a writer keeps it, and what each of them costs."""

    symbols: npt.NDArray[np.int64]
    #: None for a mixture, whose rows are made at run time.
    rows: Optional[npt.NDArray[np.int64]]
    bits: npt.NDArray[np.float64]
    escaped: npt.NDArray[np.bool_]


def rate_of(memory: Memory, latent: Array, prior: Prior, axis: Optional[int], affine: Optional[Affine]) -> Rate:
    """The ideal code length of a latent under a prior."""
    wasm, part = memory.wasm, memory.part
    source = Prior.source_of(prior, memory)
    elements = elements_of(latent, "latent", source.zero_point(affine, latent.dtype.newbyteorder("=").name))
    shape, n = elements.shape, elements.size
    if axis is not None and not 0 <= axis < len(shape):
        raise ValueError(f"axis must be a dimension of [{','.join(map(str, shape))}], not {axis}")
    fill_part(memory, part, source, shape, n, elements.dtype.name)
    writer = memory.address(wasm.newWriter(1))
    try:
        memory.check(wasm.openPart(writer, part, n))
        write_elements(memory, writer, source, elements.reshape(-1))
        memory.check(wasm.closePart(writer, part))
        record = memory.word(writer, abi.WRITER_LAST)
        table = prior.table.arrays()
        # Under a context there are two records; a part whose context does not pay has one, as without.
        is_made = memory.word(record, abi.PART_KIND) == abi.KIND_ENTRIES or memory.word(record, abi.PART_COUNT) != n
        if source.network and is_made:
            bits, escaped = _context_costs(memory, record, table, source.network, shape, source.axis_of(shape))
            warning = None
        else:
            costs = _costs(memory, record, n, table)
            bits, escaped = costs.bits, costs.escaped
            warning = _warning(costs)
        total = float(bits.sum())
        if axis is None:
            return Rate(n, total, int(escaped.sum()), warning=warning)
        others = tuple(d for d in range(len(shape)) if d != axis)
        return Rate(
            n,
            total,
            int(escaped.sum()),
            bits.reshape(shape).sum(axis=others),
            escaped.reshape(shape).sum(axis=others, dtype=np.int64),
            warning,
        )
    finally:
        wasm.freeWriter(writer)


def _costs(memory: Memory, record: int, n: int, table: Rows) -> _Costs:
    """Reads a part that a writer keeps: docs/abi.md."""
    dtype = CORE[memory.word(record, abi.PART_TYPE)]
    dtype = "int32" if dtype == "float32" else dtype
    symbols = memory.view(memory.word(record, abi.PART_ELEMENTS), n, dtype).astype(np.int64)
    at = memory.word(record, abi.PART_ROWS)
    kind = memory.word(record, abi.PART_KIND)
    rows: Optional[npt.NDArray[np.int64]] = None
    if kind == abi.KIND_ENTRIES:
        low, size = memory.words(record, abi.PART_LOW, 2)
        entries = memory.copy(at, n, "uint32")
        # The escape is the last entry, with a freq of 1.
        escaped = entries >> 16 == 65535
        freqs = np.where(escaped, 1, entries & 0xFFFF).astype(np.int64)
        places = symbols - (low - (1 << 32) if low >> 31 else low)
        maxima = np.full(n, size, np.int64)
    else:
        if kind == abi.KIND_CHANNELS:
            rows = np.arange(n) // memory.word(record, abi.PART_RUN) % table.maxima.size
        else:
            rows = memory.view(at, n, "uint16").astype(np.int64)
        places = symbols - table.offsets[rows]
        maxima = table.maxima[rows]
        escaped = (places < 0) | (places >= maxima)
        freqs = table.freqs[table.first[rows] + np.where(escaped, maxima, places)]
    bits = 16 - np.log2(freqs)
    bits[escaped] += 8 * _escape_bytes(places[escaped], maxima[escaped])
    return _Costs(symbols, rows, bits, escaped)


def _escape_bytes(places: npt.NDArray[np.int64], maxima: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Bytes of the varint of an escape: docs/format.md sections 1 and 3.3."""
    raw = np.where(places < 0, -2 * places - 1, 2 * (places - maxima))
    return 1 + np.searchsorted([1 << 7 * k for k in range(1, 6)], raw, "right")


def _context_costs(
    memory: Memory, last: int, table: Rows, network: Network, shape: Tuple[int, ...], axis: int
) -> Tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """The same for a part under a context:

    a record of the active channels, and one of the others. In the latent's order.
    """
    channels_last = len(shape) > 2 and axis == len(shape) - 1
    front = shape[: axis - 2] if channels_last else shape[:axis]
    items = int(np.prod(front, dtype=np.int64))
    channels = network.channels
    cells = int(np.prod(shape, dtype=np.int64)) // max(items * channels, 1)
    order = np.array(network.order, np.int64)
    groups: List[Tuple[int, npt.NDArray[np.int64]]] = [(last, order)]
    if network.active < channels:
        before = memory.word(last, abi.PART_BEFORE)
        groups = [(before, order[: network.active]), (last, order[network.active :])]
    bits = np.empty((items, channels, cells))
    escaped = np.empty((items, channels, cells), np.bool_)
    for record, group in groups:
        costs = _costs(memory, record, items * cells * group.size, table)
        bits[:, group] = costs.bits.reshape(items, group.size, cells)
        escaped[:, group] = costs.escaped.reshape(items, group.size, cells)
    if channels_last:
        bits, escaped = bits.transpose(0, 2, 1), escaped.transpose(0, 2, 1)
    return bits.reshape(-1), escaped.reshape(-1)


def _warning(costs: _Costs) -> Optional[str]:
    n, escapes = costs.symbols.size, int(costs.escaped.sum())
    if escapes > _ESCAPE_SHARE * n and escapes > 1:
        return (
            f"{escapes} of {n} symbols ({100 * escapes / n:.1f} %) are escapes: "
            "the table does not reach the latent's values"
        )
    if costs.rows is None:
        return None
    own, bits = _histogram_bits(costs.symbols, costs.rows), float(costs.bits.sum())
    if bits <= _EXCESS * own + 64:
        return None
    return (
        f"{bits / 8:.0f} bytes, but {own / 8:.0f} under histograms of the latent itself: "
        "the table does not fit it"
    )


def _histogram_bits(symbols: npt.NDArray[np.int64], rows: npt.NDArray[np.int64]) -> float:
    """Code length under a histogram per row. Each parameter of it costs half a logarithm (Rissanen 1978)."""
    pairs, counts = np.unique((rows << 32) + (symbols + (1 << 31)), return_counts=True)
    which, values = np.unique(pairs >> 32, return_counts=True)
    sums = np.zeros(which.size)
    np.add.at(sums, np.searchsorted(which, pairs >> 32), counts)
    spread = np.repeat(sums, values)
    own = -(counts * np.log2(counts / spread)).sum() + 0.5 * ((values - 1) * np.log2(sums)).sum()
    return float(own)
