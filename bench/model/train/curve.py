"""Collects point.json files into curve.json with bytes against JPEG and WebP at equal top-1 (log bytes interpolated over top-1).

    python curve.py --model MODEL [MODEL ...] --baselines baselines.json --out curve.json
"""
import argparse
import json
import math
import pathlib

import numpy as np


def bytes_at(points, codec, top1):
    rows = sorted((p["bytes"], p["top1"]) for p in points if p["codec"] == codec)
    acc = np.maximum.accumulate([t for _, t in rows])
    if not acc[0] <= top1 <= acc[-1]:
        return None
    return math.exp(np.interp(top1, acc, np.log([b for b, _ in rows])))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--model", nargs="+", required=True)
    p.add_argument("--baselines", required=True)
    p.add_argument("--out", required=True)
    a = p.parse_args()
    base, curve = json.load(open(a.baselines)), []
    for m in a.model:
        q = json.load(open(pathlib.Path(m) / "point.json"))
        row = {"name": pathlib.Path(m).name, **{k: q[k] for k in ("channels", "bytes", "median", "top1", "agreement", "backbone_top1", "zeros", "escapes_per_image")}}
        for codec in ("jpeg", "webp"):
            b = bytes_at(base, codec, q["top1"])
            row[codec + "_bytes_at_equal_top1"] = b and round(b)
            row["vs_" + codec] = b and round(q["bytes"] / b, 3)
        curve.append(row)
        print(json.dumps(row))
    curve.sort(key=lambda r: r["bytes"])
    json.dump(curve, open(a.out, "w"), indent=1)


if __name__ == "__main__":
    main()
