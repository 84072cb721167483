"""Decoded photographs in memory and fresh random crops of them."""
import csv
import math
import pathlib
import random

import numpy as np
import torch
from PIL import Image


def files_of(folder):
    return sorted(p for p in pathlib.Path(folder).rglob("*") if p.suffix.lower() in (".jpg", ".jpeg", ".png"))


def load(path):
    with Image.open(path) as image:
        return image.convert("RGB")


def centre(image, size):
    w, h = image.size
    x, y = (w - size) // 2, (h - size) // 2
    return np.asarray(image.crop((x, y, x + size, y + size)))


def random_crop(image, size, low, high, rng):
    """A size x size crop after scaling the image's short side to `scale` x its own; low and high bound source pixels per output pixel."""
    w, h = image.size
    zoom = min(math.exp(rng.uniform(math.log(low), math.log(high))), min(w, h) / size)
    side = size * zoom
    x, y = rng.uniform(0, w - side), rng.uniform(0, h - side)
    out = image.resize((size, size), Image.BILINEAR, box=(x, y, x + side, y + side))
    return np.asarray(out)[:, ::-1] if rng.random() < 0.5 else np.asarray(out)


class Crops:
    def __init__(self, folders, seed):
        self.images = [load(path) for folder in folders for path in files_of(folder)]
        self.rng = random.Random(seed)

    def batch(self, n, size, low, high):
        picks = [self.images[self.rng.randrange(len(self.images))] for _ in range(n)]
        a = np.stack([random_crop(im, size, low, high, self.rng) for im in picks])
        return torch.from_numpy(a).permute(0, 3, 1, 2)  # n x 3 x size x size uint8, channels last in memory


def load_labelled(folder, table, size=224):
    """Centre crops of the evaluation images and their labels."""
    rows = list(csv.DictReader(open(table)))
    xs = [centre(load(pathlib.Path(folder) / pathlib.PurePosixPath(r["file"]).name), size) for r in rows]
    x = torch.from_numpy(np.stack(xs)).permute(0, 3, 1, 2)
    return x, torch.tensor([int(r["label"]) for r in rows])
