"""Latents, tables counted from real symbols, and accuracy."""
import numpy as np
import torch

from backbone import normalise


@torch.no_grad()
def symbols(enc, x, batch=25):
    return torch.cat([enc(normalise(x[i:i + batch])).round() for i in range(0, len(x), batch)]).to(torch.int16)


@torch.no_grad()
def evaluate(enc, dec, bits, teacher, x, labels, batch=25):
    """Bytes by `bits` of symbols (ideal, without a packet's header), top-1 and agreement with the uncompressed teacher."""
    spent = ok = agree = base = 0.0
    for i in range(0, len(x), batch):
        u, y = normalise(x[i:i + batch]), labels[i:i + batch]
        s = enc(u).round()
        spent += float(bits(s))
        p = teacher.tail(dec(s))[0].argmax(1)
        t = teacher.tail(teacher.head(u))[0].argmax(1)
        ok += (p == y).sum().item()
        agree += (p == t).sum().item()
        base += (t == y).sum().item()
    n = len(x)
    return {"bytes": round(spent / 8 / n, 1), "top1": ok / n, "agreement": agree / n, "backbone_top1": base / n}


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


def table_bits(tables, s):
    """Ideal bits of symbols n x c x h x w; an escape's own value is not counted."""
    bits = 0.0
    for channel, offset, cdf in zip(s.transpose(0, 1).numpy(), tables["offsets"], tables["cdfs"]):
        v, n = channel.astype(np.int64).ravel() - offset, len(cdf) - 2
        bits += (16 - np.log2(np.diff(cdf)))[np.where((v < 0) | (v >= n), n, v)].sum()
    return bits
