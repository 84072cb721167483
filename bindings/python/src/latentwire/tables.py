"""Tables:

JSON form -> binary form (docs/format.md section 5), and the tables that a codec has loaded. Wasm checks the binary
form.
"""

from __future__ import annotations

import math
from typing import Any, Dict, List, Mapping, NamedTuple, NoReturn, Optional, Union

import numpy as np
import numpy.typing as npt

from . import abi
from .errors import CodecError, refuse_kind
from .latentwire_bundle import table_bytes
from .memory import Memory
from .tensor import Buffer, Floats, bytes_of

#: The 8 bytes of the fingerprint, at the end of the binary form.
_FINGERPRINT = 8
_RECORD = 16


def invalid(message: str) -> NoReturn:
    """Raises INVALID_TABLE."""
    raise CodecError("INVALID_TABLE", message)


def unsupported(what: str) -> NoReturn:
    """Raises UNSUPPORTED_VERSION."""
    raise CodecError("UNSUPPORTED_VERSION", f"{what}: update latentwire, or make the table again")


class Rows(NamedTuple):
    """All rows of a table as arrays: entry k of row r is at `first[r] + k`."""

    #: int64 per row: symbol of the first entry, number of entries but the escape, place of the first one.
    offsets: npt.NDArray[np.int64]
    maxima: npt.NDArray[np.int64]
    first: npt.NDArray[np.int64]
    #: int64 per entry: 1 .. 65536, and what is below it.
    freqs: npt.NDArray[np.int64]
    cums: npt.NDArray[np.int64]


class Table:
    """A table loaded into a codec. To move one to another codec or process, send `bytes()`."""

    def __init__(self, memory: Memory, address: int, form: bytes) -> None:
        self._memory = memory
        self._address = address
        self._form = form
        self._rows_found: Optional[Rows] = None
        #: Number of rows.
        self.rows = memory.word(address, abi.TABLE_ROWS)
        low, high = memory.words(address, abi.TABLE_FINGERPRINT, 2)
        #: 16 hex digits that identify the table.
        self.fingerprint = f"{high:08x}{low:08x}"
        #: A float32 per row, or None.
        self.medians: Optional[Floats] = None
        if memory.word(address, abi.TABLE_FLAGS) & 1:
            self.medians = memory.copy(memory.word(address, abi.TABLE_MEDIANS), self.rows, "float32")
            self.medians.flags.writeable = False

    def __repr__(self) -> str:
        return f"<latentwire.Table of {self.rows} rows, {self.fingerprint}>"

    def address_in(self, memory: Memory) -> Optional[int]:
        """Its address, if it is in this memory."""
        return self._address if self._memory is memory else None

    def bytes(self) -> bytes:
        """The canonical binary form."""
        return self._form

    def arrays(self) -> Rows:
        """Its rows, read from the loaded table."""
        if self._rows_found is None:
            memory = self._memory
            memory.enter()
            records = memory.copy(memory.word(self._address, abi.TABLE_RECORDS), self.rows * _RECORD // 4, "uint32")
            at, most, offsets, _ = records.reshape(-1, 4).T
            maxima = most.astype(np.int64)
            entries = [memory.view(int(a), 4 * (int(m) + 1), "uint16").reshape(-1, 4) for a, m in zip(at, maxima)]
            joined = np.concatenate(entries).astype(np.int64)
            first = np.concatenate(([0], np.cumsum(maxima + 1)[:-1]))
            # A freq of 65536 is stored as 0.
            freqs = np.where(joined[:, 0] == 0, 65536, joined[:, 0])
            self._rows_found = Rows(offsets.view(np.int32).astype(np.int64), maxima, first, freqs, joined[:, 1])
        return self._rows_found

    def to_json(self) -> Dict[str, Any]:
        """The JSON form: `json.dumps` takes it, and `codec.table` here and in JavaScript."""
        rows = self.arrays()
        cdfs = [[*rows.cums[first : first + most + 1].tolist(), 65536] for first, most in zip(rows.first, rows.maxima)]
        json: Dict[str, Any] = {
            "format": "latentwire-tables",
            "version": 1,
            "offsets": rows.offsets.tolist(),
            "cdfs": cdfs,
        }
        if self.medians is not None:
            json["medians"] = self.medians.tolist()
        return json


#: What a codec accepts as a table: a loaded one, its JSON form (a dict with `offsets`, `cdfs` and perhaps `medians`),
#: its binary form.
TableSource = Union[Table, Mapping[str, Any], Buffer]


class Tables:
    """The tables of a codec. Loading the same one twice costs no memory."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._known: Dict[int, Table] = {}

    def load(self, source: TableSource) -> Table:
        """Raises INVALID_TABLE, UNSUPPORTED_VERSION, LIMIT_EXCEEDED; TypeError for what is no table."""
        if isinstance(source, Table):
            return source if source.address_in(self._memory) is not None else self._load(source.bytes())
        if isinstance(source, Mapping):
            return self._load(_binary(source))
        if hasattr(source, "entries") and hasattr(source, "table"):
            raise TypeError("table is a Bundle: bundle.table(codec, name) gives its tables")
        if isinstance(source, (bytes, bytearray, memoryview, np.ndarray)):
            return self._load(bytes_of(source, "table").tobytes())
        raise TypeError("table must be a Table, its JSON form or its binary form")

    def _load(self, form: bytes) -> Table:
        memory = self._memory
        size = memory.size
        source = memory.address(memory.wasm.tableSource(len(form)))
        memory.place(np.frombuffer(form, np.uint8), source)
        address = memory.wasm.loadTable(source, len(form))
        memory.sync()
        if address == 0:
            code = memory.fault_code
            memory.trim(size)
            if code == abi.INVALID_TABLE and form[:3] != b"LWT":
                refuse_kind("INVALID_TABLE", form, "table in binary form")
            if code == abi.UNSUPPORTED_VERSION:
                unsupported("the table has another version, or flags of a later one")
            invalid(
                f"the binary form {'ends too early' if code == abi.TRUNCATED else 'breaks docs/format.md section 5'}"
            )
        if address not in self._known:
            self._known[address] = Table(memory, address, form)
        return self._known[address]


def _binary(json: Mapping[str, Any]) -> bytes:
    """The binary form. Checks what it cannot express: fractions, cdfs that do not ascend.

    Raises INVALID_TABLE, UNSUPPORTED_VERSION.
    """
    if json.get("format", "latentwire-tables") != "latentwire-tables":
        invalid(f"format is {json['format']!r}, not latentwire-tables")
    version = json.get("version", 1)
    if version != 1:
        said = f"table version {version!r}; this release reads 1"
        unsupported(said) if isinstance(version, int) else invalid(said)
    if "offsets" not in json or "cdfs" not in json:
        invalid("a table needs the arrays offsets and cdfs")
    medians = json.get("medians")
    try:
        offsets = [_whole(offset) for offset in json["offsets"]]
        cdfs = [[_whole(value) for value in _listed(cdf)] for cdf in json["cdfs"]]
        return bytes(table_bytes(offsets, cdfs, None if medians is None else [_median(value) for value in medians]))
    except (TypeError, ValueError) as error:
        return invalid(str(error))


def _listed(values: Any) -> List[Any]:
    return values.tolist() if isinstance(values, np.ndarray) else list(values)


def _whole(value: Any) -> int:
    if isinstance(value, (bool, str)) or int(value) != value:
        raise ValueError(f"{value!r} is no integer")
    return int(value)


def _median(value: Any) -> float:
    with np.errstate(over="ignore"):
        median = float(np.float32(value))
    if not math.isfinite(median):
        raise ValueError(f"median {value!r} is not a finite float32")
    # JSON has no -0: its 0 would be another table's.
    return median + 0.0
