"""The three kinds of networks that all families are made of."""
import functools

import torch
import torch.nn as nn
import torch.nn.functional as F

SLOPE = 0.1
SMALLEST = 0.01  # added to every scale: softplus alone underflows to 0


def conv(i, o, k, stride=1):
    return nn.Conv2d(i, o, k, stride, (k - 1) // 2)


def causal_mask(k):
    """The positions before the centre in raster order."""
    m = torch.zeros(k * k)
    m[: k * k // 2] = 1
    return m.view(k, k)


def checkerboard_mask(k):
    """The positions of the other colour."""
    i = torch.arange(k)
    return ((i[:, None] + i[None]) % 2).float()


def sides(divisor):
    """The sides of a tensor, in words: those of y over the divisor."""
    return ["h", "w"] if divisor == 1 else [f"h/{divisor}", f"w/{divisor}"]


class Net(nn.Module):
    """inputs: name -> channels. outputs: name -> channels, in the order of the last layer's channels. ends: divisors of the sides."""

    def __init__(self, inputs, outputs, ends=(1, 1), mixed=None):
        super().__init__()
        self.inputs, self.outputs, self.ends, self.mixed = inputs, outputs, ends, mixed

    def forward(self, *inputs):
        parts = list(self.body(*inputs).split(list(self.outputs.values()), 1))
        for i, name in enumerate(self.outputs):
            if name == "scales":
                parts[i] = F.softplus(parts[i]) + SMALLEST
            if name == "weights":  # of every element over the components, which lie one after the other
                components = parts[i].split(self.mixed, 1)
                largest = functools.reduce(torch.maximum, components)
                powers = [(c - largest).exp() for c in components]
                parts[i] = torch.cat([p / sum(powers) for p in powers], 1)
        return parts[0] if len(parts) == 1 else parts

    def shapes(self):
        """Of inputs and outputs: dimensions, where a word is a free one."""
        into, out = map(sides, self.ends)
        return {k: [1, c, *into] for k, c in self.inputs.items()}, {k: [1, c, *out] for k, c in self.outputs.items()}


class Analysis(Net):
    """y -> z: halves the sides `halvings` times. start: the divisor of its input's sides."""

    def __init__(self, inputs, outputs, hidden, halvings=2, magnitudes=False, start=1):
        super().__init__(inputs, outputs, (start, start * 2 ** halvings))
        self.magnitudes = magnitudes
        (i,), (c,) = inputs.values(), outputs.values()
        downs = [conv(hidden, c if n == halvings - 1 else hidden, 3, 2) for n in range(halvings)]
        self.layers = nn.ModuleList([conv(i, hidden, 3), *downs])

    def body(self, x):
        if self.magnitudes:
            x = x.abs()
        for layer in self.layers[:-1]:
            x = F.leaky_relu(layer(x), SLOPE)
        return self.layers[-1](x)


class Synthesis(Net):
    """z -> parameters or psi: doubles the sides `doublings` times. end: the divisor of its output's sides."""

    def __init__(self, inputs, outputs, hidden, doublings=2, mixed=None, end=1):
        super().__init__(inputs, outputs, (end * 2 ** doublings, end), mixed)
        (i,), c = inputs.values(), sum(outputs.values())
        self.ups = nn.ModuleList([nn.ConvTranspose2d(i if n == 0 else hidden, hidden, 4, 2, 1) for n in range(doublings)])
        self.last = conv(hidden, c, 1)

    def body(self, x):
        for layer in self.ups:
            x = F.leaky_relu(layer(x), SLOPE)
        return self.last(x)


class Parameters(Net):
    """psi, and values that are known already -> parameters. kernels: name -> (side, mask or None) of what is not psi."""

    padded = True

    def __init__(self, inputs, outputs, hidden, kernels):
        super().__init__(inputs, outputs)
        self.first = nn.ModuleDict()
        for name, c in inputs.items():
            side, mask = kernels.get(name, (1, None))
            self.first[name] = layer = conv(c, hidden, side)
            layer.register_buffer("mask", torch.ones(side, side) if mask is None else mask, persistent=False)
        self.middle, self.last = conv(hidden, hidden, 1), conv(hidden, sum(outputs.values()), 1)

    def body(self, *inputs):
        x = sum(F.conv2d(value, layer.weight * layer.mask, layer.bias, padding=layer.padding if self.padded else 0)
                for layer, value in zip(self.first.values(), inputs))
        return self.last(F.leaky_relu(self.middle(F.leaky_relu(x, SLOPE)), SLOPE))


class Pixel(Parameters):
    """As a file it takes the neighbourhood of one position instead of the whole tensor: the same weights without padding."""

    def shapes(self):
        self.padded = False
        into = {k: [1, c, *layer.kernel_size] for (k, c), layer in zip(self.inputs.items(), self.first.values())}
        return into, {k: [1, c, 1, 1] for k, c in self.outputs.items()}
