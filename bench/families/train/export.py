"""Exports a trained family and measures what was exported: ONNX files, z.json, model.json.

    python export.py --run RUN --cache CACHE --out ../models/mean-scale
"""
import argparse
import json
import pathlib
import re
import sys

import numpy as np
import onnxruntime as ort
import torch

from families import FAMILIES, GROUPS, LAMBDAS, MIXED, SUPPORT, M
from shared import count_tables
from simulate import simulate
from train import evaluate

PIXELS = 28 * 28


def rounded(values, digits=5):
    return {k: round(v, digits) for k, v in values.items()}


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
    table = count_tables(torch.cat(symbols))
    medians = [float(v) for v in model.z.medians.flatten()]
    return {"format": "latentwire-tables", "version": 1, "offsets": table["offsets"], "cdfs": table["cdfs"], "medians": medians}


@torch.no_grad()
def compare(net, path):
    """Largest difference between ONNX and torch, on 20 x 28 positions where the size is free."""
    session = ort.InferenceSession(str(path))
    words = {"h": 20, "w": 28, "h/2": 10, "w/2": 14, "h/4": 5, "w/4": 7}
    rng, inputs = np.random.default_rng(0), {}
    for k, shape in net.shapes()[0].items():
        inputs[k] = (rng.normal(size=[words.get(d, d) for d in shape]) * 3).astype(np.float32)
    found = session.run(None, inputs)
    want = net(*map(torch.from_numpy, inputs.values()))
    want = [want] if isinstance(want, torch.Tensor) else want
    side = next(iter(inputs.values())).shape[2]
    if "psi" in inputs and inputs["psi"].shape[2] == 1:  # one pixel: torch has the whole neighbourhood, of which the centre counts
        want = net(*(torch.from_numpy(np.broadcast_to(v, (*v.shape[:2], side, side)).copy()) for v in inputs.values()))
        want = [t[:, :, side // 2:side // 2 + 1, side // 2:side // 2 + 1] for t in want]
    return max(float(np.abs(f - w.numpy()).max()) for f, w in zip(found, want))


def describe(model, family):
    into = {}
    for name, net in model.nets.items():
        inputs, outputs = net.shapes()
        into[name] = {"file": f"{name}.onnx", "inputs": inputs, "outputs": outputs}
    d = {"family": family, "density": getattr(model, "density", "gaussian"), "channels": M, "zChannels": model.z_channels, "networks": into}
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
    family = state["family"]
    model = FAMILIES[family]()
    model.load_state_dict(state["ema"])
    held = np.load(cache / "held.npy")

    for name, net in model.nets.items():
        net.save(out / f"{name}.onnx", name)
        print(f"{name}.onnx: {(out / f'{name}.onnx').stat().st_size} bytes, off by {compare(net, out / f'{name}.onnx'):.1e}")
    (out / "z.json").write_text(json.dumps(z_table(model, np.load(cache / "train.npy", mmap_mode="r"))) + "\n")
    d = describe(model, family)
    flat = lambda m: re.sub(r"\s+", " ", m[0]).replace("[ ", "[").replace(" ]", "]")
    write = lambda: (out / "model.json").write_text(re.sub(r"\[[^\[\]{}]*\]", flat, json.dumps(d, indent=1)) + "\n")
    write()

    shown = lambda i, n: print(f"\rsimulated {i} of {n}", end="" if i < n else "\n", file=sys.stderr)
    trained = {"seed": state["seed"], "steps": state["step"], "minutes": round(state["spent"] / 60, 1)}
    claimed = evaluate(model, torch.from_numpy(held))
    if family == "gain":
        levels = []
        for level in range(len(LAMBDAS)):
            found, error = simulate(out, held, shown, level=level)
            levels.append({**rounded({"total": sum(found.values()), **found}), "mse": round(error, 5)})
        trained["bitsPerSymbol"] = levels
    else:
        found, _ = simulate(out, held, shown)
        trained["bitsPerSymbol"] = rounded({"total": sum(found.values()), **found})
    d["trained"] = trained
    write()
    print("claimed", claimed, "simulated", json.dumps(trained["bitsPerSymbol"]))
    print("bytes per 224 px image:", [round(t["total"] * M * PIXELS / 8) for t in np.atleast_1d(trained["bitsPerSymbol"])])


if __name__ == "__main__":
    main()
