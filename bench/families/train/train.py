"""Trains one family on cached latents. The same command again goes on where it was cut off.

    python train.py --family mean-scale --cache CACHE --out RUN
"""
import argparse
import json
import math
import os
import pathlib
import time

import numpy as np
import torch

from families import FAMILIES
from likelihood import Quantizer


def args_():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--family", required=True, choices=FAMILIES)
    p.add_argument("--cache", required=True, help="folder of cache.py")
    p.add_argument("--out", required=True, help="folder for last.pt and log.jsonl")
    p.add_argument("--steps", type=int, default=8000)
    p.add_argument("--batch", type=int, default=8)
    p.add_argument("--lr", type=float, default=2e-3)
    p.add_argument("--final-lr", type=float, default=0.01, help="fraction of --lr at the end of the cosine")
    p.add_argument("--warm-up", type=float, default=0.2, help="share of the steps in which the rate of z rises to its weight")
    p.add_argument("--noise", type=float, default=0.1, help="share of the steps in which the rate sees noise; then it sees symbols")
    p.add_argument("--ema", type=float, default=0.998)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--save-every", type=float, default=30, help="seconds between checkpoints")
    return p.parse_args()


@torch.no_grad()
def evaluate(model, held, batch=20):
    """Bits per symbol of y of every part, with rounding."""
    model.eval()
    sums = {}
    for x in held.split(batch):
        for k, t in model(x, Quantizer(False)).items():
            sums[k] = sums.get(k, 0.0) + t.sum().item() / held.numel()
    model.train()
    return {k: round(v, 5) for k, v in sums.items()}


@torch.no_grad()
def spread(model, y, deviation=2.0):
    """Scales the last layers that make a z: what is smaller than its rounding can teach nothing."""
    z = y
    for name, net in model.nets.items():
        if name.startswith("h_a"):
            layer = net.layers[-1]
            layer.weight.mul_((deviation / net(z).std((0, 2, 3))).view(-1, 1, 1, 1))
            z = net(z)


def main():
    a = args_()
    torch.set_num_threads(a.threads)
    torch.manual_seed(a.seed)
    out = pathlib.Path(a.out)
    out.mkdir(parents=True, exist_ok=True)
    last = out / "last.pt"
    latents = np.load(pathlib.Path(a.cache) / "train.npy", mmap_mode="r")
    held = torch.from_numpy(np.load(pathlib.Path(a.cache) / "held.npy"))
    model = FAMILIES[a.family]()
    opt = torch.optim.Adam(model.parameters(), lr=a.lr)
    state = torch.load(last, weights_only=False) if last.exists() else None
    step, spent = 0, 0.0
    if state:
        model.load_state_dict(state["model"])
        opt.load_state_dict(state["opt"])
        step, spent = state["step"], state["spent"]
        torch.manual_seed(a.seed + step)
    else:
        spread(model, torch.from_numpy(latents[:64].astype(np.float32)))
    ema = state["ema"] if state else {k: v.clone() for k, v in model.state_dict().items()}
    cpu, wall, saved, began, run = time.process_time(), time.time(), time.time(), step, {}
    log = open(out / "log.jsonl", "a")
    sizes = {k: sum(p.numel() for p in n.parameters()) for k, n in model.nets.items()}
    print(f"{a.family}: {len(latents)} latents, {sum(sizes.values())} parameters {sizes}", flush=True)

    def save():
        tmp = out / "last.tmp"
        torch.save({"family": a.family, "model": model.state_dict(), "ema": ema, "opt": opt.state_dict(), "step": step,
                    "spent": spent + time.process_time() - cpu, "seed": a.seed, "args": vars(a)}, tmp)
        os.replace(tmp, last)

    while step < a.steps:
        share = step / a.steps
        for g in opt.param_groups:
            g["lr"] = a.lr * min(1, (step + 1) / 100) * (a.final_lr + (1 - a.final_lr) * 0.5 * (1 + math.cos(math.pi * share)))
        # Epoch by epoch through one permutation (the file is shuffled), so that every latent is seen equally often.
        at = step * a.batch % (len(latents) - a.batch)
        y = torch.from_numpy(latents[at:at + a.batch].astype(np.float32))
        model.z.moving = share < 0.5
        parts = model(y, Quantizer(share < a.noise))
        # At full weight from the start z would be emptied before anything has learnt to use it.
        price = {k: min(1, 0.05 + share / max(a.warm_up, 1e-9)) if k.startswith("z") else 1 for k in parts}
        loss = sum(price[k] * t.sum() for k, t in parts.items()) / y.numel()
        opt.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        opt.step()
        step += 1
        decay = min(a.ema, (step + 1) / (step + 10))
        with torch.no_grad():
            for k, now in model.state_dict().items():
                ema[k].lerp_(now, 1 - decay)
        for k, t in parts.items():
            run.setdefault(k, []).append(t.sum().item() / y.numel())
        if step % 250 == 0:
            line = {"step": step, **{k: round(sum(t) / len(t), 4) for k, t in run.items()}}
            if step % 2000 == 0 or step == a.steps:
                test = FAMILIES[a.family]()
                test.load_state_dict(ema)
                line["held"] = evaluate(test, held)
            eta = (a.steps - step) * (time.time() - wall) / (step - began)
            print(f"{100 * step / a.steps:5.1f} % ETA {eta:.0f} s", json.dumps(line), flush=True)
            log.write(json.dumps(line) + "\n")
            log.flush()
            run = {}
        if time.time() - saved > a.save_every:
            save()
            saved = time.time()
    save()


if __name__ == "__main__":
    main()
