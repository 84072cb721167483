"""What the codec accepts as a tensor: numpy arrays of any layout, and whatever numpy or torch makes one of."""

from __future__ import annotations

from typing import Any, List, Optional, Sequence, Tuple, Union, cast

import numpy as np
import numpy.typing as npt

from .errors import CodecError

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]
#: Bytes of a packet or a table.
Buffer = Union[bytes, bytearray, memoryview, npt.NDArray[np.uint8]]

MAX_RANK = 7


def shape_text(shape: Sequence[Any]) -> str:
    """A shape as messages write it."""
    return f"[{','.join(map(str, shape))}]"


def mismatch(message: str) -> CodecError:
    """The error of shapes that do not fit together."""
    return CodecError("SHAPE_MISMATCH", message)


def check_shape(shape: Sequence[int]) -> int:
    """Number of elements. Raises SHAPE_MISMATCH for a shape that a packet cannot hold."""
    if not 1 <= len(shape) <= MAX_RANK:
        raise mismatch(f"the shape {shape_text(shape)} must have 1 .. {MAX_RANK} dimensions")
    n = 1
    for size in shape:
        if not 0 <= size <= 0x7FFFFFFF:
            raise mismatch(f"the shape {shape_text(shape)} has a dimension outside 0 .. 2^31 - 1")
        n *= size
    if n > 0x7FFFFFFF:
        raise mismatch(f"the shape {shape_text(shape)} has more than 2^31 - 1 elements")
    return n


def own_shape(shape: Any, name: str = "shape") -> Tuple[int, ...]:
    """A shape as a tuple of ints. Raises TypeError for what is none."""
    try:
        sizes = tuple(shape)
        if any(isinstance(size, bool) or size != int(size) for size in sizes):
            raise TypeError
        return tuple(int(size) for size in sizes)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a sequence of integers, not {shape!r}") from None


def shapes_agree(a: Sequence[int], b: Sequence[int]) -> bool:
    """Whether two shapes are equal except for dimensions of 1.

    A shape of a single dimension says only the number of elements.
    """
    x, y = ([size for size in shape if size != 1] for shape in (a, b))
    return len(x) < 2 or len(y) < 2 or x == y


def array_of(value: Any, name: str) -> Array:
    """An array of what the caller gave: an array, a tensor of torch on any device, or lists. Raises TypeError."""
    if isinstance(value, np.ndarray):
        return value
    if hasattr(value, "detach") and hasattr(value, "cpu"):
        value = value.detach().cpu()
        # numpy has no bfloat16. float32 holds its values.
        value = (value.float() if "bfloat16" in str(value.dtype) else value).numpy()
    if isinstance(value, (str, bytes, bytearray, dict)) or value is None:
        raise TypeError(f"{name} must be an array, not {type(value).__name__}")
    return np.asarray(value)


def floats_of(value: Any, name: str) -> Floats:
    """Parameters of a prior as float32 in C order. Raises TypeError, SHAPE_MISMATCH."""
    array = array_of(value, name)
    if array.dtype.kind != "f":
        raise TypeError(f"{name} must be float32, not {array.dtype}")
    check_shape(array.shape)
    return _contiguous(array, "float32")


def _contiguous(array: Array, wanted: str) -> Array:
    # A float64 beyond float32 becomes infinite. The codec reports it with its position.
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(array, dtype=wanted)


def out_array(out: Optional[Array], dtype: str, shape: Sequence[int]) -> Tuple[Array, Array]:
    """The array that takes the elements in C order, and the one that is returned: `out`, which may have another layout.

    Raises TypeError, ValueError for an array that cannot take them.
    """
    if out is None:
        array = np.empty(tuple(shape), dtype=dtype)
        return array, array
    if not isinstance(out, np.ndarray) or out.dtype.newbyteorder("=") != dtype:
        raise TypeError(f"out must be an array of {dtype}, not {getattr(out, 'dtype', type(out).__name__)}")
    if out.shape != tuple(shape):
        raise ValueError(f"out has the shape {shape_text(out.shape)}, {shape_text(shape)} is needed")
    if not out.flags.writeable:
        raise ValueError("out is read-only")
    plain = out.flags.c_contiguous and out.dtype.isnative
    return (out if plain else np.empty(out.shape, dtype=dtype)), out


def bytes_of(value: Any, name: str) -> npt.NDArray[np.uint8]:
    """The bytes of a buffer as an array, without a copy where they follow one another. Raises TypeError."""
    if not isinstance(value, (bytes, bytearray, memoryview, np.ndarray)):
        raise TypeError(f"{name} must be bytes, not {type(value).__name__}")
    if isinstance(value, np.ndarray) and value.dtype != np.uint8:
        raise TypeError(f"{name} must be bytes or an array of uint8, not of {value.dtype}")
    view: Any = memoryview(cast(Any, value))
    return np.frombuffer(view if view.contiguous else view.tobytes(), dtype=np.uint8)


def checkerboard_half(tensor: Array, parity: int) -> Array:
    """Half of the positions of the two last dimensions: those with (h + w) mod 2 = parity.

    They come row by row, as [.., H / 2, 2, W / 2]: a view, which may be written. Raises ValueError where H or W is odd,
    or the tensor has fewer than 2 or more than 6 dimensions.
    """
    shape, strides = tensor.shape, tensor.strides
    if not 2 <= len(shape) <= 6 or shape[-1] % 2 or shape[-2] % 2:
        raise ValueError(f"the shape {shape_text(shape)} does not end with two even dimensions; pad the image")
    if parity not in (0, 1):
        raise ValueError(f"parity must be 0 or 1, not {parity}")
    half = (*shape[:-2], shape[-2] // 2, 2, shape[-1] // 2)
    if tensor.size == 0:
        return np.empty(half, tensor.dtype)
    down, right = strides[-2:]
    first: List[slice] = [slice(None)] * (len(shape) - 1) + [slice(1 if parity else 0, None)]
    steps = (*strides[:-2], 2 * down, down - right if parity else down + right, 2 * right)
    return np.lib.stride_tricks.as_strided(tensor[tuple(first)], half, steps)
