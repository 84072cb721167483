"""A build proves itself before it is used:

a packet from an instruction that is computed wrongly would be lost without a word.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Callable

import numpy as np

if TYPE_CHECKING:
    from .codec import Codec

#: What `results_of` gives of a build that is right. Both builds are asked in the tests.
RIGHT = 0x07F74BD5
#: The same of `context_results_of`.
CONTEXT_RIGHT = 0x49DA8C62


def results_of(codec: Codec) -> int:
    """CRC-32 of packets and decoded values of a small latent:

    every lane count, rows by channel, by scale and by index, floats and symbols.
    """
    row = [0, 300, 900, 2000, 9000, 20000, 45000, 56000, 63000, 65000, 65536]
    table = codec.table({"offsets": [-3, -6], "cdfs": [row, row], "medians": [0.25, -0.5]})
    # Around 0: the rows have most of them and escape some.
    y = ((np.arange(256) * 7919 % 23) / 4 - 2.6875).astype(np.float32).reshape(1, 2, 128)
    symbols = (4 * y).astype(np.int16)
    scales = np.array([0.5, 2], np.float32)
    cases = (
        (y, codec.factorized(table, step=0.5)),
        (y, codec.gaussian(y / 2 + 1.5, table=table, scale_table=scales, means=y / 2 + 1.5)),
        (symbols, codec.indexed(table, symbols & 1)),
    )
    found = 0
    for lanes in (1, 8, 16, 32):
        for latent, prior in cases:
            packet = codec.encode(latent, prior, lanes=lanes)
            found = zlib.crc32(packet, found)
            found = zlib.crc32(codec.decode(packet, prior, dtype=latent.dtype).tobytes(), found)
    return found


def proof_parameters() -> bytes:
    """The parameters of a context prior for two channels: 32 and 8 hidden units, 20 taps, small weights.

    Those of bindings/proof.ts; docs/format.md 10.5 has the fields.
    """
    found = bytearray((76, 87, 67, 1, 4, 1, 20, 2, 2, 1, 0))
    state = 1

    def following(below: int) -> int:
        nonlocal state
        state = (state * 69069 + 1) & 0xFFFFFFFF
        return (state >> 16) % below

    def rows(count: int, length: int) -> None:
        for i in range(count * (length + 1)):
            found.append((following(25) - 12) & 255 if i % (length + 1) else following(4))

    for own in (71, 51):
        found.extend((5, 9))
        rows(own, 32)
        rows(2, 8)
        # Biases of 2 and of 4 bytes.
        for _ in range(160):
            found.extend((following(256), (following(5) - 2) & 255))
        for _ in range(10):
            found.extend((following(256), following(256), following(4), 0))
    return bytes(found) + bytes((212, 147, 20, 196, 183, 112, 12, 157))


def context_results_of(codec: Codec) -> int:
    """`results_of` of a packet under a context: two items, planes of several rows, an escape."""
    # Rows without any of the symbols, so that the context is used.
    table = {"offsets": [2**30] * 2, "cdfs": [[0, 65535, 65536]] * 2}
    prior = codec.context(proof_parameters(), table=table)
    i = np.arange(80)
    packet = codec.encode((i * i * 7 % 11 - 3).astype(np.int8).reshape(2, 2, 4, 5), prior)
    return zlib.crc32(codec.decode(packet, prior).tobytes(), zlib.crc32(packet))


def is_right(codec: Codec) -> bool:
    """Whether a build computes what docs/format.md says. A call that fails is wrong, too."""
    return _gives(RIGHT, results_of, codec)


def is_context_right(codec: Codec) -> bool:
    """The same of the kernel of context priors."""
    return _gives(CONTEXT_RIGHT, context_results_of, codec)


def _gives(right: int, results: Callable[[Codec], int], codec: Codec) -> bool:
    try:
        return results(codec) == right
    except Exception:
        return False
