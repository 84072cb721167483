"""Element types: what an array may hold.

The kernels know four of them. Elements of the others become float32 or int32 on their way in and come back on their way
out, here and nowhere else. docs/guide.md has the rule.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Optional, Sequence

import numpy as np

from .errors import CodecError, shown
from .tensor import Array, array_of, check_shape, out_array

#: Types that the kernels know, by number: TYPE_* of assembly/part.ts.
CORE = ("float32", "int32", "int16", "int8")
_OTHERS = ("uint8", "bool", "uint16", "uint32", "int64", "uint64", "float16", "float64")


class Affine(NamedTuple):
    """How a QDQ model quantizes an array of int8, uint8, int16 or uint16: value = (element - zero_point) * scale.

    The symbols are element - zero_point; decoded to float32 an array has the values, decoded to its own type the same
    elements. The step of the prior must be the scale.
    """

    scale: float
    zero_point: int = 0


def type_name(dtype: Any) -> str:
    """The name of an element type, in any byte order. Raises TypeError for one that a packet is not decoded to."""
    try:
        name = str(np.dtype(dtype).newbyteorder("=").name)
    except TypeError:
        name = str(dtype)
    if name not in CORE + _OTHERS:
        raise TypeError(f"dtype must be {', '.join(CORE + _OTHERS)}, not {name}")
    return name


def core_of(dtype: str, zero_point: int = 0) -> str:
    """The type of the kernels in which elements are coded."""
    if dtype.startswith("float"):
        return "float32"
    return dtype if zero_point == 0 and dtype in ("int16", "int8") else "int32"


def zero_point_of(affine: Optional[Affine], dtype: str, step: float, is_centred: bool) -> int:
    """The zero point of quantized elements, 0 without `affine`.

    Raises ValueError where it does not fit the type or the prior: decoded values would be wrong without a word.
    """
    if affine is None:
        return 0
    scale, zero_point = Affine(*affine)
    if float(np.float32(scale)) != step or is_centred:
        raise ValueError(
            f"affine: the prior must have step {shown(scale)} and subtract nothing; its step is {shown(step)}"
        )
    # Decoded to float32, symbol times step is the value.
    if dtype == "float32":
        return 0
    if dtype not in ("int8", "uint8", "int16", "uint16"):
        raise ValueError(f"affine: {zero_point} is no zero point of {dtype}")
    limits = np.iinfo(dtype)
    if int(zero_point) != zero_point or not limits.min <= zero_point <= limits.max:
        raise ValueError(f"affine: {zero_point} is no zero point of {dtype}")
    return int(zero_point)


def _refuse(wrong: Array, values: Array, dtype: str) -> None:
    """Raises OUT_OF_RANGE for the first element that is wrong."""
    if wrong.any():
        at = int(wrong.argmax())
        value = values.reshape(-1)[at]
        text = shown(float(value)) if values.dtype.kind == "f" else str(value)
        raise CodecError(
            "OUT_OF_RANGE", f"element {at} is {text}, which {dtype} cannot hold; take a wider type or scale"
        )


def elements_of(value: Any, name: str, zero_point: int = 0) -> Array:
    """A latent as the codec takes it: C order, native bytes, of a type of CORE.

    Floats of other sizes become float32; bool and other integers are symbols. Raises TypeError for other types,
    OUT_OF_RANGE for a number that float32 or int32 cannot hold, SHAPE_MISMATCH for 0 or more than 7 dimensions.
    """
    array = array_of(value, name)
    check_shape(array.shape)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name} must hold floats or integers, not {array.dtype}")
    core = core_of(array.dtype.newbyteorder("=").name, zero_point)
    with np.errstate(over="ignore"):
        found: Array = np.ascontiguousarray(array, dtype=core)
    if core == "float32" and array.dtype.itemsize > 4:
        # The kernels refuse what is no finite number.
        _refuse((np.isinf(found) & np.isfinite(array)).reshape(-1), array, core)
    elif core == "int32" and array.dtype.itemsize >= 4 and array.dtype.kind in "iu":
        _refuse((found != array).reshape(-1) | (found < 0).reshape(-1) & (array.dtype.kind == "u"), array, core)
    return found - np.int32(zero_point) if zero_point else found


class Target:
    """The array that takes a part's elements: `core` is what the kernels fill, `finish` gives the result."""

    def __init__(self, out: Optional[Array], dtype: str, shape: Sequence[int], zero_point: int = 0) -> None:
        """Raises TypeError, ValueError for an `out` that cannot take them."""
        self._dtype = dtype
        self._zero_point = zero_point
        self._target, self._result = out_array(out, dtype, shape)
        core = core_of(dtype, zero_point)
        self.core = self._target if core == dtype else np.empty(tuple(shape), core)

    def finish(self) -> Array:
        """The array that is returned. Raises OUT_OF_RANGE for an element that its type cannot hold."""
        if self.core is not self._target:
            self._convert()
        if self._result is not self._target:
            self._result[...] = self._target
        return self._result

    def _convert(self) -> None:
        with np.errstate(over="ignore"):
            self._target[...] = values = self.core.astype(np.int64) + self._zero_point if self._is_whole else self.core
        if self._is_whole:
            kept = self._target.astype(np.int64) == values
            _refuse(~kept.reshape(-1) | (values < 0).reshape(-1) & (self._dtype[0] in "ub"), values, self._dtype)
        elif self._dtype == "float16":
            _refuse(~np.isfinite(self._target).reshape(-1), values, self._dtype)

    @property
    def _is_whole(self) -> bool:
        return not self._dtype.startswith("float")
