"""The entropy codec for neural latents: docs/python.md has examples, docs/format.md the bytes.

import latentwire

codec = latentwire.create()
prior = codec.factorized(table)
packet = codec.encode(latent, prior)
latent = codec.decode(packet, prior)
"""

from __future__ import annotations

from typing import Optional, Set

from .abi import PACKAGE_VERSION as __version__
from .bundle import Bundle, BundleEntry, load_bundle, read_bundle, write_bundle
from .codec import Codec
from .elements import Affine
from .errors import CodecError
from .memory import Memory
from .model import LoadedModel, load_model
from .module import BUILDS, Instance, compiled
from .prior import Prior
from .proof import is_right
from .rate import Rate
from .reader import PacketInfo, PartReader, SequenceReader
from .tables import Table
from .tensor import checkerboard_half
from .writer import Guard, PartWriter, SequenceWriter

__all__ = [
    "Affine",
    "Bundle",
    "BundleEntry",
    "Codec",
    "CodecError",
    "Guard",
    "LoadedModel",
    "PacketInfo",
    "PartReader",
    "PartWriter",
    "Prior",
    "Rate",
    "SequenceReader",
    "SequenceWriter",
    "Table",
    "__version__",
    "checkerboard_half",
    "create",
    "load_bundle",
    "load_model",
    "read_bundle",
    "write_bundle",
]

# Builds that have proved themselves in this process.
_trusted: Set[str] = set()


def create(build: Optional[str] = None) -> Codec:
    """Makes a codec with memory of its own. It belongs to the thread that calls this.

    The first call of a process compiles the WebAssembly, which takes some 50 ms; the others take 1 ms. build: `simd` or
    `scalar`; default: SIMD, and scalar where the processor computes SIMD wrongly. Raises BUILD_MISSING, BIG_ENDIAN,
    LIMIT_EXCEEDED; TypeError for another build.
    """
    if build is not None and build not in BUILDS:
        raise TypeError(f'build must be "simd" or "scalar", not {build!r}')
    for name in BUILDS if build is None else (build,):
        try:
            module = compiled(name)
        except CodecError as error:
            if error.code != "BUILD_MISSING" or name == "scalar" or build is not None:
                raise
            continue
        if name not in _trusted:
            if not is_right(_codec(module, name)):
                continue
            _trusted.add(name)
        return _codec(module, name)
    raise CodecError("BUILD_MISSING", "no build of the codec computes rightly on this processor: please report it")


def _codec(module: object, name: str) -> Codec:
    return Codec(Memory(lambda: Instance(module), name))
