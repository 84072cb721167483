"""Encoder, decoder and factorized prior. Only Conv, ReLU, Add and Pad, so that every ONNX runtime runs them."""
import torch
import torch.nn as nn
import torch.nn.functional as F

CHANNELS = 48  # of the latent while training; the export drops those that are always zero


class Residual(nn.Module):
    """x + body(x)."""

    def __init__(self, *body):
        super().__init__()
        self.body = nn.Sequential(*body)

    def forward(self, x):
        return x + self.body(x)


def conv(i, o, k, s=1, groups=1):
    return nn.Conv2d(i, o, k, s, (k - 1) // 2, groups=groups)


def inverted(c, e, k=3):
    h = c * e
    return Residual(conv(c, h, 1), nn.ReLU(), conv(h, h, k, 1, h), nn.ReLU(), conv(h, c, 1))


def residual3(c, m):
    return Residual(conv(c, m, 3), nn.ReLU(), conv(m, c, 3))


class Down(nn.Module):
    """Stride-2 3x3 convolution padded at the right and bottom only, as the teacher's (TensorFlow SAME on even sizes), so that
    encoder cells and teacher features see the same pixels."""

    def __init__(self, i, o):
        super().__init__()
        self.conv = nn.Conv2d(i, o, 3, 2)

    def forward(self, x):
        return self.conv(F.pad(x, (0, 1, 0, 1)))


def initialise(net):
    """Kaiming initialisation (there are no normalisation layers); the end of every residual body starts small."""
    for m in net.modules():
        if isinstance(m, nn.Conv2d):
            nn.init.kaiming_normal_(m.weight, nonlinearity="relu")
            nn.init.zeros_(m.bias)
    for m in net.modules():
        if isinstance(m, Residual):
            m.body[-1].weight.data *= 0.3
    return net


def build():
    """(encoder, decoder)."""
    encoder = [Down(3, 16), nn.ReLU(), Down(16, 32), nn.ReLU(), Down(32, 64), inverted(64, 2), residual3(64, 24), conv(64, CHANNELS, 1)]
    decoder = [conv(CHANNELS, 96, 3), *(residual3(96, 64) for _ in range(4)), conv(96, 32, 3)]
    return initialise(nn.Sequential(*encoder)), initialise(nn.Sequential(*decoder))


class Prior(nn.Module):
    """Per-channel mixture of three logistics; only used to train. The shipped tables are counted from real symbols."""

    def __init__(self, c, k=3):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(c, k, 1))
        self.mean = nn.Parameter(torch.zeros(c, k, 1))
        self.scale = nn.Parameter(torch.tensor([-1.5, 0.0, 1.5])[:k].view(1, k, 1).repeat(c, 1, 1))

    def bits(self, y):
        """Total bits of a tensor n x c x h x w (noisy or rounded)."""
        v = y.transpose(0, 1).reshape(y.shape[1], 1, -1)
        d = (v - self.mean).abs()                  # symmetric density: the negative side keeps precision in the tails
        r = torch.exp(-self.scale)
        p = torch.sigmoid((0.5 - d) * r) - torch.sigmoid((-0.5 - d) * r)
        p = (p * torch.softmax(self.weight, 1)).sum(1)
        return -p.clamp(min=1e-9).log2().sum()
