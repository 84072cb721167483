"""One tensor: encoding, decoding, what packets say, and what is refused."""

import pickle
import struct

import numpy as np
import pytest

import latentwire
from latentwire import CodecError
from latentwire.latentwire_bundle import xxh64


def code_of(call):
    with pytest.raises(CodecError) as found:
        call()
    return found.value.code


def test_round_trip(codec, table, latent):
    prior = codec.factorized(table, step=0.5)
    packet = codec.encode(latent, prior)
    assert isinstance(packet, bytes)
    found = codec.decode(packet, prior)
    assert found.dtype == np.float32 and found.shape == latent.shape
    assert np.abs(found - latent).max() <= 0.25
    symbols = codec.decode(packet, prior, dtype=np.int16)
    assert symbols.dtype == np.int16
    assert np.array_equal(codec.quantize(latent, prior), symbols)
    assert np.array_equal(codec.dequantize(symbols, prior), found)
    assert codec.encode(symbols, prior) == packet


def test_results_are_the_callers(codec, table, latent):
    prior = codec.factorized(table)
    packet = codec.encode(latent, prior)
    first = codec.decode(packet, prior)
    kept = first.copy()
    codec.decode(codec.encode(-latent, prior), prior)
    assert np.array_equal(first, kept)
    first[...] = 0
    assert np.array_equal(codec.decode(packet, prior), kept)


def test_inspect(codec, table, latent):
    prior = codec.factorized(table)
    packet = codec.encode(latent, prior, lanes=8)
    info = codec.inspect(packet)
    assert (info.shape, info.lanes, info.parts, info.checksum) == (latent.shape, 8, 1, "valid")
    assert info.total_bytes == len(packet) == info.header_bytes + info.stream_bytes + 4
    damaged = packet[:-1] + bytes([packet[-1] ^ 1])
    assert codec.inspect(damaged).checksum == "invalid"


def test_judge(codec, table, latent):
    prior = codec.factorized(table)
    packet = codec.encode(latent, prior)
    assert codec.judge(packet) is None
    assert codec.judge(packet[:64], len(packet)) is None
    assert codec.judge(packet[:-1]) == "CORRUPTED"
    assert codec.judge(b"no packet") == "NOT_A_PACKET"
    assert codec.judge(codec.encode(latent, prior, checksum=False)) == "CORRUPTED"
    assert codec.judge(b"") in ("TRUNCATED", "NOT_A_PACKET", "CORRUPTED")
    with pytest.raises(ValueError, match="the first 64"):
        codec.judge(packet[:63], len(packet))


def test_compact_and_strings(codec, table, latent):
    prior = codec.factorized(table)
    full = codec.decode(codec.encode(latent, prior), prior)
    for options in ({"header": "compact"}, {"header": "compact", "checksum": 2}, {"header": "none"}):
        packet = codec.encode(latent, prior, **options)
        assert np.array_equal(codec.decode(packet, prior, shape=latent.shape, **options), full)
        with pytest.raises(TypeError, match="shape must be given"):
            codec.decode(packet, prior, **options)
    string = codec.encode(latent, prior, header="none", stream="compressai")
    with codec.writer(format="strings") as writer:
        writer.write(latent, prior)
        assert writer.finish_strings() == [string]
    with codec.reader([string]) as reader:
        assert np.array_equal(reader.read(prior, shape=latent.shape), full)
        reader.finish()


def test_ladder(codec, table, latent):
    ladder = [codec.factorized(table, step=step) for step in (0.25, 1, 4)]
    sizes = [len(codec.encode(latent, prior)) for prior in ladder]
    for header, front in (("packet", 0), ("compact", 1)):
        how = {"header": header}
        one = codec.encode(latent, ladder[1], **how)
        packet = codec.encode(latent, ladder, max_bytes=len(one) + front, **how)
        assert packet[front:] == one
        shape = latent.shape if front else None
        expected = codec.decode(one, ladder[1], shape=shape, **how)
        assert np.array_equal(codec.decode(packet, ladder, shape=shape, **how), expected)
    assert code_of(lambda: codec.encode(latent, ladder, max_bytes=min(sizes) - 1)) == "LIMIT_EXCEEDED"
    assert code_of(lambda: codec.decode(codec.encode(latent, codec.factorized(table, step=2)), ladder)) == "WRONG_PRIOR"
    with pytest.raises(ValueError, match="max_bytes"):
        codec.encode(latent, ladder, max_bytes=float("nan"))


def test_errors_are_those_of_javascript(codec, table, latent):
    prior = codec.factorized(table)
    packet = codec.encode(latent, prior)
    broken = latent.copy()
    broken[0, 1, 0, 0] = np.nan
    assert code_of(lambda: codec.encode(broken, prior)) == "NON_FINITE"
    assert code_of(lambda: codec.encode(latent[:, :3], prior)) == "SHAPE_MISMATCH"
    assert code_of(lambda: codec.encode(latent * 1e12, prior)) == "OUT_OF_RANGE"
    assert code_of(lambda: codec.decode(b"nothing here", prior)) == "NOT_A_PACKET"
    assert code_of(lambda: codec.decode(packet[:-3], prior)) in ("TRUNCATED", "CORRUPTED")
    assert code_of(lambda: codec.decode(packet, codec.factorized(table, step=2))) == "WRONG_PRIOR"
    assert code_of(lambda: codec.decode(packet, prior, max_elements=10)) == "LIMIT_EXCEEDED"
    assert code_of(lambda: codec.decode(packet, prior, shape=(1, 4, 60))) == "SHAPE_MISMATCH"
    assert code_of(lambda: codec.table({"offsets": [0], "cdfs": [[0, 5, 5, 65536]]})) == "INVALID_TABLE"
    assert code_of(lambda: codec.table(b"LWB\x01....")) == "INVALID_TABLE"
    assert code_of(lambda: codec.table({"version": 2, "offsets": [0], "cdfs": [[0, 65536]]})) == "UNSUPPORTED_VERSION"
    assert code_of(lambda: codec.table(b"LWT\x02" + codec.table(table).bytes()[4:])) == "UNSUPPORTED_VERSION"
    # Frequencies 30000, 2^32 - 20000, 40000 and what is left: their sums wrap.
    wrapped = bytes.fromhex("4c57540100 010004 afea01 dfe3feff0f bfb802")
    assert code_of(lambda: codec.table(wrapped + struct.pack("<Q", xxh64(wrapped)))) == "INVALID_TABLE"
    assert code_of(lambda: codec.context(b"nothing", table=table)) == "INVALID_CONTEXT"
    assert code_of(lambda: codec.quantized_cdf(np.array([-1, 2], np.float32))) == "INVALID_PMF"
    large = np.full((1, 4, 1, 1), 1000, np.int32)
    assert code_of(lambda: codec.decode(codec.encode(large, prior), prior, dtype="int8")) == "OUT_OF_RANGE"
    with pytest.raises(ValueError, match="step"):
        codec.factorized(table, step=0)
    with pytest.raises(TypeError, match="prior must come from"):
        codec.encode(latent, latentwire.create().factorized(table))
    with pytest.raises(TypeError, match="packet must be bytes"):
        codec.decode("packet", prior)
    # A failed call leaves the codec usable.
    assert codec.encode(latent, prior) == packet


def test_an_error_can_be_pickled(codec):
    with pytest.raises(CodecError) as found:
        codec.inspect(b"")
    copy = pickle.loads(pickle.dumps(found.value))
    assert (copy.code, str(copy)) == (found.value.code, str(found.value))


def test_tables(codec, table):
    loaded = codec.table(table)
    assert codec.table(loaded.bytes()) is loaded and codec.table(table) is loaded
    assert loaded.medians.tolist() == table["medians"]
    json = loaded.to_json()
    assert (json["offsets"], json["cdfs"], json["medians"]) == (table["offsets"], table["cdfs"], table["medians"])
    other = latentwire.create()
    assert other.table(loaded).fingerprint == loaded.fingerprint
    # The fingerprint of tables/gaussian64.ts.
    assert codec.gaussian_table().fingerprint == "4744afe9c50e9238"
    assert codec.laplace_table().rows == codec.logistic_table().rows == 64
    cdf = codec.quantized_cdf(np.array([0.5, 0.25, 0.25], np.float32))
    assert cdf.tolist() == [0, 32768, 49152, 65536]


def test_a_row_per_symbol(codec, table, latent):
    rows = np.arange(latent.size).reshape(latent.shape) % 4
    prior = codec.indexed(table, rows, means=latent)
    found = codec.decode(codec.encode(latent, prior), prior)
    assert np.array_equal(found, latent)
    with pytest.raises(ValueError, match="the table has rows 0 .. 3"):
        codec.indexed(table, [4])
    with pytest.raises(TypeError, match="rows must be integers"):
        codec.indexed(table, [0.5])


def test_mixture(codec, latent):
    scales = np.abs(latent) + 0.3
    prior = codec.mixture(
        scales=np.stack([scales, scales]), means=np.stack([latent, -latent]), components=2, kind="laplace"
    )
    found = codec.decode(codec.encode(latent, prior), prior)
    assert np.array_equal(found, np.rint(latent))


def test_parts(codec, table, latent):
    prior = codec.factorized(table)
    scales = np.abs(latent) + 0.2
    gaussian = codec.gaussian(scales, means=latent / 2)
    with codec.writer(guard=1e-5) as writer:
        z = writer.write(latent[:, :, ::2], prior, dequantize=True)
        y = writer.write(latent, gaussian, dequantize=True)
        corrections = writer.corrections
        packet = writer.finish()
        assert writer.corrections == corrections
    # The networks of another machine.
    near = codec.gaussian(scales * np.float32(1 + 8e-6), means=latent / 2)
    with codec.reader(packet) as reader:
        assert reader.remaining == z.size + y.size
        assert np.array_equal(reader.read(prior), z)
        assert np.array_equal(reader.read(near), y)
        assert reader.remaining == 0
        reader.finish()
    far = codec.gaussian(scales * 2, means=latent / 2)
    with codec.reader(packet) as reader:
        reader.read(prior)
        assert code_of(lambda: reader.read(far)) == "MODEL_MISMATCH"
        with pytest.raises(TypeError, match="closed"):
            reader.read(near)
    with pytest.raises(ValueError, match="guard"):
        with codec.writer(guard=0.5) as writer:
            writer.write(latent, gaussian)


def test_sequences(codec, latent):
    flat, scales = latent.reshape(-1), np.abs(latent.reshape(-1)) + 0.2
    for strings in (False, True):
        with codec.writer(format="strings" if strings else "packet") as writer:
            part = writer.sequence()
            pieces = [part.next(flat[i : i + 16], scales[i : i + 16], flat[i : i + 16] / 3) for i in range(0, 240, 16)]
            packet = writer.finish_strings() if strings else writer.finish()
        with codec.reader(packet) as reader:
            part = reader.sequence()
            out = np.empty(24, np.float32)
            found = [part.next(scales[i : i + 24], flat[i : i + 24] / 3, out).copy() for i in range(0, 240, 24)]
            reader.finish()
        assert np.array_equal(np.concatenate(found), np.concatenate(pieces))


def test_a_writer_survives_a_bad_part(codec, table, latent):
    prior = codec.factorized(table)
    with codec.writer() as writer:
        writer.write(latent, prior)
        assert code_of(lambda: writer.write(np.full(latent.shape, np.inf), prior)) == "NON_FINITE"
        writer.write(latent, prior)
        packet = writer.finish()
        with pytest.raises(TypeError, match="finished"):
            writer.write(latent, prior)
    with codec.reader(packet) as reader:
        assert np.array_equal(reader.read(prior), reader.read(prior))
        reader.finish()
