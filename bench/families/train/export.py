"""Exports a trained family: ONNX files, z.json, model.json.

    python export.py --run RUN --cache CACHE --out ../models/mean-scale
"""
import argparse
import json
import pathlib
import re

import numpy as np
import torch

from families import FAMILIES, GROUPS, LAMBDAS, MIXED, SUPPORT, M
from onnx_file import save
from rate import count_tables
from train import evaluate


@torch.no_grad()
def z_table(model, latents, batch=64):
    """Counted from the symbols of training latents."""
    if isinstance(model, FAMILIES["recursive"]):
        analysis = lambda y: model.nets["h_a2"](model.nets["h_a1"](y))
    else:
        analysis = model.nets["h_a"]
    symbols = []
    for i in range(0, len(latents), batch):
        y = torch.from_numpy(latents[i:i + batch].astype(np.float32))
        for level in range(len(LAMBDAS)) if hasattr(model, "gains") else [None]:
            scaled = y if level is None else y * model.gains[level].exp().view(1, -1, 1, 1)
            symbols.append((analysis(scaled) - model.z.medians).round().to(torch.int16))
    medians = [float(v) for v in model.z.medians.flatten()]
    return {"format": "latentwire-tables", "version": 1, **count_tables(torch.cat(symbols)), "medians": medians}


def describe(model, family):
    d = {"family": family, "density": getattr(model, "density", "gaussian"), "channels": M, "zChannels": model.z_channels, "networks": {}}
    if family in GROUPS:
        d["groups"] = GROUPS[family]
    if family == "mixture":
        d.update(components=MIXED, support=SUPPORT)
    if family == "recursive":
        d["z1Channels"] = model.z1_channels
    if family == "gain":
        exact = lambda t: [[float(np.float32(v)) for v in row] for row in t.exp().tolist()]
        d.update(gains=exact(model.gains), inverse_gains=exact(model.inverse), lambdas=LAMBDAS)
    return d


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--run", required=True)
    p.add_argument("--cache", required=True)
    p.add_argument("--out", required=True)
    a = p.parse_args()
    torch.set_num_threads(1)
    out, cache = pathlib.Path(a.out), pathlib.Path(a.cache)
    out.mkdir(parents=True, exist_ok=True)
    state = torch.load(pathlib.Path(a.run) / "last.pt", weights_only=False)
    family = state["args"]["family"]
    model = FAMILIES[family]()
    model.load_state_dict(state["ema"])
    d = describe(model, family)
    # Before the files are written: a pixel's network loses its padding then.
    rate = evaluate(model, torch.from_numpy(np.load(cache / "held.npy")))
    d["trained"] = {"seed": state["args"]["seed"], "steps": state["step"], "minutes": round(state["spent"] / 60, 1), "bitsPerSymbol": rate}
    print(family, rate)
    (out / "z.json").write_text(json.dumps(z_table(model, np.load(cache / "train.npy", mmap_mode="r"))) + "\n")
    for name, net in model.nets.items():
        inputs, outputs = net.shapes()
        d["networks"][name] = {"file": f"{name}.onnx", "inputs": inputs, "outputs": outputs}
        off = save(net, out / f"{name}.onnx", inputs, outputs)
        print(f"{name}.onnx: {(out / f'{name}.onnx').stat().st_size} bytes, off by {off:.1e}")
    flat = lambda m: re.sub(r"\s+", " ", m[0]).replace("[ ", "[").replace(" ]", "]")
    (out / "model.json").write_text(re.sub(r"\[[^\[\]{}]*\]", flat, json.dumps(d, indent=1)) + "\n")


if __name__ == "__main__":
    main()
