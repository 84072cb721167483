"""JPEG and WebP curves (bytes, top-1, agreement) on the labelled images, through the uncompressed backbone.

    python baselines.py --eval DIR CSV --backbone backbone.onnx --out baselines.json
"""
import argparse
import io
import json

import numpy as np
import torch
from PIL import Image

from backbone import Teacher, normalise
from data import load_labelled

SETTINGS = [("jpeg", q, {"quality": q, "optimize": True}) for q in (5, 10, 15, 20, 25, 30, 40, 50, 75)] + \
           [("webp", q, {"quality": q, "method": 4}) for q in (0, 5, 10, 15, 20, 27, 35, 50, 75)]


@torch.no_grad()
def predict(teacher, x, batch=25):
    return torch.cat([teacher.tail(teacher.head(normalise(x[i:i + batch])))[0].argmax(1) for i in range(0, len(x), batch)])


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--eval", nargs=2, required=True, metavar=("DIR", "CSV"))
    p.add_argument("--backbone", required=True)
    p.add_argument("--out", required=True)
    a = p.parse_args()
    torch.set_num_threads(1)
    teacher = Teacher(a.backbone).to(memory_format=torch.channels_last)
    x, labels = load_labelled(*a.eval)
    plain = predict(teacher, x)
    points = [{"codec": "none", "top1": (plain == labels).float().mean().item()}]
    for codec, q, options in SETTINGS:
        size, back = 0, []
        for im in x.permute(0, 2, 3, 1).numpy():
            s = io.BytesIO()
            Image.fromarray(im).save(s, codec, **options)
            size += s.tell()
            s.seek(0)
            back.append(np.asarray(Image.open(s).convert("RGB")))
        pred = predict(teacher, torch.from_numpy(np.stack(back)).permute(0, 3, 1, 2))
        points.append({"codec": codec, "quality": q, "bytes": round(size / len(x), 1),
                       "top1": (pred == labels).float().mean().item(), "agreement": (pred == plain).float().mean().item()})
        print(json.dumps(points[-1]), flush=True)
        json.dump(points, open(a.out, "w"), indent=1)


if __name__ == "__main__":
    main()
