"""The families: which networks each has, and the bits of a batch of latents."""
import torch
import torch.nn as nn

from likelihood import Factorized, bits, probability
from nets import Analysis, Parameters, Pixel, Synthesis, causal_mask, checkerboard_mask

M = 20  # channels of y
Z = 16  # channels of z
GROUPS = {"channel-groups": [5, 5, 5, 5], "elic": [2, 2, 4, 4, 8]}
LAMBDAS = [1.0, 2.5, 6.0, 15.0]  # bits per squared error and symbol: the levels of the gain units
MIXED = 3
SUPPORT = [-32, 31]


def both(c):
    return {"scales": c, "means": c}


class Family(nn.Module):
    """forward: latents -> a tensor of bits for every part, and "distortion" where it is trained too."""

    hidden = 24
    z_channels = Z

    def __init__(self):
        super().__init__()
        self.z = Factorized(self.z_channels)
        self.nets = nn.ModuleDict(self.networks())

    def networks(self):
        raise NotImplementedError

    def hyper(self, outputs, **options):
        return {
            "h_a": Analysis({"y": M}, {"z": self.z_channels}, self.hidden, **options),
            "h_s": Synthesis({"z_hat": self.z_channels}, outputs, self.hidden, mixed=M),
        }

    def side(self, y, q):
        """z, its bits, and what h_s makes of it."""
        z = self.nets["h_a"](y)
        if self.training and self.z.moving:
            self.z.follow(z)
        spent, z_hat = self.z.code(z, q)
        return spent, self.nets["h_s"](z_hat)


class Scale(Family):
    def networks(self):
        return self.hyper({"scales": M}, magnitudes=True)

    def forward(self, y, q):
        z, scales = self.side(y, q)
        return {"y": q.code(y, scales, 0)[0], "z": z}


class MeanScale(Family):
    density = "gaussian"

    def networks(self):
        return self.hyper(both(M))

    def forward(self, y, q):
        z, (scales, means) = self.side(y, q)
        return {"y": q.code(y, scales, means, self.density)[0], "z": z}


class Laplace(MeanScale):
    density = "laplace"


class Logistic(MeanScale):
    density = "logistic"


class Recursive(Family):
    z_channels = 8
    z1_channels = 16

    def networks(self):
        return {
            "h_a1": Analysis({"y": M}, {"z1": self.z1_channels}, self.hidden, halvings=1),
            "h_a2": Analysis({"z1": self.z1_channels}, {"z2": self.z_channels}, 16, halvings=1, start=2),
            "h_s2": Synthesis({"z2_hat": self.z_channels}, both(self.z1_channels), 16, doublings=1, end=2),
            "h_s1": Synthesis({"z1_hat": self.z1_channels}, both(M), 40, doublings=1),
        }

    def forward(self, y, q):
        z1 = self.nets["h_a1"](y)
        z2 = self.nets["h_a2"](z1)
        if self.training and self.z.moving:
            self.z.follow(z2)
        z2_bits, z2_hat = self.z.code(z2, q)
        z1_bits, z1_hat = q.code(z1, *self.nets["h_s2"](z2_hat))
        return {"y": q.code(y, *self.nets["h_s1"](z1_hat))[0], "z1": z1_bits, "z": z2_bits}


class Context(Family):
    """The rate is in the networks behind psi, so the hyperprior is smaller."""

    hidden, psi = 16, 20

    def hyper(self, outputs=None, **options):
        return super().hyper(outputs or {"psi": self.psi}, **options)


class Autoregressive(Context):
    """Trained without going from pixel to pixel: the context's own rounding is found by repetition."""

    repetitions = 2

    def networks(self):
        return {**self.hyper(), "pixel": Pixel({"y_hat": M, "psi": self.psi}, both(M), 20, {"y_hat": (5, causal_mask(5))})}

    def forward(self, y, q):
        z, psi = self.side(y, q)
        seen = y
        with torch.no_grad():
            for _ in range(self.repetitions if self.training else 8):
                _, means = self.nets["pixel"](seen, psi)
                seen = (y - means).round() + means
        return {"y": q.code(y, *self.nets["pixel"](seen, psi))[0], "z": z}


def anchors(y):
    """1 where row + column is even."""
    h, w = y.shape[-2:]
    return ((torch.arange(h)[:, None] + torch.arange(w)[None]) % 2 == 0).to(y.dtype)


class Checkerboard(Context):
    def networks(self):
        return {
            **self.hyper(),
            "anchor": Parameters({"psi": self.psi}, both(M), 20, {}),
            "nonanchor": Parameters({"y_hat": M, "psi": self.psi}, both(M), 20, {"y_hat": (5, checkerboard_mask(5))}),
        }

    def forward(self, y, q):
        z, psi = self.side(y, q)
        even = anchors(y)
        first, seen = q.code(y, *self.nets["anchor"](psi))
        second, _ = q.code(y, *self.nets["nonanchor"](seen * even, psi))
        return {"y": first * even + second * (1 - even), "z": z}


class ChannelGroups(Context):
    groups = GROUPS["channel-groups"]

    def networks(self):
        nets, seen = self.hyper(), 0
        for k, c in enumerate(self.groups):
            inputs = {"psi": self.psi, **({"y_hat": seen} if seen else {})}
            nets[f"group{k}"] = Parameters(inputs, both(c), 20, {"y_hat": (3, None)})
            seen += c
        return nets

    def forward(self, y, q):
        z, psi = self.side(y, q)
        spent, seen = [], []
        for k, part in enumerate(y.split(self.groups, 1)):
            known = [torch.cat(seen, 1)] if seen else []
            b, y_hat = q.code(part, *self.nets[f"group{k}"](psi, *known))
            spent.append(b)
            seen.append(y_hat)
        return {"y": torch.cat(spent, 1), "z": z}


class Elic(Context):
    hidden, psi = 16, 16
    groups = GROUPS["elic"]

    def networks(self):
        nets, seen = self.hyper(), 0
        for k, c in enumerate(self.groups):
            inputs = {"psi": self.psi, **({"y_hat": seen} if seen else {})}
            kernels = {"y_hat": (3, None), "y_anchor": (3, checkerboard_mask(3))}
            nets[f"anchor{k}"] = Parameters(inputs, both(c), 16, kernels)
            nets[f"nonanchor{k}"] = Parameters({**inputs, "y_anchor": c}, both(c), 16, kernels)
            seen += c
        return nets

    def forward(self, y, q):
        z, psi = self.side(y, q)
        even, spent, seen = anchors(y), [], []
        for k, part in enumerate(y.split(self.groups, 1)):
            known = [psi, torch.cat(seen, 1)] if seen else [psi]
            first, a = q.code(part, *self.nets[f"anchor{k}"](*known))
            second, b = q.code(part, *self.nets[f"nonanchor{k}"](*known, a * even))
            spent.append(first * even + second * (1 - even))
            seen.append(a * even + b * (1 - even))
        return {"y": torch.cat(spent, 1), "z": z}


class Gain(Family):
    """A batch goes through the levels in turn."""

    def __init__(self):
        super().__init__()
        start = torch.log(torch.tensor([0.5, 0.7, 1.0, 1.4])).view(-1, 1).repeat(1, M)
        self.gains, self.inverse = nn.Parameter(start.clone()), nn.Parameter(-start.clone())

    def networks(self):
        return self.hyper(both(M))

    def forward(self, y, q):
        level = torch.arange(len(y)) % len(LAMBDAS)
        g, inverse = (t.exp()[level].view(len(y), M, 1, 1) for t in (self.gains, self.inverse))
        scaled = y * g
        z, (scales, means) = self.side(scaled, q)
        spent, y_hat = q.code(scaled, scales, means)
        error = (y_hat * inverse - y).square()
        return {"y": spent, "z": z, "distortion": error * torch.tensor(LAMBDAS)[level].view(-1, 1, 1, 1)}


class Mixture(Family):
    """Symbols are round(y), so the rate needs no noise: it is a smooth function of the parameters."""

    def networks(self):
        return self.hyper({"weights": MIXED * M, "means": MIXED * M, "scales": MIXED * M})

    def forward(self, y, q):
        z, (weights, means, scales) = self.side(y, q)
        v, p = y.round(), 0
        for w, m, s in zip(*(t.split(M, 1) for t in (weights, means, scales))):
            p = p + w * probability("gaussian", v - m, s)
        return {"y": bits(p), "z": z}


FAMILIES = {
    "mean-scale": MeanScale, "channel-groups": ChannelGroups, "scale": Scale, "autoregressive": Autoregressive,
    "checkerboard": Checkerboard, "recursive": Recursive, "elic": Elic, "mixture": Mixture, "gain": Gain,
    "laplace": Laplace, "logistic": Logistic,
}
