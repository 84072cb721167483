"""Table bundles: the tables of a model in one file, under their names. docs/tables.md section 2 describes the file."""

from __future__ import annotations

import json
import math
import os
import re
import struct
import unicodedata
import weakref
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, List, Mapping, MutableMapping, NoReturn, Optional, Sequence, Tuple, Union

import numpy as np

from .codec import Codec
from .errors import CodecError, refuse_kind
from .latentwire_bundle import bundle_bytes, xxh32
from .prior import Prior
from .tables import Table
from .tensor import Buffer, Floats, bytes_of

_MAGIC = b"LWB"
_VERSION = 1
_FIXED = 8
_CHECKSUM = 4
_MAX_DIRECTORY = 1 << 22
_MAX_ENTRIES = 4096
_MAX_DEPTH = 64
_KINDS = ("factorized", "gaussian", "indexed")
#: Of the byte of the taps in parameters of a context prior: rows are given.
_HAS_GIVEN = 128
#: Scales of an entry that has none of its own.
_STOCK_ROWS = 64
#: The largest scale of which rows can be computed: DISTRIBUTIONS of cdfs.py.
_MAX_SCALE = 5000


@dataclass(frozen=True)
class BundleEntry:
    """A table of a bundle: what the bundle says about it, without loading it."""

    name: str
    #: `factorized`: a row per channel; `gaussian`: a row per scale; `indexed`: rows chosen by the caller.
    kind: str
    rows: int
    #: 16 hex digits that identify the table.
    fingerprint: str
    #: Shape of its latent, None where a dimension may be anything.
    shape: Optional[Tuple[Optional[int], ...]] = None
    #: The dimension that selects the row of a factorized table; None is the codec's default.
    axis: Optional[int] = None
    #: Quantization step for which the table was made.
    step: float = 1.0
    #: Anything that its maker wrote.
    meta: Mapping[str, Any] = field(default_factory=dict)
    #: The table in binary form; None where it is built from the scales.
    table: Optional[bytes] = field(default=None, repr=False)
    #: The scale of each row, float32; None for other kinds and for CompressAI's 64.
    scale_table: Optional[Floats] = field(default=None, repr=False, compare=False)
    #: The parameters of a context prior for such a table, or None.
    context: Optional[bytes] = field(default=None, repr=False)


class Bundle:
    """Tables under their names.

    A table is loaded when it is first used, once per codec. A bundle may be pickled and shared by threads.
    """

    #: Every table, in the order of the file.
    entries: Tuple[BundleEntry, ...]
    #: Anything that the bundle's maker wrote.
    meta: Mapping[str, Any]

    def __init__(self, data: Buffer) -> None:
        """Raises NOT_A_BUNDLE, UNSUPPORTED_VERSION, TRUNCATED, CORRUPTED; LIMIT_EXCEEDED where its tables would take
        far more work than its size allows.
        """
        self._bytes = bytes_of(data, "data").tobytes()
        self.entries, self.meta = _parse(self._bytes)
        self._loaded: MutableMapping[Codec, Dict[str, Table]] = weakref.WeakKeyDictionary()

    def __reduce__(self) -> Tuple[type, Tuple[bytes]]:
        return Bundle, (self._bytes,)

    def __repr__(self) -> str:
        return f"<latentwire.Bundle of {', '.join(entry.name for entry in self.entries) or 'no tables'}>"

    def entry(self, name: str) -> BundleEntry:
        """What the bundle says of a table. Raises ValueError where it has none of that name."""
        for entry in self.entries:
            if entry.name == name:
                return entry
        names = ", ".join(entry.name for entry in self.entries)
        raise ValueError(f"name {name!r} is not in the bundle, which has: {names or 'no tables'}")

    def _of_kind(self, name: str, kind: str) -> BundleEntry:
        entry = self.entry(name)
        if entry.kind != kind:
            raise ValueError(f"name {name!r} is a {entry.kind} table, not {kind}")
        return entry

    def table(self, codec: Codec, name: str) -> Table:
        """The table, loaded into `codec`.

        Raises ValueError for an unknown name; INVALID_TABLE, CORRUPTED where it is not what the bundle says.
        """
        if not isinstance(codec, Codec):
            raise TypeError("codec must be what latentwire.create() gives, the first argument")
        tables = self._loaded.setdefault(codec, {})
        if name not in tables:
            entry = self.entry(name)
            table = codec.gaussian_table(entry.scale_table) if entry.table is None else codec.table(entry.table)
            if table.fingerprint != entry.fingerprint:
                raise CodecError(
                    "CORRUPTED",
                    f"bundle: {name} is table {table.fingerprint}, the directory says {entry.fingerprint}",
                )
            tables[name] = table
        return tables[name]

    def factorized(
        self,
        codec: Codec,
        name: str,
        *,
        axis: Optional[int] = None,
        step: Optional[float] = None,
        context: Optional[bool] = None,
    ) -> Prior:
        """A prior of a factorized table, as `codec.factorized` makes it, or `codec.context` where the entry has a
        context.

        axis and step are the entry's unless given. context False: static rows, which are faster and take more bytes;
        True: the entry must have a context. Raises ValueError for a name that is unknown or of another kind, and for a
        context that is missing; what `table`, `codec.factorized` and `codec.context` raise.
        """
        if context not in (None, True, False):
            raise TypeError(f"context must be True or False, not {context!r}")
        entry = self._of_kind(name, "factorized")
        table = self.table(codec, name)
        axis = entry.axis if axis is None else axis
        step = entry.step if step is None else step
        if context and entry.context is None:
            raise ValueError(
                f"context: {name!r} has none in this bundle; "
                "`latentwire tables fit --context` adds one, with --tables to a bundle"
            )
        if context is not False and entry.context is not None:
            return codec.context(entry.context, table=table, axis=axis, step=step)
        return codec.factorized(table, axis=axis, step=step)

    def gaussian(
        self,
        codec: Codec,
        name: str,
        scales: Any,
        *,
        means: Optional[Any] = None,
        step: Optional[float] = None,
        axis: Optional[int] = None,
        context: bool = True,
    ) -> Prior:
        """A prior of a Gaussian table, as `codec.gaussian` makes it, or `codec.context` over that where the entry has a
        context.

        scales: one per symbol, from the hyper decoder. axis: under a context, the dimension of the channels. context
        False: static rows. Raises as `factorized`.
        """
        entry = self._of_kind(name, "gaussian")
        over = codec.gaussian(
            scales,
            means=means,
            step=entry.step if step is None else step,
            table=self.table(codec, name),
            scale_table=entry.scale_table,
        )
        return _under(codec, entry, over, context, axis)

    def indexed(
        self,
        codec: Codec,
        name: str,
        rows: Any,
        *,
        means: Optional[Any] = None,
        step: Optional[float] = None,
        axis: Optional[int] = None,
        context: Optional[bool] = None,
    ) -> Prior:
        """A prior with a row per symbol, as `codec.indexed` makes it, of a table of any kind.

        Where the entry is not factorized and has a context: `codec.context` over that. Options as of `gaussian`. Raises
        as `factorized`.
        """
        entry = self.entry(name)
        over = codec.indexed(self.table(codec, name), rows, means=means, step=entry.step if step is None else step)
        return _under(codec, entry, over, entry.kind != "factorized" if context is None else context, axis)


def _under(codec: Codec, entry: BundleEntry, over: Prior, context: bool, axis: Optional[int]) -> Prior:
    """A prior under the context of its entry, where it has one."""
    if not context or entry.context is None:
        return over
    return codec.context(entry.context, over=over, axis=entry.axis if axis is None else axis)


def read_bundle(data: Buffer) -> Bundle:
    """Reads a bundle from its bytes. Raises as `Bundle`."""
    return Bundle(data)


def load_bundle(path: Union[str, "os.PathLike[str]"], *, max_bytes: int = 1 << 26) -> Bundle:
    """Reads a bundle from a file.

    Raises as `Bundle`, LIMIT_EXCEEDED above `max_bytes`, and what the file system raises.
    """
    with Path(path).open("rb") as file:
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise CodecError("LIMIT_EXCEEDED", f"{path} has more than {max_bytes} bytes; raise max_bytes")
    return Bundle(data)


def write_bundle(entries: Sequence[Mapping[str, Any]], meta: Optional[Mapping[str, Any]] = None) -> bytes:
    """Writes tables into a bundle.

    entries: dicts with name (1 to 255 characters, unique), kind (`factorized`, `gaussian`, `indexed`) and table (a
    Table or its binary form); optional scale_table (of a gaussian table: a scale per row), context (of a factorized
    one: parameters), shape, axis, step, meta. Raises ValueError.
    """
    known = {"name", "kind", "table", "scale_table", "context", "shape", "axis", "step", "meta"}
    plain: List[Dict[str, Any]] = []
    for i, entry in enumerate(entries):
        if not known >= set(entry) >= {"name", "kind", "table"}:
            raise ValueError(f"entries[{i}] must have name, kind and table, and takes {', '.join(sorted(known))}")
        item = {key: value for key, value in entry.items() if value is not None}
        table = item["table"]
        item["table"] = table.bytes() if isinstance(table, Table) else bytes(table)
        if "scale_table" in item:
            item["scales"] = np.asarray(item.pop("scale_table"), np.float32).tolist()
        plain.append(item)
    data = bytes(bundle_bytes(plain, dict(meta or {})))
    try:
        _parse(data)
    except CodecError as error:
        raise ValueError(f"entries: {error}") from error
    return data


# ---- reading. A bundle may be anybody's: every field is checked before it is used.


def _corrupted(message: str) -> NoReturn:
    raise CodecError("CORRUPTED", f"bundle: {message}")


class _Budget:
    """What reading and loading a bundle may cost, in proportion to its size: SECURITY.md states the constants."""

    def __init__(self, size: int) -> None:
        self._work = (1 << 24) + 64 * size
        self._bytes = (1 << 26) + 64 * size

    def charge(self, work: float, size: float) -> None:
        self._work -= int(work)
        self._bytes -= int(size)
        if self._work < 0 or self._bytes < 0:
            raise CodecError("LIMIT_EXCEEDED", "bundle: more work or memory than a file of this size may take")


def _parse(data: bytes) -> Tuple[Tuple[BundleEntry, ...], Mapping[str, Any]]:
    if data[:3] != _MAGIC:
        refuse_kind("NOT_A_BUNDLE", data, "table bundle")
    if len(data) < _FIXED + _CHECKSUM:
        raise CodecError("TRUNCATED", "bundle: it ends inside its header")
    if data[3] != _VERSION:
        raise CodecError("UNSUPPORTED_VERSION", f"bundle version {data[3]}; this release reads {_VERSION}")
    length, end = struct.unpack_from("<I", data, 4)[0], len(data) - _CHECKSUM
    if _FIXED + length > end:
        raise CodecError("TRUNCATED", "bundle: it ends inside its directory")
    if length > _MAX_DIRECTORY:
        _corrupted(f"its directory has {length} bytes, {_MAX_DIRECTORY} is the most")
    # Before the directory is parsed, so that damage is reported as damage.
    if struct.unpack_from("<I", data, end)[0] != xxh32(data[:end]):
        _corrupted("the checksum does not match")
    budget = _Budget(len(data))
    budget.charge(length, 32 * length)
    directory = _record(_json(data[_FIXED : _FIXED + length]), "the directory")
    listed = directory.get("entries")
    if not isinstance(listed, list):
        _corrupted("entries is not a list")
    if len(listed) > _MAX_ENTRIES:
        _corrupted(f"{len(listed)} entries, {_MAX_ENTRIES} is the most")
    entries: List[BundleEntry] = []
    names: Dict[str, bool] = {}
    for fields in listed:
        entry = _entry(_record(fields, "an entry"), memoryview(data)[_FIXED + length : end], budget)
        if entry.name in names:
            _corrupted(f"two entries are named {entry.name}")
        names[entry.name] = True
        entries.append(entry)
    return tuple(entries), _record(_or(directory.get("meta"), {}), "meta")


def _json(text: bytes) -> Any:
    depth = deepest = 0
    # Strings away, then brackets count.
    for byte in re.sub(rb'"(?:[^"\\]|\\.)*"', b"", text):
        depth += (byte in b"[{") - (byte in b"]}")
        deepest = max(deepest, depth)
    if deepest > _MAX_DEPTH:
        _corrupted(f"the directory is nested more than {_MAX_DEPTH} levels deep")

    def refuse(_: str) -> NoReturn:
        raise ValueError

    try:
        return json.loads(text.decode(), parse_constant=refuse)
    except (ValueError, RecursionError):
        return _corrupted("the directory is no JSON")


def _or(value: Any, default: Any) -> Any:
    return default if value is None else value


def _record(value: Any, name: str) -> Dict[str, Any]:
    return value if isinstance(value, dict) else _corrupted(f"{name} is no object")


def _described(value: Any) -> str:
    """A value of a file for a message: short, whatever it is."""
    if isinstance(value, (list, dict)):
        return "a list" if isinstance(value, list) else "an object"
    text = json.dumps(value)
    return f"{text[:80]}.." if len(text) > 80 else text


def _is_whole(value: Any, least: int, most: int) -> bool:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and least <= value <= most and value == int(value)


def _is_name(name: Any) -> bool:
    return isinstance(name, str) and 1 <= len(name) <= 255 and not any(unicodedata.category(c) == "Cc" for c in name)


def _blob(place: Any, blobs: memoryview, name: str) -> Optional[bytes]:
    if place is None:
        return None
    if not isinstance(place, list) or len(place) != 2 or not all(_is_whole(n, 0, len(blobs)) for n in place):
        _corrupted(f"{name} is not a place in the bundle")
    start, length = map(int, place)
    if start + length > len(blobs):
        _corrupted(f"{name} reaches past the end")
    return blobs[start : start + length].tobytes()


def _entry(fields: Dict[str, Any], blobs: memoryview, budget: _Budget) -> BundleEntry:
    name, kind, rows, fingerprint = (fields.get(key) for key in ("name", "kind", "rows", "fingerprint"))
    if not isinstance(name, str) or not _is_name(name):
        _corrupted(f"{_described(name)} is not a name")
    if not isinstance(kind, str) or kind not in _KINDS:
        raise CodecError("UNSUPPORTED_VERSION", f"bundle: {name} is of the kind {_described(kind)}")
    if not _is_whole(rows, 1, 65535):
        _corrupted(f"{name}: {_described(rows)} rows")
    count = int(rows or 0)
    if not isinstance(fingerprint, str) or not re.fullmatch("[0-9a-f]{16}", fingerprint):
        _corrupted(f"{name}: the fingerprint is not 16 hex digits")
    # Any number of entries may name the same bytes, so the copies are charged before they are made.
    places = [fields.get(key) for key in ("table", "scales", "context")]
    budget.charge(len(places), 3 * sum(_length(place) for place in places))
    table, scales, context = (_blob(p, blobs, f"{name}: {k}") for p, k in zip(places, ("table", "scales", "context")))
    if table is None and kind != "gaussian":
        _corrupted(f"{name} has no table")
    scale_table = _scales(scales, name, kind, count, table is None, budget)
    if context is not None:
        if not _fits_context(context, kind, count):
            _corrupted(f"{name}: the context is none, or not for a {kind} table of {count} rows")
        budget.charge(2 * len(context), 8 * len(context))
    if table is not None:
        budget.charge(len(table), len(table))
        peeked = len(table) >= 14 and table[:4] == b"LWT\x01" and _varint(table, 5)[0] == count
        if not peeked or f"{struct.unpack('<Q', table[-8:])[0]:016x}" != fingerprint:
            _corrupted(f"{name}: the table is not the one that the directory describes")
    step = _or(fields.get("step"), 1)
    if isinstance(step, bool) or not isinstance(step, (int, float)) or not 2.0**-150 < step < 3.4028235677973366e38:
        _corrupted(f"{name}: the step is {_described(step)}")
    axis, shape = fields.get("axis"), fields.get("shape")
    if axis is not None and not _is_whole(axis, 0, 6):
        _corrupted(f"{name}: the axis is {_described(axis)}")
    if shape is not None and not (
        isinstance(shape, list)
        and 1 <= len(shape) <= 7
        and all(size is None or _is_whole(size, 0, 2**31 - 1) for size in shape)
    ):
        _corrupted(f"{name}: the shape is {_described(shape)}")
    return BundleEntry(
        name,
        kind,
        count,
        fingerprint,
        None if shape is None else tuple(None if size is None else int(size) for size in shape),
        None if axis is None else int(axis),
        float(step),
        _record(_or(fields.get("meta"), {}), f"{name}: meta"),
        table,
        scale_table,
        context,
    )


def _length(place: Any) -> float:
    """Bytes that a place claims; `_blob` checks whether it is one."""
    return place[1] if isinstance(place, list) and len(place) == 2 and _is_whole(place[1], 0, 1 << 32) else 0


def _scales(
    scales: Optional[bytes], name: str, kind: str, rows: int, is_built: bool, budget: _Budget
) -> Optional[Floats]:
    """The scale of each row: positive, ascending. Where the rows are to be built they are charged."""
    if scales is None:
        if kind == "gaussian" and rows != _STOCK_ROWS:
            _corrupted(f"{name}: {rows} rows without scales, CompressAI's scales are {_STOCK_ROWS}")
        return None
    if kind != "gaussian":
        _corrupted(f"{name} has scales, but is {kind}")
    if len(scales) != 4 * rows:
        _corrupted(f"{name}: the scales are not one per row")
    budget.charge(len(scales), len(scales))
    values = np.frombuffer(scales, "<f4").astype(np.float32)
    below = 0.0
    for j, scale in enumerate(values.tolist()):
        if not below < scale < math.inf:
            _corrupted(f"{name}: scales are positive and ascend, scale {j} is {scale}")
        if is_built and scale > _MAX_SCALE:
            _corrupted(f"{name}: scale {j} is {scale}, rows are built up to {_MAX_SCALE}")
        below = scale
    if is_built:
        # Entries of the rows, at most; each takes 16 units of work and 48 bytes.
        entries = float((13 * values.astype(np.float64) + 4).sum())
        budget.charge(16 * entries, 48 * entries)
    values.flags.writeable = False
    return values


def _fits_context(parameters: bytes, kind: str, rows: int) -> bool:
    """Whether parameters are for a table:

    a factorized one has a row per channel, of others each symbol is given a row.
    """
    if len(parameters) < 24 or parameters[:4] != b"LWC\x01":
        return False
    channels, at = _varint(parameters, 7)
    active, at = _varint(parameters, at)
    # The numbers of the active channels, behind which given rows are counted.
    for _ in range(active):
        if at >= len(parameters):
            break
        _, at = _varint(parameters, at)
    given = _varint(parameters, at)[0] if parameters[6] & _HAS_GIVEN else 0
    return given == 0 and channels == rows if kind == "factorized" else given == rows


def _varint(data: bytes, at: int) -> Tuple[int, int]:
    """A varint of at most 65,535, and where it ends; others are the codec's to refuse."""
    a, b, c = (data[at : at + 3] + bytes(3))[:3]
    if a < 128:
        return a, at + 1
    if b < 128:
        return a & 127 | b << 7, at + 2
    return a & 127 | (b & 127) << 7 | (c & 3) << 14, at + 3
