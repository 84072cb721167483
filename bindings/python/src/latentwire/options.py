"""Options as callers give them: their choices, and what they mean to the codec."""

from __future__ import annotations

from typing import Any, NamedTuple, Optional, Sequence, Tuple, Union

from . import abi

_HEADERS = ("packet", "compact", "none")
_STREAMS = ("native", "compressai")
_LANES = (1, 8, 16, 32)

Checksum = Union[bool, int]


def check_choice(name: str, value: Any, choices: Sequence[str]) -> None:
    """Raises TypeError for a value that is none of the choices."""
    if not isinstance(value, str) or value not in choices:
        listed = " or ".join(f'"{choice}"' for choice in choices)
        raise TypeError(f"{name} must be {listed}, not {value!r}")


class Form(NamedTuple):
    """What a packet looks like, in the numbers of docs/abi.md 3.2."""

    form: int
    check: int
    lanes: int
    fingerprint: bool
    compressai: bool


#: The form of CompressAI's strings.
STRINGS = Form(abi.FORM_STRING, 0, 1, False, True)


def agreed(header: str, stream: str, checksum: Checksum) -> Tuple[int, int]:
    """FORM_* and the bytes of the check: what both ends agree on besides the prior. Raises TypeError."""
    check_choice("header", header, _HEADERS)
    check_choice("stream", stream, _STREAMS)
    if header == "packet":
        form = abi.FORM_FULL
    else:
        form = abi.FORM_STRING if header == "none" and stream == "compressai" else abi.FORM_COMPACT
    return form, _check_bytes(header, checksum)


def _check_bytes(header: str, checksum: Checksum) -> int:
    if checksum is False or header == "none":
        return 0
    if checksum is True or checksum == 4:
        return 4
    if checksum == 2 and header == "compact":
        return 2
    raise TypeError(f'checksum must be True, False or 4, or 2 with header="compact", not {checksum!r}')


def written_form(header: str, stream: str, checksum: Checksum, lanes: Optional[int], fingerprint: bool) -> Form:
    """What `encode` and `writer` share. lanes None: chosen by size. Raises TypeError, ValueError."""
    if lanes is not None and lanes not in _LANES:
        raise ValueError(f"lanes must be None, 1, 8, 16 or 32, not {lanes!r}")
    form, check = agreed(header, stream, checksum)
    return Form(form, check, lanes or 0, bool(fingerprint), stream == "compressai")


def check_limit(name: str, limit: Any) -> int:
    """A limit as the Wasm module takes it. Raises ValueError."""
    # Not "< 0": NaN would switch the limit off.
    if isinstance(limit, bool) or not isinstance(limit, (int, float)) or not limit >= 0:
        raise ValueError(f"{name} must be a number of elements, not {limit!r}")
    return int(min(limit, 0xFFFFFFFF))
