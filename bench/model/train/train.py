"""Trains one operating point: encoder + decoder + prior against the frozen teacher. Resumes from its checkpoint when started again.

    python train.py --images DIR [DIR ...] --backbone backbone.onnx --out RUN --target 5600 --minutes 20 --head-only 1 --lr 1.2e-3
    python train.py ... --init RUN/last.pt --out RUN2 --target 2500 --minutes 20      (fork from another point)
"""
import math

import torch

from backbone import Teacher, normalise
from data import Crops
from loop import Run, arguments
from networks import CHANNELS, Prior, build

TAPS = (10, 13, 17)


def args_():
    p = arguments(__doc__)
    p.set_defaults(lr=6e-4, final_lr=0.02, seed=0, save_every=120)
    p.add_argument("--images", nargs="+", required=True, help="folders of unlabelled photographs (searched recursively)")
    p.add_argument("--backbone", required=True, help="backbone.onnx, the frozen teacher")
    p.add_argument("--init", help="checkpoint to fork from")
    p.add_argument("--minutes", type=float, default=40, help="length of the schedule in CPU minutes of this process")
    p.add_argument("--target", type=float, default=0, help="bytes per 224x224 image the rate weight is steered to (0: keep --beta)")
    p.add_argument("--beta", type=float, default=0.15, help="first weight of the rate (bits per pixel)")
    p.add_argument("--noise", type=float, default=0.0, help="share of the schedule in which the decoder sees noise, not rounding")
    p.add_argument("--head-only", type=float, default=0.0, help="share of the schedule without the losses behind the tail")
    p.add_argument("--batch", type=int, default=16)
    p.add_argument("--size", type=int, default=128)
    p.add_argument("--zoom", type=float, nargs=2, default=(0.75, 1.9), help="source pixels per output pixel, low and high")
    p.add_argument("--weights", type=float, nargs=3, default=(1.0, 0.1, 0.3), help="of head distillation, inner features, KL")
    p.add_argument("--tail-limit", type=float, default=1.0, help="largest gradient of the tail losses, in units of the head's")
    p.add_argument("--fp32", action="store_true", help="no bfloat16 (slower on CPUs with AVX-512 BF16)")
    return p.parse_args()


def statistics(teacher, crops, seed):
    """Root of the 32 x 32 weight of the head distillation (half 1/variance, half Fisher information) and the variances of the taps."""
    torch.manual_seed(seed)
    g, s, mu, n, taps = torch.zeros(32, 32), torch.zeros(32, 32), torch.zeros(32), 0, [[] for _ in TAPS]
    for _ in range(16):
        x = normalise(crops.batch(16, 224, 0.85, 1.14))
        with torch.no_grad():
            f = teacher.head(x)
        v = f.clone().requires_grad_(True)
        logits, inner = teacher.tail(v, TAPS)
        logp = logits.log_softmax(1)
        label = torch.multinomial(logp.exp().detach(), 1)
        logp.gather(1, label).sum().backward()
        flat = lambda t: t.permute(1, 0, 2, 3).reshape(t.shape[1], -1)
        q, f = flat(v.grad), flat(f)
        g, s, mu, n = g + q @ q.T, s + f @ f.T, mu + f.sum(1), n + f.shape[1]
        for t, i in zip(taps, inner):
            t.append(flat(i.detach()).var(1))
    g, mu = g / n, mu / n
    cov = s / n - mu[:, None] * mu[None]
    w = 0.5 * torch.diag(1 / cov.diag()) + 0.5 * g * 32 / (g @ cov).trace()
    e, u = torch.linalg.eigh(w)
    return {"root": (u * e.clamp(min=0).sqrt()) @ u.T, "mean": mu, "taps": [torch.stack(t).mean(0) for t in taps]}


def main():
    a = args_()
    torch.set_num_threads(a.threads)
    torch.manual_seed(a.seed)
    enc, dec = build()
    prior = Prior(CHANNELS)
    model = torch.nn.ModuleDict({"enc": enc, "dec": dec, "prior": prior}).to(memory_format=torch.channels_last)
    params = [p for n, p in model.named_parameters() if not n.startswith("prior")]
    opt = torch.optim.Adam([{"params": params, "lr": a.lr}, {"params": list(prior.parameters()), "lr": 2 * a.lr}])
    run = Run(a, model, opt)
    teacher = Teacher(a.backbone).to(memory_format=torch.channels_last)
    fast = teacher if a.fp32 else Teacher(a.backbone).to(memory_format=torch.channels_last).bfloat16()
    half = not a.fp32
    crops = Crops(a.images, a.seed + run.step)
    print(f"{len(crops.images)} images, encoder {sum(p.numel() for p in enc.parameters())} parameters, "
          f"decoder {sum(p.numel() for p in dec.parameters())}", flush=True)

    beta = a.beta
    if run.state:
        stats, beta = run.state["stats"], run.state["beta"]
    elif a.init:  # starts from the averaged weights
        fork = torch.load(a.init, weights_only=False)
        stats, beta = fork["stats"], fork["beta"] if a.target else a.beta
        model.load_state_dict(fork["ema"])
    else:
        stats = statistics(teacher, crops, a.seed)
        with torch.no_grad():  # latents start with a spread of about 3 steps, features at their mean
            y = enc(normalise(crops.batch(32, 128, *a.zoom)))
            enc[-1].weight.mul_(3 / y.std((0, 2, 3)).clamp(min=1e-3).view(-1, 1, 1, 1))
            dec[0].weight.mul_(0.3)
            dec[-1].weight.mul_(0.1)
            dec[-1].bias.copy_(stats["mean"])
    root, tap_var = stats["root"], [t.view(1, -1, 1, 1) for t in stats["taps"]]
    pixels = a.batch * a.size * a.size
    run.begin()
    while (share := run.seconds() / (60 * a.minutes)) < 1:
        run.schedule(share)
        x = normalise(crops.batch(a.batch, a.size, *a.zoom))
        with torch.no_grad():
            f = fast.head(x.bfloat16() if half else x)
            if share >= a.head_only:
                tl, ti = fast.tail(f, TAPS)
                tl, ti = tl.float().log_softmax(1), [t.float() for t in ti]
            f = f.float()
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            y = enc(x)
        y = y.float()
        noisy = y + torch.empty_like(y).uniform_(-0.5, 0.5)
        bpp = prior.bits(noisy) / pixels
        v = noisy if share < a.noise else y + (y.round() - y).detach()
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            g = dec(v)
        g = g.float()
        r = (g - f).permute(1, 0, 2, 3).reshape(32, -1)
        head = (root @ r).square().mean()
        terms = {"head": head, "bytes": bpp * 6272}
        into_head = torch.autograd.grad(a.weights[0] * head, g, retain_graph=True)[0]
        into = into_head
        ramp = min(1, max(0, (share - a.head_only) / 0.1)) if a.head_only else min(1, run.step / 300)
        if share >= a.head_only:
            leaf = g.detach().requires_grad_()
            sl, si = teacher.tail(leaf, TAPS)
            inner = sum(((p - q).square() / w).mean() for p, q, w in zip(si, ti, tap_var))
            sl = sl.log_softmax(1)
            kl = (tl.exp() * (tl - sl)).sum(1).mean()
            into_tail = torch.autograd.grad(a.weights[1] * inner + a.weights[2] * kl, leaf)[0]
            # the tail's gradients are heavy-tailed (a few crops dominate): no crop's may exceed its share of the head's
            size_h, size_t = into_head.flatten(1).norm(dim=1), into_tail.flatten(1).norm(dim=1)
            scale = (a.tail_limit * size_h.mean() / size_t.clamp(min=1e-12)).clamp(max=1) * ramp
            into = into_head + into_tail * scale.view(-1, 1, 1, 1)
            terms.update(inner=inner, kl=kl, agree=(tl.argmax(1) == sl.argmax(1)).float().mean(),
                         ratio=(size_t / size_h.mean()).mean(), clipped=(scale < ramp).float().mean())
        opt.zero_grad()
        torch.autograd.backward([g, beta * bpp], [into, None])
        terms["grad"] = torch.nn.utils.clip_grad_norm_(params, 1.0)
        opt.step()
        run.advance(terms)
        if a.target and run.step > 100:
            beta *= math.exp(0.003 * max(-1, min(1, bpp.item() * 6272 / a.target - 1)))
        if run.step % 200 == 0:
            run.report(beta=round(beta, 4))
        if run.save_is_due():
            run.save(stats=stats, beta=beta)
    run.save(stats=stats, beta=beta)


if __name__ == "__main__":
    main()
