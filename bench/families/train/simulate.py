"""The codec's order of work with exported networks, in numpy: ideal bits, without a stream.

    python simulate.py --cache CACHE --models ../models/mean-scale --tables ../../model/points/mid/tables.json

Nothing of the training code is used here, and only what was coded before goes into a network, so a network that sees too much
would be found out by its rate. Scales go through the codec's table of 64 (docs/format.md, section 7).
"""
import argparse
import json
import math
import pathlib
import sys

import numpy as np
import onnxruntime as ort

SCALES = np.exp(np.linspace(math.log(0.11), math.log(256), 64)).astype(np.float32)
FLOOR = 2.0 ** -16  # no entry of a table is rarer
REACH = 256

CDF = {
    "gaussian": lambda x: 0.5 * math.erfc(-x / math.sqrt(2)),
    "laplace": lambda x: 0.5 * math.exp(x) if x < 0 else 1 - 0.5 * math.exp(-x),
    "logistic": lambda x: 1 / (1 + math.exp(-x)) if x > -700 else 0.0,
}


def cost(density):
    """Bits of |symbol| under every row."""
    cdf, table = CDF[density], np.zeros((len(SCALES), REACH))
    for r, s in enumerate(SCALES.astype(float)):
        for k in range(REACH):
            table[r, k] = -math.log2(max(cdf((0.5 - k) / s) - cdf((-0.5 - k) / s), FLOOR))
    return table


def with_table(table, symbols):
    """Bits of symbols (1 x rows x h x w) under integer tables; an escape costs whole bytes on top (section 3.3)."""
    bits = 0.0
    for values, offset, cdf in zip(symbols[0], table["offsets"], table["cdfs"]):
        v, m = values.astype(int).ravel() - offset, len(cdf) - 2
        out = (v < 0) | (v >= m)
        raw = np.where(v < 0, -2 * v - 1, 2 * (v - m))
        extra = np.where(out, 8 * np.ceil(np.log2(np.maximum(raw, 1) + 1) / 7), 0)
        bits += float((16 - np.log2(np.diff(cdf)))[np.where(out, m, v)].sum() + extra.sum())
    return bits


class Coder:
    def __init__(self, folder, model):
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.model, self.nets = model, {}
        for name, n in model["networks"].items():
            self.nets[name] = ort.InferenceSession(str(folder / n["file"]), options)
        self.z_table = json.load(open(folder / "z.json"))
        self.cost = cost(model["density"])
        self.bits = {}

    def run(self, name, **inputs):
        return self.nets[name].run(None, inputs)

    def spend(self, part, bits):
        self.bits[part] = self.bits.get(part, 0.0) + float(bits)

    def z(self, z):
        medians = np.array(self.z_table["medians"], np.float32).reshape(1, -1, 1, 1)
        symbols = np.rint(z - medians)
        self.spend("z", with_table(self.z_table, symbols))
        return symbols + medians

    def code(self, y, scales, means=np.float32(0), part="y"):
        symbols = np.rint(y - means)
        rows = np.searchsorted(SCALES[:-1], scales)  # the number of scales below
        self.spend(part, self.cost[rows, np.minimum(np.abs(symbols).astype(int), REACH - 1)].sum())
        return symbols + means


def mean_scale(c, y):
    z_hat = c.z(c.run("h_a", y=y)[0])
    return c.code(y, *c.run("h_s", z_hat=z_hat))


def recursive(c, y):
    z1 = c.run("h_a1", y=y)[0]
    z2_hat = c.z(c.run("h_a2", z1=z1)[0])
    z1_hat = c.code(z1, *c.run("h_s2", z2_hat=z2_hat), part="z1")
    return c.code(y, *c.run("h_s1", z1_hat=z1_hat))


def psi_of(c, y):
    return c.run("h_s", z_hat=c.z(c.run("h_a", y=y)[0]))[0]


def autoregressive(c, y):
    psi, (h, w) = psi_of(c, y), y.shape[2:]
    padded = np.zeros((1, y.shape[1], h + 4, w + 4), np.float32)
    for i in range(h):
        for j in range(w):
            scales, means = c.run("pixel", y_hat=padded[:, :, i:i + 5, j:j + 5], psi=psi[:, :, i:i + 1, j:j + 1])
            padded[:, :, i + 2, j + 2] = c.code(y[:, :, i, j], scales[:, :, 0, 0], means[:, :, 0, 0])
    return padded[:, :, 2:-2, 2:-2]


def half(c, y, even, scales, means, into):
    """Codes one colour of the board."""
    into[:, :, even] = c.code(y[:, :, even], scales[:, :, even], means[:, :, even])


def checkerboard(c, y):
    psi, y_hat = psi_of(c, y), np.zeros_like(y)
    even = np.add.outer(np.arange(y.shape[2]), np.arange(y.shape[3])) % 2 == 0
    half(c, y, even, *c.run("anchor", psi=psi), y_hat)
    half(c, y, ~even, *c.run("nonanchor", y_hat=y_hat, psi=psi), y_hat)
    return y_hat


def channel_groups(c, y):
    psi, y_hat, at = psi_of(c, y), y[:, :0], 0
    for k, n in enumerate(c.model["groups"]):
        known = {"y_hat": y_hat} if k else {}
        part = c.code(y[:, at:at + n], *c.run(f"group{k}", psi=psi, **known))
        y_hat, at = np.concatenate([y_hat, part], 1), at + n
    return y_hat


def elic(c, y):
    psi, y_hat, at = psi_of(c, y), y[:, :0], 0
    even = np.add.outer(np.arange(y.shape[2]), np.arange(y.shape[3])) % 2 == 0
    for k, n in enumerate(c.model["groups"]):
        known = {"psi": psi, **({"y_hat": y_hat} if k else {})}
        group, part = y[:, at:at + n], np.zeros_like(y[:, at:at + n])
        half(c, group, even, *c.run(f"anchor{k}", **known), part)
        half(c, group, ~even, *c.run(f"nonanchor{k}", **known, y_anchor=part), part)
        y_hat, at = np.concatenate([y_hat, part], 1), at + n
    return y_hat


def gain(c, y, level=2):
    column = lambda name: np.array(c.model[name][level], np.float32).reshape(1, -1, 1, 1)
    return mean_scale(c, y * column("gains")) * column("inverse_gains")


def mixture(c, y):
    z_hat = c.z(c.run("h_a", y=y)[0])
    weights, means, scales = (t.reshape(c.model["components"], -1) for t in c.run("h_s", z_hat=z_hat))
    low, high = c.model["support"]
    symbols = np.rint(y)
    assert low <= symbols.min() and symbols.max() <= high, "outside the support"
    d = np.abs(symbols.ravel() - means)
    s = np.maximum(scales, SCALES[0]) * math.sqrt(2)
    erfc = np.vectorize(math.erfc)
    p = (weights * 0.5 * (erfc((d - 0.5) / s) - erfc((d + 0.5) / s))).sum(0)
    c.spend("y", -np.log2(np.maximum(p, FLOOR)).sum())
    return symbols


ORDER = {
    "scale": mean_scale, "mean-scale": mean_scale, "laplace": mean_scale, "logistic": mean_scale, "recursive": recursive,
    "autoregressive": autoregressive, "checkerboard": checkerboard, "channel-groups": channel_groups, "elic": elic, "gain": gain,
    "mixture": mixture,
}


def simulate(folder, latents, progress=lambda *_: None, **options):
    """Bits per symbol of every part, and the mean squared error."""
    model = json.load(open(pathlib.Path(folder) / "model.json"))
    coder, error = Coder(pathlib.Path(folder), model), 0.0
    for i, y in enumerate(latents):
        y_hat = ORDER[model["family"]](coder, y[None], **options)
        error += float(((y_hat - y) ** 2).sum())
        progress(i + 1, len(latents))
    return {k: v / latents.size for k, v in coder.bits.items()}, error / latents.size


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--cache", required=True, help="folder of cache.py")
    p.add_argument("--models", nargs="*", default=[])
    p.add_argument("--tables", help="a factorized prior to compare with")
    a = p.parse_args()
    latents = np.load(pathlib.Path(a.cache) / "held.npy")
    size = latents[0].size / 8
    if a.tables:
        table = json.load(open(a.tables))
        bits = sum(with_table(table, np.rint(y[None])) for y in latents) / latents.size
        print(f"factorized: {bits:.5f} bits per symbol, {bits * size:.0f} bytes", flush=True)
    shown = lambda i, n: print(f"\r{i} of {n}\r", end="", file=sys.stderr)
    for folder in a.models:
        bits, error = simulate(folder, latents, shown)
        total = sum(bits.values())
        parts = ", ".join(f"{k} {v * size:.0f}" for k, v in bits.items())
        print(f"{pathlib.Path(folder).name}: {total:.5f} bits per symbol, {total * size:.0f} bytes ({parts}), squared error {error:.4f}", flush=True)


if __name__ == "__main__":
    main()
