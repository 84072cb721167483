"""CompressAI and constriction, as Python calls them, beside ours: prints what it could import and measure. Started by bench/native.ts.

peers.py WORKLOAD MILLISECONDS FOLDER; docs/benchmarks.md says what that means. Symbols, rows and cdfs are lists or arrays, as each library
takes them, before the clock starts.
"""

import array
import importlib.util
import json
import statistics
import sys
import time


def read_workload(path):
    words = array.array("i")
    with open(path, "rb") as file:
        words.frombytes(file.read())
    magic, n, run, count = words[:4]
    if magic != 0x3142574C:
        sys.exit("this is no workload file")
    at = 4
    offsets, cdfs = [], []
    for _ in range(count):
        offset, length = words[at : at + 2]
        offsets.append(offset)
        cdfs.append(words[at + 2 : at + 2 + length].tolist())
        at += 2 + length
    return offsets, cdfs, words[at : at + n].tolist(), words[at + n : at + 2 * n].tolist()


def median_seconds(call, seconds):
    samples = []
    stop = time.perf_counter() + seconds
    while time.perf_counter() < stop or len(samples) < 3:
        began = time.perf_counter()
        call()
        samples.append(time.perf_counter() - began)
    return statistics.median(samples)


def compressai(offsets, cdfs, rows, symbols):
    """The stream of compressai.ans, which takes lists."""
    from compressai import ans

    sizes = [len(cdf) for cdf in cdfs]
    encoder, decoder = ans.RansEncoder(), ans.RansDecoder()
    encode = lambda: encoder.encode_with_indexes(symbols, rows, cdfs, sizes, offsets)
    stream = encode()
    decode = lambda: decoder.decode_with_indexes(stream, rows, cdfs, sizes, offsets)
    assert list(decode()) == symbols
    return "compressai-python", stream, encode, decode


def constriction(offsets, cdfs, rows, symbols):
    """constriction's ANS with a categorical model per row; the symbols are grouped by row, which is the fast way to call it."""
    import constriction as library
    import numpy

    which, values = numpy.array(rows), numpy.array(symbols, dtype=numpy.int32)
    groups = []
    for row in sorted(set(rows)):
        chosen = values[which == row] - offsets[row]
        frequencies = numpy.diff(numpy.array(cdfs[row], dtype=numpy.float64)) / 65536
        if (chosen < 0).any() or (chosen >= len(frequencies) - 1).any():
            raise ValueError("constriction has no escapes")
        if len(frequencies) < 2:
            raise ValueError("constriction wants two entries")
        model = library.stream.model.Categorical(frequencies, perfect=False)
        groups.append((chosen.astype(numpy.int32), model))

    def encode():
        coder = library.stream.stack.AnsCoder()
        for chosen, model in reversed(groups):
            coder.encode_reverse(chosen, model)
        return coder.get_compressed()

    stream = encode()

    def decode():
        coder = library.stream.stack.AnsCoder(stream)
        return [coder.decode(model, len(chosen)) for chosen, model in groups]

    assert all((decoded == chosen).all() for decoded, (chosen, _) in zip(decode(), groups))
    return "constriction-python", stream.tobytes(), encode, decode


def main():
    path, milliseconds, folder = sys.argv[1:]
    workload = read_workload(path)
    count = len(workload[3])
    results = []
    for name, peer in (("compressai", compressai), ("constriction", constriction)):
        if importlib.util.find_spec(name) is None:
            continue
        codec, stream, encode, decode = peer(*workload)
        with open(f"{folder}/{codec}.bin", "wb") as file:
            file.write(stream)
        for op, call in (("encode", encode), ("decode", decode)):
            rate = count / median_seconds(call, float(milliseconds) / 1000) / 1e6
            results.append({"codec": codec, "op": op, "lanes": 1, "msymPerSecond": rate, "bytes": len(stream)})
    print(json.dumps(results))


main()
