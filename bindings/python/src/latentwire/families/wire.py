"""What all families share.

A recipe is one function for both ends, which codes part after part: the encoder writes a part, the decoder reads it,
and both get what the decoder sees. So the ends cannot disagree about an order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Generic, List, Optional, Sequence, Tuple, TypeVar, Union

import numpy as np

from ..codec import Codec
from ..errors import CodecError
from ..prior import Prior
from ..reader import PartReader
from ..tables import TableSource
from ..tensor import Array, Buffer, Floats, floats_of, mismatch, own_shape, shape_text
from ..writer import Guard, PartWriter

M = TypeVar("M")
#: Codes one piece: values (not read at the decoder's end), scales, means -> what the decoder sees.
Piece = Callable[[Optional[Floats], Floats, Optional[Floats]], Floats]


class Wire:
    """One end, as a recipe sees it. Latents and values are None at the decoder's end."""

    codec: Codec
    strings: bool

    def code_factorized(self, prior: Prior, latent: Optional[Array]) -> Array:
        """Codes a part under a factorized prior. A packet holds its shape, strings do not."""
        raise NotImplementedError

    def code_conditional(self, prior: Prior, latent: Optional[Array]) -> Array:
        """Codes a part whose prior says its shape."""
        raise NotImplementedError

    def code_number(self, limit: int, value: Optional[int]) -> int:
        """Codes one integer of 0 .. limit - 1."""
        raise NotImplementedError

    def sequence(self, table: Optional[TableSource], scale_table: Optional[Any]) -> Piece:
        """Begins a part that is coded piece by piece."""
        raise NotImplementedError


class _Encoding(Wire):
    def __init__(self, codec: Codec, writer: PartWriter, strings: bool) -> None:
        self.codec = codec
        self.strings = strings
        self.shape: Tuple[int, ...] = ()
        self._writer = writer

    def code_factorized(self, prior: Prior, latent: Optional[Array]) -> Array:
        assert latent is not None
        n, _, *size = latent.shape
        self.shape = tuple(size) if n == 1 else (n, *size)
        return self.code_conditional(prior, latent)

    def code_conditional(self, prior: Prior, latent: Optional[Array]) -> Array:
        found = self._writer.write(latent, prior, dequantize=True)
        assert found is not None
        return found

    def code_number(self, limit: int, value: Optional[int]) -> int:
        self._writer.write(np.array([value], np.int32), _uniform(self.codec, limit))
        return int(value or 0)

    def sequence(self, table: Optional[TableSource], scale_table: Optional[Any]) -> Piece:
        return self._writer.sequence(table=table, scale_table=scale_table).next


class _Decoding(Wire):
    def __init__(self, codec: Codec, reader: PartReader, strings: bool, shape: Optional[Tuple[int, ...]]) -> None:
        self.codec = codec
        self.strings = strings
        self._reader = reader
        self._shape = shape

    def code_factorized(self, prior: Prior, latent: Optional[Array]) -> Array:
        if self._shape is None:
            return self._reader.read(prior)
        n, *size = (1, *self._shape) if len(self._shape) == 2 else self._shape
        return self._reader.read(prior, shape=(n, prior.table.rows, *size))

    def code_conditional(self, prior: Prior, latent: Optional[Array]) -> Array:
        return self._reader.read(prior)

    def code_number(self, limit: int, value: Optional[int]) -> int:
        found = int(self._reader.read(_uniform(self.codec, limit), dtype=np.int32, shape=(1,))[0])
        if not 0 <= found < limit:
            raise CodecError("CORRUPTED", f"{found} is not one of 0 .. {limit - 1}")
        return found

    def sequence(self, table: Optional[TableSource], scale_table: Optional[Any]) -> Piece:
        part = self._reader.sequence(table=table, scale_table=scale_table)
        return lambda _, scales, means: part.next(scales, means)


@dataclass(frozen=True)
class Encoded:
    """What an encoder returns."""

    #: The packet, bytes; with format="strings" the list of strings.
    packet: Any
    #: Height and width of the factorized part, with N before them for a batch: the decoder's `shape`.
    shape: Tuple[int, ...]
    #: What the decoder will return, bit for bit: float32, (N, C, H, W).
    latent: Floats
    #: Number of scales that the packet lists because of `guard`.
    corrections: int


#: The inside of a family: codes all parts and returns y as the decoder sees it. y and level may be None.
Recipe = Callable[[Wire, M, Optional[Floats], Optional[int]], Array]


class Family(Generic[M]):
    """A family of entropy models."""

    def __init__(self, code: Recipe[M], hyper_latents: int, has_level: bool = False) -> None:
        """hyper_latents: parts in front of y's. CompressAI lists them last, in reverse."""
        self._code = code
        self._hyper_latents = hyper_latents
        self._has_level = has_level
        self.__doc__ = code.__doc__

    def encode(
        self,
        codec: Codec,
        model: M,
        y: Any,
        *,
        format: str = "packet",
        header: str = "packet",
        lanes: Optional[int] = None,
        checksum: Union[bool, int] = True,
        fingerprint: bool = True,
        guard: Union[float, Guard, None] = None,
        index_checks: Optional[bool] = None,
        level: Optional[int] = None,
    ) -> Encoded:
        """Encodes a latent.

        y: (N, C, H, W), floats, an array or a tensor of torch. format: `packet`, or `strings` in the order of
        CompressAI's `compress()`, y first, z last; one image only, without guard. level: of `gain` and `variable_rate`
        alone. The others as of `codec.writer`. Raises MODEL where a network lacks an input or output, SHAPE_MISMATCH
        where shapes do not fit together, and what `PartWriter.write` raises; TypeError, ValueError for a wrong
        argument.
        """
        self._check_level(level)
        latent = floats_of(y, "y")
        strings = format == "strings"
        if latent.ndim != 4:
            raise mismatch(f"y must be (N, C, H, W), not {shape_text(latent.shape)}")
        if strings and latent.shape[0] != 1:
            raise mismatch(f"strings hold one image each; the batch {shape_text(latent.shape)} has {latent.shape[0]}")
        with codec.writer(
            format=format,
            header=header,
            lanes=lanes,
            checksum=checksum,
            fingerprint=fingerprint,
            guard=guard,
            index_checks=index_checks,
        ) as writer:
            wire = _Encoding(codec, writer, strings)
            found = self._code(wire, model, latent, level)
            if not strings:
                return Encoded(writer.finish(), wire.shape, found, writer.corrections)
            parts, hyper = writer.finish_strings(), self._hyper_latents
            # From the order z2, z1, y0, y1 to CompressAI's y0, y1, z1, z2.
            return Encoded([*parts[hyper:], *reversed(parts[:hyper])], wire.shape, found, 0)

    def decode(
        self,
        codec: Codec,
        model: M,
        packet: Union[Buffer, Sequence[Buffer]],
        *,
        shape: Optional[Sequence[int]] = None,
        header: str = "packet",
        checksum: Union[bool, int] = True,
        max_elements: float = 2**24,
        max_context_elements: float = 2**20,
        level: Optional[int] = None,
    ) -> Floats:
        """Decodes what `encode` returned: the encoder's `latent`, bit for bit.

        packet: the packet, or the list of strings. shape: needed with strings and compact packets, which do not hold
        it: (height, width) of the factorized part, z or, if there is none, y; for a batch (N, height, width). level: of
        `gain` and `variable_rate` with strings. The others as of `codec.reader`. Raises as `encode`, and what
        `PartReader.read` and `PartReader.finish` raise.
        """
        self._check_level(level)
        hyper = self._hyper_latents
        strings: Optional[List[Buffer]] = list(packet) if isinstance(packet, (list, tuple)) else None
        if strings is not None and len(strings) <= hyper:
            raise mismatch(f"{len(strings)} strings; this family has more")
        unsaid = strings is not None or header != "packet"
        if unsaid and shape is None:
            raise TypeError(
                "shape must be given with strings and compact packets: (height, width) of the factorized part"
            )
        size = own_shape(shape) if unsaid and shape is not None else None
        if size is not None and len(size) not in (2, 3):
            raise TypeError(f"shape must be (height, width) or (N, height, width), not {shape_text(size)}")
        ordered: Any = packet
        if strings is not None:
            first = len(strings) - hyper
            ordered = [*reversed(strings[first:]), *strings[:first]]
        with codec.reader(
            ordered,
            header=header,
            checksum=checksum,
            max_elements=max_elements,
            max_context_elements=max_context_elements,
        ) as reader:
            found = self._code(_Decoding(codec, reader, strings is not None, size), model, None, level)
            reader.finish()
            return found

    def _check_level(self, level: Optional[int]) -> None:
        if level is not None and not self._has_level:
            raise TypeError("level is an option of the families gain and variable_rate")


def code_level(wire: Wire, count: int, encodes: bool, given: Optional[int]) -> int:
    """The level of a model with many rates, at both ends:

    the first symbol of a packet; with strings the option. Raises ValueError.
    """
    if (encodes or wire.strings) and (not isinstance(given, (int, np.integer)) or not 0 <= given < count):
        raise ValueError(f"level must be one of 0 .. {count - 1}, not {given!r}")
    return int(given or 0) if wire.strings else wire.code_number(count, given)


def _uniform(codec: Codec, limit: int) -> Prior:
    """A prior of one row, in which all numbers below `limit` are equally likely."""
    cdf = [k * 65535 // limit for k in range(limit + 1)]
    return codec.indexed({"offsets": [0], "cdfs": [[*cdf, 65536]]}, [0])
