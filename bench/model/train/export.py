"""Exports a checkpoint: encoder.onnx, decoder.onnx, tables.json, the same as a bundle model.lwb, and its point of the curve on labelled images.

    python export.py --run RUN/last.pt --images DIR [DIR ...] --backbone backbone.onnx --eval DIR CSV --out MODEL [--step 1.25]

The quantization step is folded into the networks (encoder's last layer / step, decoder's first layer * step), so that the
shipped latents are always rounded to integers. Medians are zero: the encoder's bias has learnt the offset.
"""
import argparse
import json
import pathlib
import sys

import numpy as np
import onnxruntime as ort
import torch

from backbone import Teacher, normalise
from data import Crops, load_labelled
from networks import build
from onnx_export import save_decoder, save_encoder
from rate import OVERHEAD, count_tables, measure, symbols

sys.path.insert(0, str(pathlib.Path(__file__).parents[3] / "tables"))
from latentwire_bundle import bundle_bytes, table_bytes  # noqa: E402


def fold(enc, dec, step):
    with torch.no_grad():
        enc[-1].weight /= step
        enc[-1].bias /= step
        dec[0].weight *= step


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
    p.add_argument("--out", help="folder for the exported files (left out: only measure)")
    p.add_argument("--step", type=float, nargs="+", default=[1.0], help="several: measure each; export needs one")
    p.add_argument("--count", type=int, default=4000, help="crops for the tables")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--keep-all", action="store_true", help="do not drop latent channels that are always zero")
    p.add_argument("--raw", action="store_true", help="the last weights instead of their running average")
    a = p.parse_args()
    torch.set_num_threads(1)
    state = torch.load(a.run, weights_only=False)
    weights = state["model"] if a.raw else state["ema"]
    teacher = Teacher(a.backbone).to(memory_format=torch.channels_last)
    crops = Crops(a.images, a.seed)
    table_crops = torch.cat([crops.batch(min(100, a.count - i), 224, 0.85, 1.14) for i in range(0, a.count, 100)])
    x, labels = load_labelled(*a.eval)
    for step in a.step:
        enc, dec, channels, _ = build(state["arch"])
        enc.load_state_dict({k[4:]: v for k, v in weights.items() if k.startswith("enc.")})
        dec.load_state_dict({k[4:]: v for k, v in weights.items() if k.startswith("dec.")})
        fold(enc, dec, step)
        counted, s = symbols(enc, table_crops), symbols(enc, x)
        if not a.keep_all:
            keep = torch.nonzero((counted != 0).float().mean((0, 2, 3)) > 2.0 ** -17).flatten().tolist()
            prune(enc, dec, keep)
            counted, s, channels = counted[:, keep], s[:, keep], len(keep)
        tables = count_tables(counted)
        point = measure(s, tables, dec, teacher, x, labels)
        point = {"run": a.run, "train_step": state["step"], "quant_step": step, "channels": channels, **point}
        print(json.dumps(point), flush=True)
    if not a.out:
        return
    out = pathlib.Path(a.out)
    out.mkdir(parents=True, exist_ok=True)
    save_encoder(out / "encoder.onnx", enc, channels)
    save_decoder(out / "decoder.onnx", dec, channels)
    medians = [0.0] * channels
    json.dump({"format": "latentwire-tables", "version": 1, "offsets": tables["offsets"], "cdfs": tables["cdfs"],
               "medians": medians}, open(out / "tables.json", "w"))
    entry = {"name": "latent", "kind": "factorized", "shape": [None, channels, None, None],
             "table": table_bytes(tables["offsets"], tables["cdfs"], medians)}
    (out / "model.lwb").write_bytes(bundle_bytes([entry]))
    json.dump(point, open(out / "point.json", "w"), indent=1)
    u = x[:4].float().contiguous().numpy()
    lat = ort.InferenceSession(str(out / "encoder.onnx")).run(None, {"image": u})[0]
    feat = ort.InferenceSession(str(out / "decoder.onnx")).run(None, {"latent_hat": np.round(lat)})[0]
    with torch.no_grad():
        y = enc(normalise(x[:4]))
        f = dec(torch.from_numpy(np.round(lat)))
    print("onnx against torch: latent", float(np.abs(lat - y.numpy()).max()), "features", float(np.abs(feat - f.numpy()).max()),
          "flipped symbols", int((np.round(lat) != y.round().numpy()).sum()))


if __name__ == "__main__":
    main()
