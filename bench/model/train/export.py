"""Exports a checkpoint: encoder.onnx, decoder.onnx, tables.json, the same as a bundle model.lwb, and its point of the curve on labelled images.

    python export.py --run RUN/last.pt --images DIR [DIR ...] --backbone backbone.onnx --eval DIR CSV --out MODEL

Latents are rounded to integers. Medians are zero: the encoder's bias has learnt the offset.
"""
import argparse
import json
import pathlib
import sys

import torch

from backbone import Teacher, normalise
from data import Crops, load_labelled
from networks import build
from onnx_file import save
from rate import count_tables, evaluate, symbols, table_bits

sys.path.append(str(pathlib.Path(__file__).parents[3] / "tables"))
from latentwire_bundle import bundle_bytes, table_bytes  # noqa: E402


class Scaled(torch.nn.Module):
    """Takes RGB 0..255; zero padding stays mid-grey."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, image):
        return self.net(normalise(image))


def prune(enc, dec, keep):
    """Drops latent channels whose symbols are all zero: fewer symbols to code, the same features."""
    with torch.no_grad():
        last, first = enc[-1], dec[0]
        last.weight, last.bias = torch.nn.Parameter(last.weight[keep]), torch.nn.Parameter(last.bias[keep])
        first.weight = torch.nn.Parameter(first.weight[:, keep])
    last.out_channels = first.in_channels = len(keep)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--run", required=True)
    p.add_argument("--images", nargs="+", required=True)
    p.add_argument("--backbone", required=True)
    p.add_argument("--eval", nargs=2, required=True, metavar=("DIR", "CSV"))
    p.add_argument("--out", required=True, help="folder for the exported files")
    p.add_argument("--count", type=int, default=4000, help="crops for the tables")
    p.add_argument("--seed", type=int, default=1)
    a = p.parse_args()
    torch.set_num_threads(1)
    out = pathlib.Path(a.out)
    out.mkdir(parents=True, exist_ok=True)
    state = torch.load(a.run, weights_only=False)
    enc, dec = build()
    for net, prefix in ((enc, "enc."), (dec, "dec.")):
        net.load_state_dict({k[4:]: v for k, v in state["ema"].items() if k.startswith(prefix)})
    crops = Crops(a.images, a.seed)
    counted = symbols(enc, torch.cat([crops.batch(min(100, a.count - i), 224, 0.85, 1.14) for i in range(0, a.count, 100)]))
    keep = torch.nonzero((counted != 0).float().mean((0, 2, 3)) > 2.0 ** -17).flatten().tolist()
    prune(enc, dec, keep)
    tables = count_tables(counted[:, keep])
    latent, features = ["n", len(keep), "h/8", "w/8"], ["n", 32, "h/8", "w/8"]
    off = [save(Scaled(enc), out / "encoder.onnx", {"image": ["n", 3, "h", "w"]}, {"latent": latent}, opset=13),
           save(dec, out / "decoder.onnx", {"latent_hat": latent}, {"features": features}, opset=13)]
    print("onnx against torch:", off)
    medians = [0.0] * len(keep)
    json.dump({"format": "latentwire-tables", "version": 1, **tables, "medians": medians}, open(out / "tables.json", "w"))
    entry = {"name": "latent", "kind": "factorized", "shape": [None, len(keep), None, None],
             "table": table_bytes(tables["offsets"], tables["cdfs"], medians)}
    (out / "model.lwb").write_bytes(bundle_bytes([entry]))
    teacher = Teacher(a.backbone).to(memory_format=torch.channels_last)
    point = evaluate(enc, dec, lambda s: table_bits(tables, s), teacher, *load_labelled(*a.eval))
    point = {"run": a.run, "train_step": state["step"], "channels": len(keep), **point}
    print(json.dumps(point))
    json.dump(point, open(out / "point.json", "w"), indent=1)


if __name__ == "__main__":
    main()
