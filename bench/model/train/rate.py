"""Latents, tables counted from real symbols, ideal packet sizes and accuracy."""
import numpy as np
import torch

from backbone import normalise

OVERHEAD = 20  # bytes of header and coder state assumed in every packet


@torch.no_grad()
def symbols(enc, x, batch=25):
    return torch.cat([enc(normalise(x[i:i + batch])).round() for i in range(0, len(x), batch)]).to(torch.int16)


@torch.no_grad()
def evaluate(enc, dec, prior, teacher, x, labels, batch=25):
    """Quick figures during training: bytes from the prior, top-1 and agreement with the uncompressed teacher."""
    bits = ok = agree = base = 0.0
    for i in range(0, len(x), batch):
        u, y = normalise(x[i:i + batch]), labels[i:i + batch]
        s = enc(u).round()
        bits += prior.bits(s).item()
        p = teacher.tail(dec(s))[0].argmax(1)
        t = teacher.tail(teacher.head(u))[0].argmax(1)
        ok += (p == y).sum().item()
        agree += (p == t).sum().item()
        base += (t == y).sum().item()
    n = len(x)
    return {"bytes": round(bits / 8 / n, 1), "top1": ok / n, "agreement": agree / n, "teacher": base / n}


def count_tables(train, tail=2.0 ** -16):
    """16-bit tables per channel from symbols (n x c x h x w), lightly smoothed; the last entry of every row is the escape."""
    offsets, cdfs = [], []
    for ch in train.transpose(0, 1).reshape(train.shape[1], -1).numpy():
        low, high = int(ch.min()), int(ch.max())
        hist = np.bincount(ch - low, minlength=high - low + 1).astype(float)
        total = hist.sum()
        keep = np.nonzero(hist / total >= tail)[0]
        first, last = int(keep[0]), int(keep[-1])
        escape = hist[:first].sum() + hist[last + 1:].sum()
        p = hist[first:last + 1] + 0.5
        p = np.append(p, escape + 0.5) / (p.sum() + escape + 0.5)
        f = np.maximum(1, np.floor(p * 65536).astype(np.int64))
        f[int(f.argmax())] += 65536 - f.sum()
        offsets.append(low + first)
        cdfs.append([0] + [int(v) for v in f.cumsum()])
    return {"offsets": offsets, "cdfs": cdfs}


@torch.no_grad()
def measure(s, tables, dec, teacher, x, labels, batch=25):
    """Ideal bytes under the tables (plus OVERHEAD), top-1 and agreement; escapes cost their table bits and 4-bit groups."""
    bits, escapes = np.zeros(len(s)), 0
    for c, (offset, cdf) in enumerate(zip(tables["offsets"], tables["cdfs"])):
        v = s[:, c].reshape(len(s), -1).numpy().astype(np.int64) - offset
        n = len(cdf) - 2
        out = (v < 0) | (v >= n)
        cost = 16 - np.log2(np.diff(cdf))
        bits += cost[np.where(out, n, v)].sum(1)
        extra = np.where(v < 0, -2 * v - 1, 2 * (v - n))
        bits += np.where(out, 4 * (1 + np.ceil(np.log2(np.maximum(1, extra) + 1) / 4)), 0).sum(1)
        escapes += out.sum()
    pred, plain = [], []
    for i in range(0, len(x), batch):
        pred.append(teacher.tail(dec(s[i:i + batch].float()))[0].argmax(1))
        plain.append(teacher.tail(teacher.head(normalise(x[i:i + batch])))[0].argmax(1))
    pred, plain = torch.cat(pred), torch.cat(plain)
    return {"bytes": round(float(bits.mean() / 8 + OVERHEAD), 1), "median": round(float(np.median(bits) / 8 + OVERHEAD), 1),
            "bits_per_symbol": round(float(bits.sum() / s.numel()), 4), "zeros": round((s == 0).float().mean().item(), 4),
            "escapes_per_image": round(escapes / len(s), 3), "top1": (pred == labels).float().mean().item(),
            "agreement": (pred == plain).float().mean().item(), "backbone_top1": (plain == labels).float().mean().item()}
