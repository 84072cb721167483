"""CodecError, and the codes of the Wasm module as errors with messages:

docs/errors.md has cause and remedy of each code.
"""

from __future__ import annotations

import math
import re
import struct
from typing import TYPE_CHECKING, NoReturn, Optional, Tuple

from . import abi

if TYPE_CHECKING:
    from .memory import Memory


class CodecError(Exception):
    """Raised for data that cannot be coded or decoded.

    ``code`` is stable, and the same as in JavaScript: ``NOT_A_PACKET``, ``UNSUPPORTED_VERSION``, ``TRUNCATED``,
    ``CORRUPTED``, ``WRONG_PRIOR``, ``SHAPE_MISMATCH``, ``LIMIT_EXCEEDED``, ``NON_FINITE``, ``OUT_OF_RANGE``,
    ``INVALID_TABLE``, ``INVALID_CONTEXT``, ``INVALID_PMF``, ``NOT_A_BUNDLE``, ``MODEL_MISMATCH``, ``MODEL``,
    ``BUILD_MISSING``, ``BIG_ENDIAN``. The message is for people. A caller's mistake is a TypeError or ValueError that
    names the argument.
    """

    code: str

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code

    def __reduce__(self) -> Tuple[type, Tuple[str, str]]:
        return CodecError, (self.code, str(self))


def kind_of(data: bytes) -> Optional[str]:
    """What bytes are and what reads them, where their beginning says it."""
    for beginning, kind, reader in abi.KINDS:
        if re.search(beginning, data[:16]):
            return f"{kind}, read by {reader}"
    return None


def refuse_kind(code: str, data: bytes, wanted: str) -> NoReturn:
    """Raises an error that says what the bytes are instead of what is wanted, or how they begin."""
    text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in data[:16])
    what = kind_of(data) or f'no {wanted}: it begins with "{text}"'
    raise CodecError(code, f"the input is {what}")


_CENTRES = ("nothing", "the table's medians", "means")


def raise_fault(memory: Memory, code: int, dtype: Optional[str] = None) -> NoReturn:
    """Raises what a code means. dtype: the integer type that could not hold a symbol."""
    at = memory.wasm.faultAddress()
    field, position, count, _ = memory.words(at, 0, 4)
    form = "<i" if field == abi.FIELD_SYMBOL else "<f"
    value: float = struct.unpack(form, struct.pack("<I", count))[0]
    if code == abi.GUARD_TOO_WIDE:
        name, step = ("weight", 1 / 256) if field == abi.FIELD_WEIGHT else ("mean", 1 / 64)
        raise ValueError(
            f"the guard is too wide for a mixture's {name} of {shown(value)}: at most {shown(step / 4)} off"
        )
    raise CodecError(abi.CODES[code], _message(code, field, position, value, count, dtype))


def _message(code: int, field: int, position: int, value: float, count: int, dtype: Optional[str]) -> str:
    name = abi.FIELDS[field] if field < len(abi.FIELDS) else abi.FIELDS[0]
    if code == abi.TRUNCATED:
        return "the stream ends too early" if field == abi.FIELD_STREAM else f"the packet ends inside {name}"
    if code == abi.CORRUPTED:
        if field == abi.FIELD_CHECK:
            return "wrong checksum: the packet is damaged or cut off"
        if field == abi.FIELD_COMPACT_CHECK:
            return "the check does not fit: the packet is damaged or cut off, or prior or shape differ"
        if field == abi.FIELD_STREAM:
            return "the stream does not fit its prior, or is damaged"
        return f"{name} contradicts docs/format.md: damage, or another header option"
    if code == abi.UNSUPPORTED_VERSION:
        if field == abi.FIELD_SECTIONS:
            return "the packet has a section that this release does not know"
        return f"packet version {position}; this release reads 1"
    if code == abi.NON_FINITE:
        if field == abi.FIELD_ELEMENT:
            return f"element {position} of the latent is {shown(value)}; replace it before encoding"
        if field == abi.FIELD_MEAN and not math.isnan(value):
            return f"the mean of element {position} is {shown(value)}"
        return f"{name} of element {position} is NaN"
    if code == abi.OUT_OF_RANGE:
        if field == abi.FIELD_SYMBOL:
            return f"symbol {position} is {shown(value)}, which {dtype or 'the type'} cannot hold; ask for int32"
        return f"element {position} of the latent = {shown(value)} does not round to an int32; use a larger step"
    if code == abi.WRONG_PRIOR:
        return f"the packet was coded under another prior: {_prior_message(field, position, value)}"
    if code == abi.SHAPE_MISMATCH:
        return _shape_message(field, position, count)
    if code == abi.LIMIT_EXCEEDED:
        if field == abi.FIELD_CONTEXT and position == 0:
            return (
                f"a context of this shape takes the memory of {count} symbols, more than max_context_elements allows; "
                "raise it if your model makes such"
            )
        if field == abi.FIELD_CONTEXT:
            return (
                f"{position} symbols under a context are more than max_context_elements allows ({count} are left); "
                "raise it if your model makes so many"
            )
        if field == abi.FIELD_PARTS:
            return "a packet has at most 65,536 parts: write several"
        if field != abi.FIELD_COUNT:
            return "there is not enough Wasm memory"
        if position:
            return f"{position} elements are more than max_elements; raise it if your model makes so many"
        return "more symbols or parameters than a packet can hold"
    if code == abi.MODEL_MISMATCH:
        return (
            f"part {position}: the rows are not the writer's; the networks gave other scales here (docs/determinism.md)"
        )
    return "the binary form breaks docs/format.md section 5"


def _shape_message(field: int, position: int, count: int) -> str:
    if field == abi.FIELD_PARTS:
        parts = "one part" if position == 1 else f"{position} parts"
        return f"the packet has {parts}, {'one more' if count == 0xFFFFFFFF else count} was asked for"
    if field == abi.FIELD_TAIL:
        return "a compact packet of one tensor is read with read(), not as a sequence"
    if field == abi.FIELD_SHAPE:
        return "the packet has shapes that no part asked for"
    if field == abi.FIELD_AXIS:
        return "the context prior is for another number of channels"
    if count > 0:
        return f"the part has {count} symbols, the packet has {position} for it"
    return f"{position} symbols were not read"


def _prior_message(field: int, position: int, value: float) -> str:
    if field == abi.FIELD_AXIS:
        return f"its axis is {position}"
    if field == abi.FIELD_CENTRE:
        return f"it subtracts {_CENTRES[position]}"
    # Steps that people choose have few digits; any other number comes from another table's fingerprint.
    if field == abi.FIELD_STEP and 1e-6 < value < 1e6:
        digits = float(f"{value:.5g}")
        if struct.unpack("<f", struct.pack("<f", digits))[0] == value:
            return f"its step is {shown(digits)}"
    if field == abi.FIELD_PARTS:
        return "that of a part, or the parts in another order"
    return "its table, context, scales or step differ: load the same bundle on both sides"


def shown(value: float) -> str:
    """A number as JavaScript writes it in the same message."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return str(int(value)) if value == int(value) and abs(value) < 1e21 else repr(value)
