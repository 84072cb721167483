"""Compiles a build of the codec, and makes instances of it whose functions are cheap to call."""

from __future__ import annotations

import ctypes
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Callable, Dict, List, Optional, Tuple, cast

import wasmtime

from . import abi
from .errors import CodecError

BUILDS = {"simd": "codec.wasm", "scalar": "codec.scalar.wasm"}

_lock = threading.Lock()
_engine: Optional[Any] = None
_modules: Dict[str, Any] = {}


def compiled(build: str) -> Any:
    """The module of a build, compiled once per process: some 50 ms. Raises BIG_ENDIAN, BUILD_MISSING, TypeError."""
    global _engine
    # Wasm memory is little-endian, and its views have the byte order of the processor.
    if sys.byteorder != "little":
        raise CodecError("BIG_ENDIAN", "this processor is big-endian: use a little-endian one, such as x64 or ARM64")
    with _lock:
        if _engine is None:
            _engine = wasmtime.Engine()
        if build not in _modules:
            path = Path(__file__).with_name(BUILDS[build])
            try:
                _modules[build] = wasmtime.Module.from_file(_engine, str(path))
            except (OSError, wasmtime.WasmtimeError) as error:
                raise CodecError("BUILD_MISSING", f"{path.name} of the package cannot be compiled: {error}") from error
        return _modules[build]


class Instance:
    """An instance with a memory of its own. One thread may use it at a time."""

    wasm: abi.Exports
    #: Address and number of the bytes of its memory, which change when it grows.
    data: Callable[[], Tuple[int, int]]

    def __init__(self, module: Any, direct: bool = True) -> None:
        """direct False takes wasmtime's public calls alone.

        Raises LIMIT_EXCEEDED, and TypeError for another release's module.
        """
        # Everything below points into it.
        self._store = wasmtime.Store(_engine)
        try:
            exports = wasmtime.Instance(self._store, module, []).exports(self._store)
        except wasmtime.WasmtimeError as error:
            raise CodecError("LIMIT_EXCEEDED", f"no memory for the codec: {error}") from error
        version = exports["abiVersion"](self._store)
        if version != abi.ABI_VERSION:
            raise TypeError(f"codec.wasm has ABI version {version}, this package {abi.ABI_VERSION}: install it again")
        calls: Any = _DirectCalls(self._store) if direct and _DirectCalls.works() else _PublicCalls(self._store)
        functions = {
            name: calls.bind(exports[name], *signature.split(":")) for name, signature in abi.FUNCTIONS.items()
        }
        self.wasm = cast(abi.Exports, SimpleNamespace(**functions))
        self.data = calls.data(exports["memory"])


def _failed(message: str) -> RuntimeError:
    return RuntimeError(f"the codec's WebAssembly failed, use another codec: {message}")


def _reason(trap: ctypes.c_void_p) -> str:
    """What a trap says. It is freed."""
    from wasmtime import _ffi

    if not trap:
        return "wasmtime refused the call"
    pointer = ctypes.cast(trap, ctypes.POINTER(_ffi.wasm_trap_t))
    trap.value = None
    return str(wasmtime.Trap._from_ptr(pointer))


class _PublicCalls:
    """Calls through wasmtime's public API, which looks up the types of all arguments each time: 20 to 50 us."""

    def __init__(self, store: Any) -> None:
        self._store = store

    def bind(self, function: Any, parameters: str, result: str) -> Callable[..., Any]:
        store = self._store

        def call(*values: Any) -> Any:
            try:
                found = function(store, *values)
            except (wasmtime.Trap, wasmtime.WasmtimeError) as error:
                raise _failed(str(error)) from error
            return found & 0xFFFFFFFF if result == "i" else found

        return call

    def data(self, memory: Any) -> Callable[[], Tuple[int, int]]:
        store = self._store
        return lambda: (ctypes.addressof(memory.data_ptr(store).contents), memory.data_len(store))


#: Bytes of wasmtime_val_raw_t, and the most parameters of a function.
_SLOT = 16
_SLOTS = 9
_TYPES = {"i": ctypes.c_uint32, "f": ctypes.c_float, "d": ctypes.c_double}


class _DirectCalls:
    """Calls wasmtime's C function for raw values, as its public API does, without looking up types: 2 us."""

    def __init__(self, store: Any) -> None:
        from wasmtime import _ffi

        self._context = ctypes.cast(store._context(), ctypes.c_void_p).value
        # A new object of the function, so that the types that are set here are not those of the package.
        self._invoke = _ffi.dll["wasmtime_func_call_unchecked"]
        self._invoke.restype = ctypes.c_void_p
        self._invoke.argtypes = [ctypes.c_void_p] * 3 + [ctypes.c_size_t, ctypes.c_void_p]
        self._size = _ffi.dll["wasmtime_memory_data_size"]
        self._size.restype = ctypes.c_size_t
        self._size.argtypes = [ctypes.c_void_p] * 2
        self._at = _ffi.dll["wasmtime_memory_data"]
        self._at.restype = ctypes.c_void_p
        self._at.argtypes = [ctypes.c_void_p] * 2
        self._slots = (ctypes.c_uint8 * (_SLOT * _SLOTS))()
        self._trap = ctypes.c_void_p()

    @staticmethod
    def works() -> bool:
        """Whether this release of wasmtime has what is needed here, which it does not promise."""
        try:
            from wasmtime import _ffi

            return (
                ctypes.sizeof(_ffi.wasmtime_val_raw_t) == _SLOT
                and hasattr(_ffi.dll, "wasmtime_func_call_unchecked")
                and all(hasattr(_ffi, name) for name in ("wasmtime_func_t", "wasmtime_memory_t"))
                and hasattr(wasmtime.Func, "_from_raw")
                and hasattr(wasmtime.Store, "_context")
            )
        except (ImportError, AttributeError):
            return False

    def bind(self, function: Any, parameters: str, result: str) -> Callable[..., Any]:
        invoke, context, trap = self._invoke, self._context, self._trap
        slots = ctypes.addressof(self._slots)
        trap_at = ctypes.addressof(trap)
        raw = function._func
        target = ctypes.addressof(raw)
        words = memoryview(self._slots).cast("B").cast("I")
        count = max(len(parameters), 1)

        if set(parameters) <= {"i"}:

            def call(*values: int) -> int:
                at = 0
                for value in values:
                    words[at] = value
                    at += 4
                if invoke(context, target, slots, count, trap_at) or trap:
                    raise _failed(_reason(trap))
                return words[0]

        else:
            places: List[Any] = [_TYPES[kind].from_buffer(self._slots, _SLOT * k) for k, kind in enumerate(parameters)]

            def call(*values: int) -> int:
                for place, value in zip(places, values):
                    place.value = value
                if invoke(context, target, slots, count, trap_at) or trap:
                    raise _failed(_reason(trap))
                return words[0]

        # The function's structure must live as long as the call.
        call.__dict__["raw"] = raw
        return call

    def data(self, memory: Any) -> Callable[[], Tuple[int, int]]:
        at, size, context, raw = self._at, self._size, self._context, memory._memory
        target = ctypes.addressof(raw)

        def data() -> Tuple[int, int]:
            return at(context, target), size(context, target)

        data.__dict__["raw"] = raw
        return data
