"""Bits of symbols under the families' densities, in torch, for training."""
import torch
import torch.nn as nn

from networks import Prior

LOWEST = 0.11     # the first scale of the codec's table
RAREST = 1e-9     # what a symbol may cost at most while training: 30 bits


class Bounded(torch.autograd.Function):
    """max(x, bound), but the gradient passes where it would raise x."""

    @staticmethod
    def forward(ctx, x, bound):
        ctx.save_for_backward(x)
        ctx.bound = bound
        return x.clamp(min=bound)

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * ((x >= ctx.bound) | (g < 0)), None


CDF = {
    "gaussian": lambda x: 0.5 * torch.erfc(x * -(2 ** -0.5)),
    # x is never above 0.5 / LOWEST, so the exponential of the upper side cannot overflow
    "laplace": lambda x: torch.where(x < 0, 0.5 * torch.exp(-x.abs()), 1 - 0.5 * torch.exp(-x.abs())),
    "logistic": torch.sigmoid,
}


def probability(density, v, scales):
    """Of the unit interval around v. Both ends are taken on the lower side, where the difference keeps its precision."""
    s, d, cdf = Bounded.apply(scales, LOWEST), v.abs(), CDF[density]
    return cdf((0.5 - d) / s) - cdf((-0.5 - d) / s)


def bits(p):
    return -Bounded.apply(p, RAREST).log2()


def rounded(x):
    """Straight-through."""
    return x + (x.round() - x).detach()


class Quantizer:
    """What stands in for the symbols in the rate: uniform noise, or the symbols themselves with straight-through gradients."""

    def __init__(self, noisy):
        self.noisy = noisy

    def symbols(self, x):
        return x + torch.empty_like(x).uniform_(-0.5, 0.5) if self.noisy else rounded(x)

    def code(self, y, scales, means, density="gaussian"):
        """Bits of every element, and what the decoder will see."""
        d = y - means
        return bits(probability(density, self.symbols(d), scales)), rounded(d) + means


class Factorized(nn.Module):
    """The prior of z, with the medians that are subtracted before rounding."""

    def __init__(self, c):
        super().__init__()
        self.prior = Prior(c)
        self.register_buffer("medians", torch.zeros(1, c, 1, 1))
        self.moving = True  # later they rest, so that the prior can settle on their lattice

    def follow(self, z, pace=0.02):
        now = z.detach().transpose(0, 1).flatten(1).median(1).values
        self.medians.lerp_(now.view(1, -1, 1, 1), pace)

    def code(self, z, quantizer):
        d = z - self.medians
        return self.prior.bits(quantizer.symbols(d)), rounded(d) + self.medians
