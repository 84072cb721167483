"""Rows made from probabilities. Wasm computes them, so that they are the same everywhere: docs/math.md 1 and 2."""

from __future__ import annotations

import math
from typing import Any, Dict, List, Sequence

import numpy as np
import numpy.typing as npt

from . import abi
from .errors import CodecError
from .memory import Memory
from .tensor import Floats, floats_of

_PADDING = 256
_MAX_FILTER = 256

# CompressAI's get_scale_table() as torch computes it: bindings/cdfs.ts says why it is these numbers.
_LOWEST = -2.207274913787842
_HIGHEST = 5.545177459716797
_STEP = 0.12305480241775513


def _stock_scales() -> Floats:
    exponents = [_LOWEST + i * _STEP if i < 32 else _HIGHEST - (63 - i) * _STEP for i in range(64)]
    return np.array([math.exp(float(np.float32(exponent))) for exponent in exponents], np.float32)


#: CompressAI's 64 scales, float32.
STOCK_SCALES = _stock_scales()
STOCK_SCALES.flags.writeable = False


def quantized_cdf(memory: Memory, pmf: Floats, precision: int) -> npt.NDArray[np.uint32]:
    """CompressAI's pmf_to_quantized_cdf. Raises INVALID_PMF."""
    if pmf.size == 0:
        raise CodecError("INVALID_PMF", "pmf is empty")
    at = memory.scratch(8 * pmf.size + 4 * _PADDING)
    memory.place(pmf, at)
    return _cdf_at(memory, at, pmf.size, precision)


def _cdf_at(memory: Memory, pmf: int, n: int, precision: int = 16) -> npt.NDArray[np.uint32]:
    """The cdf of the n probabilities at an address. Behind them there is room for it."""
    cdf = pmf + 4 * n + _PADDING
    code = memory.wasm.quantizedCdf(pmf, n, precision, cdf)
    if code == abi.NON_FINITE:
        raise CodecError("INVALID_PMF", "a probability is negative, NaN or infinite")
    if code != 0:
        why = f"do not fit {2**precision}" if n > 2**precision else "are all 0, or far above 1"
        raise CodecError("INVALID_PMF", f"{n} probabilities {why}")
    return memory.copy(cdf, n + 1, "uint32")


#: Distributions with a row per scale, by number, and the largest scale at which every symbol still gets a frequency of
#: 1.
DISTRIBUTIONS = {"gaussian": 5000, "laplace": 1500, "logistic": 1500}


def scale_rows(memory: Memory, kind: str, scales: Floats) -> Dict[str, Any]:
    """A row per scale, as a table's JSON. Raises ValueError for a scale that is too large."""
    distribution = list(DISTRIBUTIONS).index(kind)
    offsets: List[int] = []
    cdfs: List[Any] = []
    for j, scale in enumerate(scales.tolist()):
        if scale > DISTRIBUTIONS[kind]:
            raise ValueError(f"scales[{j}] = {scale} is above {DISTRIBUTIONS[kind]}")
        half = memory.wasm.halfWidth(distribution, scale)
        n = 2 * half + 2
        at = memory.scratch(8 * n + 4 * _PADDING)
        memory.wasm.scalePmf(distribution, scale, at)
        offsets.append(-half)
        cdfs.append(_cdf_at(memory, at, n))
    return {"offsets": offsets, "cdfs": cdfs}


def factorized_rows(
    memory: Memory, matrices: Sequence[Any], biases: Sequence[Any], factors: Sequence[Any], quantiles: Any
) -> Dict[str, Any]:
    """The rows of a factorized prior from its parameters, as CompressAI's EntropyBottleneck.update computes them.

    Raises ValueError where the arrays contradict each other.
    """
    limits = floats_of(quantiles, "quantiles").reshape(-1)
    channels = limits.size // 3
    if limits.size % 3 or channels < 1:
        raise ValueError("quantiles must have 3 numbers per channel")
    layers = [
        [floats_of(array, name).reshape(-1) for array in arrays]
        for name, arrays in (("matrices", matrices), ("biases", biases), ("factors", factors))
    ]
    filters = _filters(layers, channels)
    low, median, high = limits.reshape(-1, 3).T
    # float32 differences, as CompressAI's.
    below = np.maximum(np.float32(0), np.ceil(median - low))
    above = np.maximum(np.float32(0), np.ceil(high - median))
    # Also for NaN.
    wide = ~(below + above < 65535)
    if wide.any():
        c = int(wide.argmax())
        raise ValueError(f"quantiles of channel {c} are {low[c]} .. {high[c]}: too wide")
    lengths = (below + above).astype(np.int64) + 1
    cdfs = [
        _factorized_row(
            memory,
            _channel(layers, filters, c),
            filters,
            float(median[c]) - float(below[c]),
            int(lengths[c]),
            int(lengths.max()),
        )
        for c in range(channels)
    ]
    return {"offsets": [-int(b) for b in below], "medians": median.tolist(), "cdfs": cdfs}


def _filters(layers: Sequence[Sequence[Floats]], channels: int) -> npt.NDArray[np.uint32]:
    """Number of values before the first layer, between layers, and after the last."""
    matrices, biases, factors = layers
    count = len(matrices)
    if count < 1 or len(biases) != count or len(factors) != count - 1:
        raise ValueError("biases: one per matrix; factors: one less")
    filters = [1]
    for i in range(count):
        width = biases[i].size // channels
        fits = (
            biases[i].size == width * channels
            and 1 <= width <= _MAX_FILTER
            and matrices[i].size == channels * width * filters[i]
            and (width == 1 if i == count - 1 else factors[i].size == width * channels)
        )
        if not fits:
            raise ValueError(f"layer {i}: matrices, biases and factors do not fit {channels} channels")
        filters.append(width)
    return np.array(filters, np.uint32)


def _channel(layers: Sequence[Sequence[Floats]], filters: npt.NDArray[np.uint32], c: int) -> Floats:
    """Matrix, bias and factor of each layer for one channel, in the order in which Wasm reads them."""
    matrices, biases, factors = layers
    parts: List[Floats] = []
    for i, matrix in enumerate(matrices):
        width = int(filters[i + 1])
        weights = width * int(filters[i])
        parts.append(matrix[c * weights : (c + 1) * weights])
        parts.append(biases[i][c * width : (c + 1) * width])
        if i + 1 < len(matrices):
            parts.append(factors[i][c * width : (c + 1) * width])
    return np.concatenate(parts)


def _factorized_row(
    memory: Memory, channel: Floats, filters: npt.NDArray[np.uint32], start: float, length: int, longest: int
) -> npt.NDArray[np.uint32]:
    # A layer's input and output, float64.
    work = 2 * _MAX_FILTER * 8
    at = memory.scratch(work + 4 * channel.size + 4 * filters.size + 8 * (length + 1) + 8 * _PADDING)
    parameters = at + work
    widths = parameters + 4 * channel.size
    pmf = widths + 4 * filters.size
    memory.place(channel, parameters)
    memory.place(filters, widths)
    memory.wasm.factorizedPmf(parameters, filters.size - 1, widths, start, length, longest, pmf, at)
    return _cdf_at(memory, pmf, length + 1)
