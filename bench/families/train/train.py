"""Trains one family on cached latents. The same command again goes on where it was cut off.

    python train.py --family mean-scale --cache CACHE --out RUN
"""
import pathlib

import numpy as np
import torch

from families import FAMILIES
from likelihood import Quantizer
from loop import Run, arguments


def args_():
    p = arguments(__doc__)
    p.set_defaults(lr=2e-3, final_lr=0.01, seed=1, save_every=30)
    p.add_argument("--family", required=True, choices=FAMILIES)
    p.add_argument("--cache", required=True, help="folder of cache.py")
    p.add_argument("--steps", type=int, default=8000)
    p.add_argument("--batch", type=int, default=8)
    p.add_argument("--warm-up", type=float, default=0.2, help="share of the steps in which the rate of z rises to its weight")
    p.add_argument("--noise", type=float, default=0.1, help="share of the steps in which the rate sees noise; then it sees symbols")
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
    latents = np.load(pathlib.Path(a.cache) / "train.npy", mmap_mode="r")
    held = torch.from_numpy(np.load(pathlib.Path(a.cache) / "held.npy"))
    model = FAMILIES[a.family]()
    opt = torch.optim.Adam(model.parameters(), lr=a.lr)
    run = Run(a, model, opt)
    if run.state:
        torch.manual_seed(a.seed + run.step)
    else:
        spread(model, torch.from_numpy(latents[:64].astype(np.float32)))
    sizes = {k: sum(p.numel() for p in n.parameters()) for k, n in model.nets.items()}
    print(f"{a.family}: {len(latents)} latents, {sum(sizes.values())} parameters {sizes}", flush=True)
    run.begin()
    while run.step < a.steps:
        share = run.step / a.steps
        run.schedule(share)
        # Epoch by epoch through one permutation (the file is shuffled), so that every latent is seen equally often.
        at = run.step * a.batch % (len(latents) - a.batch)
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
        run.advance({k: t.sum().item() / y.numel() for k, t in parts.items()})
        if run.step % 2000 == 0 or run.step == a.steps:
            with run.averaged():
                run.report(held=evaluate(model, held))
        elif run.step % 250 == 0:
            run.report()
        if run.save_is_due():
            run.save()
    run.save()


if __name__ == "__main__":
    main()
