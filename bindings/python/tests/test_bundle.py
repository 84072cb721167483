"""Bundles: those of JavaScript and of tables/latentwire_bundle.py, and files that are none."""

import json
import pickle
import struct

import numpy as np
import pytest

import latentwire
from latentwire import CodecError
from latentwire.latentwire_bundle import xxh32


def edited(bundle, edit):
    """The bundle with another directory, sealed again."""
    length = struct.unpack_from("<I", bundle, 4)[0]
    directory = json.loads(bundle[8 : 8 + length])
    edit(directory)
    text = directory if isinstance(directory, bytes) else json.dumps(directory).encode()
    out = bundle[:4] + struct.pack("<I", len(text)) + text + bundle[8 + length : -4]
    return out + struct.pack("<I", xxh32(out))


def code_of(call):
    with pytest.raises(CodecError) as found:
        call()
    return found.value.code


@pytest.fixture
def data(codec, table):
    return latentwire.write_bundle(
        [
            {"name": "z", "kind": "factorized", "table": codec.table(table), "shape": [None, 4, None], "step": 0.5},
            {"name": "y", "kind": "gaussian", "table": codec.gaussian_table().bytes()},
            {"name": "g", "kind": "gaussian", "table": codec.table(table), "scale_table": [0.5, 1, 2, 4]},
            {"name": "rows", "kind": "indexed", "table": codec.table(table), "meta": {"of": "a test"}},
        ],
        {"model": "mine"},
    )


def test_a_bundle_written_by_python(codec, vectors):
    bundle = latentwire.load_bundle(vectors / "python-bundle.lwb")
    assert bundle.meta == {"made": "make_bundle.py", "list": [1, 2.5, None]}
    assert [(entry.name, entry.kind, entry.rows, entry.step, entry.axis) for entry in bundle.entries][:2] == [
        ("latent_codec.hyper.entropy_bottleneck", "factorized", 3, 1, None),
        ("größe", "factorized", 1, 0.5, 2),
    ]
    assert bundle.entry("y1").scale_table.tolist() == np.array([0.11, 0.7], np.float32).tolist()
    for entry in bundle.entries:
        assert bundle.table(codec, entry.name).fingerprint == entry.fingerprint


def test_a_round_trip(codec, data, table, latent):
    bundle = latentwire.read_bundle(data)
    assert pickle.loads(pickle.dumps(bundle)).entries == bundle.entries
    assert [entry.name for entry in bundle.entries] == ["z", "y", "g", "rows"]
    prior = bundle.factorized(codec, "z")
    assert codec.encode(latent, prior) == codec.encode(latent, codec.factorized(table, step=0.5))
    assert bundle.factorized(codec, "z", step=2).step == 2
    scales = np.abs(latent) + 0.1
    assert codec.encode(latent, bundle.gaussian(codec, "y", scales)) == codec.encode(latent, codec.gaussian(scales))
    own = codec.gaussian(scales, means=latent, table=table, scale_table=np.array([0.5, 1, 2, 4], np.float32))
    assert codec.encode(latent, bundle.gaussian(codec, "g", scales, means=latent)) == codec.encode(latent, own)
    rows = np.zeros(latent.shape, np.int8)
    assert codec.encode(latent, bundle.indexed(codec, "rows", rows)) == codec.encode(latent, codec.indexed(table, rows))
    assert bundle.table(codec, "z") is bundle.table(codec, "g")
    with pytest.raises(ValueError, match="has: z, y, g, rows"):
        bundle.table(codec, "x")
    with pytest.raises(ValueError, match="is a gaussian table"):
        bundle.factorized(codec, "y")
    with pytest.raises(TypeError, match="bundle.table"):
        codec.table(bundle)


def test_what_is_no_bundle(codec, data):
    assert code_of(lambda: latentwire.read_bundle(b"nothing")) == "NOT_A_BUNDLE"
    assert code_of(lambda: latentwire.read_bundle(b"LWB\x02" + data[4:])) == "UNSUPPORTED_VERSION"
    for end in [*range(3, 60), *range(60, len(data), 3001)]:
        assert code_of(lambda end=end: latentwire.read_bundle(data[:end])) in ("TRUNCATED", "CORRUPTED")
    for at in [*range(4, 40), *range(40, len(data), 3001)]:
        damaged = data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :]
        assert code_of(lambda damaged=damaged: latentwire.read_bundle(damaged)) in ("TRUNCATED", "CORRUPTED")


@pytest.mark.parametrize(
    "field, value",
    [
        ("name", ""),
        ("name", "a\x00"),
        ("name", 7),
        ("name", "y"),
        ("rows", 0),
        ("rows", True),
        ("rows", 5),
        ("rows", 1e300),
        ("fingerprint", "g" * 16),
        ("fingerprint", "0" * 16),
        ("table", None),
        ("table", [0, 1 << 40]),
        ("table", [-1, 4]),
        ("table", "0"),
        ("scales", [0, 16]),
        ("context", [0, 30]),
        ("step", 0),
        ("step", "1"),
        ("step", 1e39),
        ("axis", 7),
        ("shape", []),
        ("shape", [None, -1]),
        ("meta", []),
    ],
)
def test_a_wrong_directory(data, field, value):
    assert (
        code_of(lambda: latentwire.read_bundle(edited(data, lambda d: d["entries"][0].update({field: value}))))
        == "CORRUPTED"
    )


def test_a_context_over_given_rows(codec, vectors):
    made = json.loads((vectors / "context-packets.json").read_text())
    case = next(one for one in made["cases"] if one["name"] == "given rows")
    part = case["parts"][0]
    parameters = bytes.fromhex(made["networks"][part["network"]])
    table = codec.table(part["table"])
    entry = {"name": "y", "kind": "indexed", "table": table, "context": parameters, "axis": part["axis"]}
    bundle = latentwire.read_bundle(latentwire.write_bundle([entry]))
    symbols = np.array(part["symbols"], np.int32).reshape(part["dims"])
    packet = bytes.fromhex(next(one["hex"] for one in case["packets"] if one["options"] == {"lanes": 1}))
    under = bundle.indexed(codec, "y", part["rows"])
    assert codec.encode(symbols, under, lanes=1) == packet
    assert (codec.decode(packet, under, dtype=np.int32) == symbols).all()
    fixed = bundle.indexed(codec, "y", part["rows"], context=False)
    assert len(codec.encode(symbols, fixed)) > len(packet)
    for kind, rows in (("factorized", 5), ("indexed", 4)):
        cut = {**part["table"], "offsets": part["table"]["offsets"][:rows], "cdfs": part["table"]["cdfs"][:rows]}
        with pytest.raises(ValueError):
            latentwire.write_bundle([{**entry, "kind": kind, "table": codec.table(cut)}])


def test_a_directory_that_costs_too_much(data):
    nested = {}
    for _ in range(100):
        nested = {"a": nested}
    assert code_of(lambda: latentwire.read_bundle(edited(data, lambda d: d.update(meta=nested)))) == "CORRUPTED"
    entry = {"name": "0", "kind": "gaussian", "rows": 64, "fingerprint": "0" * 16}

    def many(directory):
        length = len(data) - 12
        copies = [{**entry, "name": str(k), "table": [0, 20000]} for k in range(4000)]
        directory["entries"] = copies if length else []

    assert code_of(lambda: latentwire.read_bundle(edited(data, many))) in ("CORRUPTED", "LIMIT_EXCEEDED")
    assert code_of(lambda: latentwire.read_bundle(edited(data, lambda d: d["entries"][0].update(kind="new")))) == (
        "UNSUPPORTED_VERSION"
    )


def test_bombs_of_the_repository(vectors):
    bomb = (vectors / "faults" / "bundle_scale_bomb_400.lwb").read_bytes()
    assert code_of(lambda: latentwire.read_bundle(bomb)) == "LIMIT_EXCEEDED"


def test_files(data, tmp_path):
    path = tmp_path / "model.lwb"
    path.write_bytes(data)
    assert len(latentwire.load_bundle(str(path)).entries) == 4
    assert code_of(lambda: latentwire.load_bundle(path, max_bytes=100)) == "LIMIT_EXCEEDED"
    with pytest.raises(FileNotFoundError):
        latentwire.load_bundle(tmp_path / "none.lwb")


def test_entries_that_are_none(codec, table):
    form = codec.table(table).bytes()
    for entry in (
        {"name": "a", "kind": "factorized"},
        {"name": "a", "kind": "mixture", "table": form},
        {"name": "", "kind": "indexed", "table": form},
        {"name": "a", "kind": "gaussian", "table": form},
        {"name": "a", "kind": "gaussian", "table": form, "scale_table": [1, 2]},
        {"name": "a", "kind": "indexed", "table": form, "colour": 1},
    ):
        with pytest.raises(ValueError):
            latentwire.write_bundle([entry])
