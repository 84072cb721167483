"""The three kinds of networks that all families are made of."""
import torch
import torch.nn as nn

from ops import Onnx, Torch, conv, up


def causal_mask(k):
    """The positions before the centre in raster order."""
    m = torch.zeros(k * k)
    m[: k * k // 2] = 1
    return m.view(k, k)


def checkerboard_mask(k):
    """The positions of the other colour."""
    i = torch.arange(k)
    return ((i[:, None] + i[None]) % 2).float()


class Net(nn.Module):
    """inputs: name -> channels. outputs: name -> channels, in the order of the last layer's channels."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.inputs, self.outputs = inputs, outputs

    def forward(self, *inputs):
        found = self.body(Torch(), *inputs)
        return found[0] if len(found) == 1 else found

    def heads(self, o, x):
        parts = list(o.split(x, list(self.outputs.values())))
        for i, (name, c) in enumerate(self.outputs.items()):
            if name == "scales":
                parts[i] = o.positive(parts[i])
            if name == "weights":
                k = c // self.mixed
                parts[i] = o.softmax(o.split(parts[i], [self.mixed] * k))
        return parts

    def shapes(self):
        """Of inputs and outputs: dimensions, where a word is a free one."""
        size = self.size()
        return ({k: [1, c, *s] for (k, c), s in zip(self.inputs.items(), size[0])}, {k: [1, c, *size[1]] for k, c in self.outputs.items()})

    def size(self):
        return [["h", "w"]] * len(self.inputs), ["h", "w"]

    def save(self, path, name):
        o = Onnx()
        into, out = self.shapes()
        found = self.body(o, *into)
        o.write(path, name, into, {k: (t, out[k]) for k, t in zip(out, found)})


def sides(divisor):
    """The sides of a tensor, in words: those of y over the divisor."""
    return ["h", "w"] if divisor == 1 else [f"h/{divisor}", f"w/{divisor}"]


class Analysis(Net):
    """y -> z: halves the sides `halvings` times. start: the divisor of its input's sides."""

    def __init__(self, inputs, outputs, hidden, halvings=2, magnitudes=False, start=1):
        super().__init__(inputs, outputs)
        self.magnitudes, self.ends = magnitudes, (start, start * 2 ** halvings)
        (i,), (c,) = inputs.values(), outputs.values()
        downs = [conv(hidden, c if n == halvings - 1 else hidden, 3, 2) for n in range(halvings)]
        self.layers = nn.ModuleList([conv(i, hidden, 3), *downs])

    def body(self, o, x):
        if self.magnitudes:
            x = o.magnitude(x)
        for layer in self.layers[:-1]:
            x = o.leaky(o.conv(layer, x))
        return self.heads(o, o.conv(self.layers[-1], x))

    def size(self):
        return [sides(self.ends[0])], sides(self.ends[1])


class Synthesis(Net):
    """z -> parameters or psi: doubles the sides `doublings` times. end: the divisor of its output's sides."""

    def __init__(self, inputs, outputs, hidden, doublings=2, mixed=None, end=1):
        super().__init__(inputs, outputs)
        self.mixed, self.ends = mixed, (end * 2 ** doublings, end)
        (i,), c = inputs.values(), sum(outputs.values())
        self.ups = nn.ModuleList([up(i if n == 0 else hidden, hidden) for n in range(doublings)])
        self.last = conv(hidden, c, 1)

    def body(self, o, x):
        for layer in self.ups:
            x = o.leaky(o.conv(layer, x))
        return self.heads(o, o.conv(self.last, x))

    def size(self):
        return [sides(self.ends[0])], sides(self.ends[1])


class Parameters(Net):
    """psi, and values that are known already -> parameters. kernels: name -> (side, mask or None) of what is not psi."""

    def __init__(self, inputs, outputs, hidden, kernels):
        super().__init__(inputs, outputs)
        self.first = nn.ModuleDict()
        for name, c in inputs.items():
            side, mask = kernels.get(name, (1, None))
            self.first[name] = layer = conv(c, hidden, side)
            if mask is not None:
                layer.register_buffer("mask", mask, persistent=False)
        self.middle, self.last = conv(hidden, hidden, 1), conv(hidden, sum(outputs.values()), 1)

    def body(self, o, *inputs):
        x = None
        for layer, value in zip(self.first.values(), inputs):
            v = self.enter(o, layer, value)
            x = v if x is None else o.add(x, v)
        x = o.leaky(o.conv(self.middle, o.leaky(x)))
        return self.heads(o, o.conv(self.last, x))

    def enter(self, o, layer, value):
        return o.conv(layer, value)


class Pixel(Parameters):
    """As a graph it takes the neighbourhood of one position instead of the whole tensor: the same weights without padding."""

    def enter(self, o, layer, value):
        return o.conv(layer, value, pad=0) if isinstance(o, Onnx) else o.conv(layer, value)

    def size(self):
        return [[layer.kernel_size[0]] * 2 for layer in self.first.values()], [1, 1]
