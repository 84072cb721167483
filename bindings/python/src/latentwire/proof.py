"""A build proves itself before it is used:

a packet from an instruction that is computed wrongly would be lost without a word.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .codec import Codec

#: What `results_of` gives of a build that is right. Both builds are asked in the tests.
RIGHT = 0x07F74BD5


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


def is_right(codec: Codec) -> bool:
    """Whether a build computes what docs/format.md says. A call that fails is wrong, too."""
    try:
        return results_of(codec) == RIGHT
    except Exception:
        return False
