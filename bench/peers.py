"""What Python has, beside ours: npm run bench:native -- --peer-command "python3 bench/peers.py".

peers.py WORKLOAD MILLISECONDS FOLDER; docs/benchmarks.md says what that means. Measured is what this interpreter can import:

compressai-python  CompressAI's coder. Symbols, rows and cdfs are lists, as it takes them, before the clock starts
compressai-arrays  the same as its compress() and decompress() call it: arrays become lists, and the symbols an array again, each time
latentwire-python  the package of bindings/python: arrays to a full packet with its checks, and back
"""

import json
import statistics
import sys
import time

import numpy as np

try:
    from compressai import ans
except ImportError:
    ans = None
try:
    import latentwire
except ImportError:
    latentwire = None


def read_workload(path):
    """Offsets, cdfs, rows, symbols, and how many symbols in turn share a row: 0 where each has its own."""
    words = np.fromfile(path, "<i4")
    magic, n, run, count = words[:4].tolist()
    if magic != 0x3142574C:
        sys.exit("this is no workload file")
    at = 4
    offsets, cdfs = [], []
    for _ in range(count):
        offset, length = words[at : at + 2].tolist()
        offsets.append(offset)
        cdfs.append(words[at + 2 : at + 2 + length].tolist())
        at += 2 + length
    return offsets, cdfs, words[at : at + n], words[at + n : at + 2 * n], run


def median_seconds(call, seconds):
    samples = []
    stop = time.perf_counter() + seconds
    while time.perf_counter() < stop or len(samples) < 3:
        began = time.perf_counter()
        call()
        samples.append(time.perf_counter() - began)
    return statistics.median(samples)


def compressai_of_lists(offsets, cdfs, rows, symbols, run):
    encoder, decoder = ans.RansEncoder(), ans.RansDecoder()
    given = (rows.tolist(), cdfs, [len(cdf) for cdf in cdfs], offsets)
    listed = symbols.tolist()
    return lambda: encoder.encode_with_indexes(listed, *given), lambda stream: decoder.decode_with_indexes(stream, *given)


def compressai_of_arrays(offsets, cdfs, rows, symbols, run):
    encoder, decoder = ans.RansEncoder(), ans.RansDecoder()
    sizes, first = np.array([len(cdf) for cdf in cdfs], np.int32), np.array(offsets, np.int32)
    # As the buffer `_quantized_cdf` of a model: rows of one length.
    padded = np.zeros((len(cdfs), sizes.max()), np.int32)
    for row, cdf in zip(padded, cdfs):
        row[: len(cdf)] = cdf
    given = lambda: (rows.tolist(), padded.tolist(), sizes.tolist(), first.tolist())
    return (
        lambda: encoder.encode_with_indexes(symbols.tolist(), *given()),
        lambda stream: np.array(decoder.decode_with_indexes(stream, *given()), np.int32),
    )


def ours(offsets, cdfs, rows, symbols, run):
    codec = latentwire.create()
    table = codec.table({"offsets": offsets, "cdfs": cdfs})
    # Of the type that holds them, as a model's latents are kept.
    dtype = "int8" if np.abs(symbols).max() < 128 else "int16"
    latent = symbols.astype(dtype)
    if run:
        latent = latent.reshape(-1, len(cdfs), run)
        prior = codec.factorized(table, axis=1)
    else:
        prior = codec.indexed(table, rows)
    decode = lambda packet: codec.decode(packet, prior, dtype=dtype).reshape(-1)
    return lambda: codec.encode(latent, prior), decode


path, milliseconds, folder = sys.argv[1:]
workload = read_workload(path)
symbols = workload[3]
codecs = {}
if ans:
    codecs.update({"compressai-python": compressai_of_lists, "compressai-arrays": compressai_of_arrays})
if latentwire:
    codecs["latentwire-python"] = ours
results = []
for name, make in codecs.items():
    encode, decode = make(*workload)
    stream = encode()
    if not np.array_equal(decode(stream), symbols):
        sys.exit(f"{name} decodes other symbols")
    with open(f"{folder}/{name}.bin", "wb") as file:
        file.write(stream)
    lanes = latentwire.create().inspect(stream).lanes if name.startswith("latentwire") else 1
    for op, call in (("encode", encode), ("decode", lambda: decode(stream))):
        rate = len(symbols) / median_seconds(call, float(milliseconds) / 1000) / 1e6
        results.append({"codec": name, "op": op, "lanes": lanes, "msymPerSecond": rate, "bytes": len(stream)})
print(json.dumps(results))
