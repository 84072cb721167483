"""Every kind of array goes in, and what cannot go in is an error with a type."""

import numpy as np
import pytest

from latentwire import Affine, CodecError, checkerboard_half


def test_floats_of_any_size(codec, table, latent):
    prior = codec.factorized(table)
    half = latent.astype(np.float16)
    packet = codec.encode(half.astype(np.float32), prior)
    for dtype in (np.float16, np.float64, np.longdouble, ">f4", ">f8", "<f2"):
        assert codec.encode(half.astype(dtype), prior) == packet
    with pytest.raises(CodecError) as found:
        codec.encode(latent.astype(np.float64) * 1e300, prior)
    assert found.value.code == "OUT_OF_RANGE"
    with pytest.raises(CodecError) as found:
        codec.encode(np.full(latent.shape, np.inf), prior)
    assert found.value.code == "NON_FINITE"


def test_integers_of_any_size(codec, table):
    prior = codec.factorized(table)
    symbols = np.arange(240).reshape(1, 4, 60) % 100
    packet = codec.encode(symbols.astype(np.int32), prior)
    for dtype in "i1 i2 i4 i8 u1 u2 u4 u8 >i2 >i4 >i8 >u2".split():
        assert codec.encode(symbols.astype(dtype), prior) == packet, dtype
    assert codec.encode(symbols > 7, prior) == codec.encode((symbols > 7).astype(np.int8), prior)
    for value in (2**31, -(2**31) - 1):
        with pytest.raises(CodecError, match=f"element 3 is {value}") as found:
            codec.encode(np.array([[[0], [0], [0], [value]]]), prior)
        assert found.value.code == "OUT_OF_RANGE"
    assert codec.decode(codec.encode([[[2**31 - 1], [-(2**31)], [0], [1]]], prior), prior, dtype="int32").min() == -(
        2**31
    )


def test_out_of_any_type(codec, table):
    prior = codec.factorized({**table, "medians": None})
    symbols = np.array([[[0, 1], [5, 127], [128, 255], [65535, 7]]])
    packet = codec.encode(symbols, prior)
    for dtype in ("int64", "uint64", "uint32", "int32", "uint16", "float64", "float32"):
        found = codec.decode(packet, prior, dtype=dtype)
        assert found.dtype == dtype and np.array_equal(found, symbols)
        for out in (
            np.empty(symbols.shape, dtype),
            np.empty(symbols.shape, np.dtype(dtype).newbyteorder(">"), order="F"),
        ):
            assert codec.decode(packet, prior, dtype=dtype, out=out) is out and np.array_equal(out, symbols)
    with codec.reader(packet) as reader:
        assert np.array_equal(reader.read(prior, dtype="uint32"), symbols)
    for dtype, at in (("uint8", 6), ("bool", 2), ("int8", 4), ("int16", 6), ("float16", 6)):
        with pytest.raises(CodecError, match=f" {at} is .* {dtype} cannot hold") as found:
            codec.decode(packet, prior, dtype=dtype)
        assert found.value.code == "OUT_OF_RANGE"
    negative = codec.encode(-symbols, prior)
    for dtype in ("uint8", "uint16", "uint32", "uint64", "bool"):
        with pytest.raises(CodecError, match=" is -"):
            codec.decode(negative, prior, dtype=dtype)
    flags = symbols > 100
    assert np.array_equal(codec.decode(codec.encode(flags, prior), prior, dtype=bool), flags)
    with pytest.raises(TypeError, match="dtype must be"):
        codec.decode(packet, prior, dtype="complex64")


def test_quantized_elements(codec):
    row = [*(3800 * k for k in range(17)), 65536]
    affine = Affine(0.05, 128)
    prior = codec.factorized({"offsets": [-8], "cdfs": [row]}, step=affine.scale)
    latent = np.array([[[[127, 128], [131, 120]]]], np.uint8)
    packet = codec.encode(latent, prior, affine=affine)
    assert codec.decode(packet, prior, dtype="int8").reshape(-1).tolist() == [-1, 0, 3, -8]
    same = codec.decode(packet, prior, affine=affine, dtype="uint8")
    assert same.dtype == np.uint8 and np.array_equal(same, latent)
    values = codec.decode(packet, prior, affine=affine)
    assert np.allclose(values.reshape(-1), [-0.05, 0, 0.15, -0.4])
    with codec.writer() as writer:
        writer.write(latent, prior, affine=affine)
        parts = writer.finish()
    with codec.reader(parts) as reader:
        assert np.array_equal(reader.read(prior, affine=affine, dtype="uint8"), latent)
        reader.finish()
    assert codec.rate(latent, prior, affine=affine) == codec.rate(latent.astype(int) - 128, prior)
    for wrong in (Affine(0.06, 128), Affine(0.05, 256), Affine(0.05, -1), Affine(0.05, 0.5)):
        with pytest.raises(ValueError, match="affine"):
            codec.encode(latent, prior, affine=wrong)
    with pytest.raises(ValueError, match="zero point of int32"):
        codec.encode(latent.astype(np.int32), prior, affine=affine)
    with pytest.raises(CodecError, match="element 2 is 258"):
        codec.decode(codec.encode(np.array([[[0, 1, 130]]]), prior), prior, affine=affine, dtype="uint8")


def test_any_layout(codec, table, latent):
    prior = codec.factorized(table)
    packet = codec.encode(latent, prior)
    wide = np.repeat(latent, 2, axis=3)
    for other in (np.asfortranarray(latent), wide[..., ::2], latent[..., ::-1][..., ::-1], latent.tolist()):
        assert codec.encode(other, prior) == packet
    nhwc = np.ascontiguousarray(latent.transpose(0, 2, 3, 1))
    assert codec.encode(nhwc.transpose(0, 3, 1, 2), prior) == packet
    scales = np.abs(latent) + 0.5
    gaussian = codec.encode(latent, codec.gaussian(scales, means=latent))
    assert codec.encode(latent, codec.gaussian(np.asfortranarray(scales), means=latent.astype(">f4"))) == gaussian


def test_out_of_any_layout(codec, table, latent):
    prior = codec.factorized(table)
    packet = codec.encode(latent, prior)
    expected = codec.decode(packet, prior)
    for out in (
        np.empty(latent.shape, np.float32),
        np.empty(latent.shape, np.float32, order="F"),
        np.empty(latent.shape, ">f4"),
        np.empty((*latent.shape[:-1], 20), np.float32)[..., ::2],
    ):
        assert codec.decode(packet, prior, out=out) is out
        assert np.array_equal(out, expected)
    for out, kind in (
        (np.empty(latent.shape, np.int32), TypeError),
        ([], TypeError),
        (np.empty((1, 4, 60), np.float32), ValueError),
        (np.broadcast_to(np.float32(0), latent.shape), ValueError),
    ):
        with pytest.raises(kind, match="out "):
            codec.decode(packet, prior, out=out)


def test_what_is_no_latent(codec, table):
    prior = codec.factorized(table)
    for value, kind in (
        ("text", TypeError),
        (None, TypeError),
        (b"1234", TypeError),
        (np.zeros((1, 4), np.complex64), TypeError),
        (np.zeros((1, 4), object), TypeError),
        (np.zeros((1, 4), "datetime64[s]"), TypeError),
        (np.float32(1), CodecError),
        (np.zeros([1] * 8, np.float32), CodecError),
        (np.zeros((1, 3), np.float32), CodecError),
    ):
        with pytest.raises(kind):
            codec.encode(value, prior)
    for shape in (5, "12", (1.5, 4), (-1, 4), (None,), (2**31, 4)):
        with pytest.raises((TypeError, CodecError)):
            codec.decode(b"", prior, header="compact", shape=shape)


def test_empty_latents(codec, table):
    prior = codec.factorized(table)
    for shape in ((0, 4, 3), (1, 4, 0), (0, 4, 65536, 65536)):
        found = codec.decode(codec.encode(np.empty(shape, np.float32), prior), prior)
        assert found.shape == shape


def test_packets_in_any_buffer(codec, table, latent):
    prior = codec.factorized(table)
    packet = codec.encode(latent, prior)
    expected = codec.decode(packet, prior)
    spread = np.repeat(np.frombuffer(packet, np.uint8), 2)[::2]
    for other in (bytearray(packet), memoryview(packet), np.frombuffer(packet, np.uint8), spread, memoryview(spread)):
        assert np.array_equal(codec.decode(other, prior), expected)
    with pytest.raises(TypeError):
        codec.decode(np.frombuffer(packet, np.int8), prior)


def test_checkerboard_half():
    array = np.arange(24).reshape(1, 1, 4, 6)
    even, odd = checkerboard_half(array, 0), checkerboard_half(array, 1)
    assert even.shape == odd.shape == (1, 1, 2, 2, 3)
    assert even.reshape(4, 3).tolist() == [[0, 2, 4], [7, 9, 11], [12, 14, 16], [19, 21, 23]]
    assert odd.reshape(4, 3).tolist() == [[1, 3, 5], [6, 8, 10], [13, 15, 17], [18, 20, 22]]
    even[...] = -1
    assert (array == -1).sum() == 12
    with pytest.raises(ValueError, match="even dimensions"):
        checkerboard_half(array[..., :3], 0)
