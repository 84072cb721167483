"""CompressAI's coder, as Python calls it, beside ours: npm run bench:native -- --peer-command "python3 bench/peers.py".

peers.py WORKLOAD MILLISECONDS FOLDER; docs/benchmarks.md says what that means. Symbols, rows and cdfs are lists, as CompressAI takes them,
before the clock starts.
"""

import array
import json
import statistics
import sys
import time

from compressai import ans


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


path, milliseconds, folder = sys.argv[1:]
offsets, cdfs, rows, symbols = read_workload(path)
sizes = [len(cdf) for cdf in cdfs]
encoder, decoder = ans.RansEncoder(), ans.RansDecoder()
encode = lambda: encoder.encode_with_indexes(symbols, rows, cdfs, sizes, offsets)
stream = encode()
decode = lambda: decoder.decode_with_indexes(stream, rows, cdfs, sizes, offsets)
assert list(decode()) == symbols
with open(f"{folder}/compressai-python.bin", "wb") as file:
    file.write(stream)
results = []
for op, call in (("encode", encode), ("decode", decode)):
    rate = len(symbols) / median_seconds(call, float(milliseconds) / 1000) / 1e6
    results.append({"codec": "compressai-python", "op": op, "lanes": 1, "msymPerSecond": rate, "bytes": len(stream)})
print(json.dumps(results))
