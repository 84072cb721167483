"""The operations of the networks, twice: in torch, and as nodes of an ONNX graph. A network is written once and runs on either."""
import onnx
import torch
import torch.nn as nn
import torch.nn.functional as F
from onnx import TensorProto, helper

from shared import Graph

SLOPE = 0.1
SMALLEST = 0.01  # added to every scale: softplus alone underflows to 0


def conv(i, o, k, stride=1):
    return nn.Conv2d(i, o, k, stride, (k - 1) // 2)


def up(i, o):
    return nn.ConvTranspose2d(i, o, 4, 2, 1)


def weight(layer):
    """A masked convolution is a plain one with zeroed weights."""
    mask = getattr(layer, "mask", None)
    return layer.weight if mask is None else layer.weight * mask


class Torch:
    """Numbers now."""

    def conv(self, layer, x):
        if isinstance(layer, nn.ConvTranspose2d):
            return F.conv_transpose2d(x, layer.weight, layer.bias, layer.stride, layer.padding)
        return F.conv2d(x, weight(layer), layer.bias, layer.stride, layer.padding)

    def add(self, a, b):
        return a + b

    def leaky(self, x):
        return F.leaky_relu(x, SLOPE)

    def magnitude(self, x):
        return x.abs()

    def positive(self, x):
        return F.softplus(x) + SMALLEST

    def split(self, x, sizes):
        return x.split(sizes, 1) if len(sizes) > 1 else (x,)

    def softmax(self, parts):
        """Of every element over the parts, which are equal in shape; joined along the channels."""
        return torch.cat(torch.stack(parts).softmax(0).unbind(0), 1)


class Onnx(Graph):
    """Nodes of a graph; tensors are names."""

    def conv(self, layer, x, pad=None):
        n = f"conv{self.count + 1}"
        side = layer.padding[0] if pad is None else pad
        inputs = [x, self.tensor(weight(layer).detach().numpy(), n + ".weight"), self.tensor(layer.bias.detach().numpy(), n + ".bias")]
        kind = "ConvTranspose" if isinstance(layer, nn.ConvTranspose2d) else "Conv"
        return self.node(kind, inputs, kernel_shape=list(layer.kernel_size), strides=list(layer.stride), pads=[side] * 4)

    def add(self, a, b):
        return self.node("Add", [a, b])

    def leaky(self, x):
        return self.node("LeakyRelu", [x], alpha=SLOPE)

    def magnitude(self, x):
        return self.node("Abs", [x])

    def positive(self, x):
        return self.node("Add", [self.node("Softplus", [x]), self.tensor(SMALLEST, f"smallest{self.count}")])

    def split(self, x, sizes):
        if len(sizes) == 1:
            return (x,)
        self.count += 1
        name = f"split{self.count}"
        self.inits.append(helper.make_tensor(name, TensorProto.INT64, [len(sizes)], sizes))
        outs = [f"{name}.{i}" for i in range(len(sizes))]
        self.nodes.append(helper.make_node("Split", [x, name], outs, axis=1))
        return outs

    def softmax(self, parts):
        largest = self.node("Max", list(parts))
        e = [self.node("Exp", [self.node("Sub", [p, largest])]) for p in parts]
        total = self.node("Sum", e)
        return self.node("Concat", [self.node("Div", [v, total]) for v in e], axis=1)

    def write(self, path, name, inputs, outputs):
        """inputs: name -> shape, outputs: name -> (tensor, shape)."""
        final = {tensor: out for out, (tensor, _) in outputs.items()}
        for n in self.nodes:
            n.output[:] = [final.get(o, o) for o in n.output]
        info = lambda shapes: [helper.make_tensor_value_info(k, TensorProto.FLOAT, s) for k, s in shapes.items()]
        g = helper.make_graph(self.nodes, name, info(inputs), info({k: s for k, (_, s) in outputs.items()}), self.inits)
        m = helper.make_model(g, opset_imports=[helper.make_opsetid("", 17)], producer_name="latentwire")
        m.ir_version = 8
        onnx.checker.check_model(m, full_check=True)
        onnx.save(m, str(path))
