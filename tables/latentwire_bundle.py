"""Writes latentwire's tables and bundles from Python: docs/format.md section 5, docs/tables.md section 2. Needs nothing but Python.

    entry = {"name": "entropy_bottleneck", "kind": "factorized", "table": table_bytes(offsets, cdfs, medians), "shape": [None, 48, None, None]}
    open("model.lwb", "wb").write(bundle_bytes([entry], {"model": "mine"}))
"""

import json
import math
import struct

_MASK32 = 0xFFFFFFFF
_MASK64 = 0xFFFFFFFFFFFFFFFF
_P32 = (0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D, 0x27D4EB2F, 0x165667B1)
_P64 = (0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5)


def _rotl(value, count, bits):
    return ((value << count) | (value >> (bits - count))) & ((1 << bits) - 1)


def xxh32(data):
    """XXH32 with seed 0."""
    p1, p2, p3, p4, p5 = _P32
    at, h = 0, p5
    if len(data) >= 16:
        a, b, c, d = p1 + p2, p2, 0, -p1
        at = len(data) & ~15
        # Only the low 32 bits of what is multiplied count, so a rotation leaves the others where they are.
        for e, f, g, h in struct.iter_unpack("<4I", memoryview(data)[:at]):
            a, b, c, d = a + e * p2 & _MASK32, b + f * p2 & _MASK32, c + g * p2 & _MASK32, d + h * p2 & _MASK32
            a, b = (a << 13 | a >> 19) * p1, (b << 13 | b >> 19) * p1
            c, d = (c << 13 | c >> 19) * p1, (d << 13 | d >> 19) * p1
        lanes = (lane & _MASK32 for lane in (a, b, c, d))
        h = sum(_rotl(lane, count, 32) for lane, count in zip(lanes, (1, 7, 12, 18))) & _MASK32
    h = (h + len(data)) & _MASK32
    while at + 4 <= len(data):
        h = _rotl((h + struct.unpack_from("<I", data, at)[0] * p3) & _MASK32, 17, 32) * p4 & _MASK32
        at += 4
    for byte in data[at:]:
        h = _rotl((h + byte * p5) & _MASK32, 11, 32) * p1 & _MASK32
    h = (h ^ h >> 15) * p2 & _MASK32
    h = (h ^ h >> 13) * p3 & _MASK32
    return h ^ h >> 16


def xxh64(data):
    """XXH64 with seed 0."""
    p1, p2, p3, p4, p5 = _P64

    def step(lane, word):
        return _rotl((lane + word * p2) & _MASK64, 31, 64) * p1 & _MASK64

    at, h = 0, p5
    if len(data) >= 32:
        lanes = [(p1 + p2) & _MASK64, p2, 0, -p1 & _MASK64]
        while at + 32 <= len(data):
            lanes = [step(lane, word) for lane, word in zip(lanes, struct.unpack_from("<4Q", data, at))]
            at += 32
        h = sum(_rotl(lane, count, 64) for lane, count in zip(lanes, (1, 7, 12, 18))) & _MASK64
        for lane in lanes:
            h = ((h ^ step(0, lane)) * p1 + p4) & _MASK64
    h = (h + len(data)) & _MASK64
    while at + 8 <= len(data):
        h = (_rotl(h ^ step(0, struct.unpack_from("<Q", data, at)[0]), 27, 64) * p1 + p4) & _MASK64
        at += 8
    if at + 4 <= len(data):
        h = (_rotl(h ^ struct.unpack_from("<I", data, at)[0] * p1 & _MASK64, 23, 64) * p2 + p3) & _MASK64
        at += 4
    for byte in data[at:]:
        h = _rotl(h ^ byte * p5 & _MASK64, 11, 64) * p1 & _MASK64
    h = (h ^ h >> 33) * p2 & _MASK64
    h = (h ^ h >> 29) * p3 & _MASK64
    return h ^ h >> 32


def varint(value):
    """A number as a varint: 7 bits a byte, the low ones first."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def table_bytes(offsets, cdfs, medians=None):
    """A table in binary form.

    offsets: the first symbol of each row. cdfs: per row ascending integers from 0 to 65536, the last entry being the escape.
    medians: a float per row, or None. Raises ValueError for what is no table.
    """
    if not 1 <= len(cdfs) <= 65535 or len(offsets) != len(cdfs):
        raise ValueError(f"{len(cdfs)} rows and {len(offsets)} offsets: a table has 1 .. 65535 of each")
    out = bytearray(b"LWT\x01")
    out.append(0 if medians is None else 1)
    out += varint(len(cdfs))
    for r, (offset, cdf) in enumerate(zip(offsets, cdfs)):
        if len(cdf) < 2 or cdf[0] != 0 or cdf[-1] != 65536 or any(b <= a for a, b in zip(cdf, cdf[1:])):
            raise ValueError(f"row {r}: a cdf ascends from 0 to 65536")
        if abs(offset) > 2**30:
            raise ValueError(f"row {r}: offset {offset} is beyond 2^30")
        out += varint(2 * offset if offset >= 0 else -2 * offset - 1)
        out += varint(len(cdf) - 1)
        for a, b in zip(cdf[:-1], cdf[1:-1]):
            out += varint(b - a - 1)
    if medians is not None:
        if len(medians) != len(cdfs) or not all(math.isfinite(median) for median in medians):
            raise ValueError("medians: a finite number per row")
        out += struct.pack(f"<{len(medians)}f", *medians)
    return bytes(out) + struct.pack("<Q", xxh64(out))


def bundle_bytes(entries, meta=None):
    """A bundle.

    entries: dicts with name, kind ("factorized", "gaussian", "indexed") and table (of table_bytes); optional scales (floats, one per row of a
    gaussian table), context (bytes: parameters of a context prior for such a table), shape, axis, step, meta. Raises ValueError for what
    is no bundle.
    """
    blobs, places, listed = bytearray(), {}, []

    def place(data):
        if data not in places:
            places[data] = [len(blobs), len(data)]
            blobs.extend(data)
        return places[data]

    for entry in entries:
        table = entry["table"]
        rows, shift, at = 0, 0, 5
        while True:
            rows |= (table[at] & 0x7F) << shift
            shift, at = shift + 7, at + 1
            if table[at - 1] < 0x80:
                break
        item = {
            "name": entry["name"],
            "kind": entry["kind"],
            "rows": rows,
            "fingerprint": f"{struct.unpack('<Q', table[-8:])[0]:016x}",
            "table": place(table),
        }
        if entry["kind"] not in ("factorized", "gaussian", "indexed"):
            raise ValueError(f"{entry['name']}: kind {entry['kind']}")
        if any(other["name"] == item["name"] for other in listed):
            raise ValueError(f"two entries are named {item['name']}")
        if entry.get("scales") is not None:
            if entry["kind"] != "gaussian" or len(entry["scales"]) != rows:
                raise ValueError(f"{entry['name']}: scales are one per row of a gaussian table")
            item["scales"] = place(struct.pack(f"<{rows}f", *entry["scales"]))
        if entry.get("context") is not None:
            item["context"] = place(bytes(entry["context"]))
        for key in ("shape", "axis", "step", "meta"):
            if entry.get(key) is not None:
                item[key] = entry[key]
        listed.append(item)
    directory = json.dumps({"entries": listed, "meta": meta or {}}, separators=(",", ":"), allow_nan=False).encode()
    out = b"LWB\x01" + struct.pack("<I", len(directory)) + directory + bytes(blobs)
    return out + struct.pack("<I", xxh32(out))
