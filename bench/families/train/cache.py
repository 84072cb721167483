"""Runs the frozen encoder once: float latents of random training crops and of the held-out images' centres.

    python cache.py --images HELD_OUT_DIR [DIR ...] --encoder encoder.onnx --out CACHE

Every tenth image of the first folder is held out. Training latents are kept as float16 (to save memory; an error of 0.004 at 8),
held-out ones as float32.
"""
import argparse
import pathlib
import random
import time

import numpy as np
import onnxruntime as ort

from data import centre, files_of, load, random_crop

SIZE = 224


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--images", nargs="+", required=True, help="folders of photographs whose short side is at least 224")
    p.add_argument("--encoder", required=True)
    p.add_argument("--out", required=True)
    p.add_argument("--crops", type=int, default=4, help="random crops of every training image")
    p.add_argument("--zoom", type=float, nargs=2, default=(0.85, 1.14), help="source pixels per output pixel, low and high")
    p.add_argument("--seed", type=int, default=1)
    a = p.parse_args()
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    encoder = ort.InferenceSession(a.encoder, options)
    rng = random.Random(a.seed)
    first = files_of(a.images[0])
    held = set(first[::10])
    files = first + [f for folder in a.images[1:] for f in files_of(folder)]
    train, test, start, shown = [], [], time.time(), 0.0
    for i, f in enumerate(files):
        im = load(f)
        crops = [centre(im, SIZE)] if f in held else [random_crop(im, SIZE, *a.zoom, rng) for _ in range(a.crops)]
        x = np.ascontiguousarray(np.stack(crops).transpose(0, 3, 1, 2), np.float32)
        y = encoder.run(None, {"image": x})[0]
        (test if f in held else train).append(y.astype(np.float32 if f in held else np.float16))
        if time.time() - shown > 5:
            shown = time.time()
            print(f"{i + 1} of {len(files)} images, ETA {(shown - start) / (i + 1) * (len(files) - i - 1):.0f} s", flush=True)
    out = pathlib.Path(a.out)
    out.mkdir(parents=True, exist_ok=True)
    np.save(out / "train.npy", np.random.default_rng(a.seed).permutation(np.concatenate(train)))
    np.save(out / "held.npy", np.concatenate(test))
    print(f"{sum(map(len, train))} training latents, {len(held)} held out")


if __name__ == "__main__":
    main()
