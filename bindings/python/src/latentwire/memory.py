"""The memory of an instance: views of it, copying in and out. Other files use that memory only through this class."""

from __future__ import annotations

import ctypes
import threading
from collections import deque
from typing import Any, Callable, Deque, Dict, Optional, Tuple, cast

import numpy as np

from . import abi
from .errors import CodecError, raise_fault
from .module import Instance
from .tensor import Array

#: Elements that are in Wasm memory at once, so that a chunk with its rows and means stays in L2.
CHUNK = 65536
#: Bytes of the piece: `piece` of assembly/memory.ts.
PIECE = 65536
#: Unused bytes that stay: a new instance costs more than they do.
_SPARE = 1 << 20
_LARGEST = (1 << 32) - (1 << 17)
_SIZES = {"float32": 4, "int32": 4, "int16": 2, "int8": 1, "uint8": 1, "uint16": 2, "uint32": 4, "float64": 8}


class Memory:
    """The memory of one codec. All of a codec's calls come from the thread that made it."""

    wasm: abi.Exports
    #: All of it as u32. Only fields of structures are read and written through it.
    u32: memoryview
    #: A part for calls that keep none.
    part: int

    def __init__(self, instantiate: Callable[[], Instance], build: str) -> None:
        self.build = build
        self._instantiate = instantiate
        self._thread = threading.get_ident()
        self._abandoned: Deque[Tuple[str, int]] = deque()
        self._start(instantiate())
        self.part = self.wasm.newPart(0)

    def _start(self, instance: Instance) -> None:
        self._instance = instance
        self.wasm = instance.wasm
        self._data = instance.data
        self._place: Tuple[int, int] = (0, 0)
        self.sync()

    def sync(self) -> None:
        """Makes the views anew where the memory has grown. Every call that may take memory is followed by this."""
        place = self._data()
        if place == self._place:
            return
        address, size = place
        buffer = (ctypes.c_uint8 * size).from_address(address)
        self._place = place
        self.size = size
        self.u32 = memoryview(buffer).cast("B").cast("I")
        self._views: Dict[str, Array] = {name: np.frombuffer(cast(Any, buffer), dtype=name) for name in _SIZES}

    def enter(self) -> None:
        """Each call of the user begins here. Raises RuntimeError in another thread than the codec's."""
        if threading.get_ident() != self._thread:
            raise RuntimeError("this codec belongs to another thread: call latentwire.create() in each thread")
        while self._abandoned:
            name, address = self._abandoned.popleft()
            getattr(self.wasm, name)(address)

    def abandon(self, function: str, address: int) -> None:
        """Frees a block at the next call. The garbage collector may call this in any thread."""
        self._abandoned.append((function, address))

    def view(self, address: int, n: int, dtype: str) -> Array:
        """n elements at an address. Valid until the next call."""
        at = address // _SIZES[dtype]
        return self._views[dtype][at : at + n]

    def copy(self, address: int, n: int, dtype: str) -> Array:
        """A copy of n elements at an address."""
        return self.view(address, n, dtype).copy()

    def place(self, values: Array, address: int) -> None:
        """Copies a dense one-dimensional array to an address."""
        self.view(address, values.shape[0], values.dtype.name)[:] = values

    def word(self, structure: int, offset: int) -> int:
        """A field of a structure: of a part, a writer or reader, or a table."""
        return self.u32[(structure + offset) >> 2]

    def words(self, structure: int, offset: int, count: int) -> Tuple[int, ...]:
        """Several consecutive fields."""
        at = (structure + offset) >> 2
        return tuple(self.u32[at : at + count])

    def set_word(self, structure: int, offset: int, value: int) -> None:
        self.u32[(structure + offset) >> 2] = value

    def set_float(self, structure: int, offset: int, value: float, dtype: str = "float32") -> None:
        self.view(structure + offset, 1, dtype)[0] = value

    def scratch(self, size: int) -> int:
        """Address of so many bytes, for use until the next call. Raises LIMIT_EXCEEDED."""
        at = self.wasm.scratch(size) if size < _LARGEST else 0
        if at == 0:
            raise CodecError("LIMIT_EXCEEDED", f"no {-(-size >> 20)} MB of Wasm memory")
        self.sync()
        return at

    def check(self, code: int, dtype: Optional[str] = None) -> None:
        """Raises the error of a code other than 0. Afterwards the views are valid."""
        self.sync()
        if code != 0:
            raise_fault(self, code, dtype)

    def address(self, address: int) -> int:
        """Returns an address. Raises what the fault says for 0."""
        self.sync()
        if address == 0:
            raise_fault(self, self.fault_code or abi.LIMIT_EXCEEDED)
        return address

    @property
    def fault_code(self) -> int:
        """The code of the last call that failed."""
        return self.word(self.wasm.faultAddress(), 12)

    def grows_for(self, size: int) -> bool:
        """Whether so many bytes behind the blocks are more than there are."""
        return self.wasm.scratch(0) + size > self.size

    def trim(self, size: int = 0) -> None:
        """Gives back what no table, reader, writer or sequence needs, if the memory has grown beyond `size`.

        Wasm memory cannot shrink, so another instance goes on with the same blocks at the same addresses.
        """
        if self.size <= size:
            return
        end = self.wasm.trim()
        if self.size - end <= _SPARE:
            return
        blocks = self.copy(0, end, "uint8")
        try:
            fresh = self._instantiate()
        except CodecError:
            return
        if fresh.wasm.scratch(end) == 0:
            return
        self._start(fresh)
        self.view(0, end, "uint8")[:] = blocks
