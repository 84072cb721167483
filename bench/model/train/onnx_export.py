"""Writes the networks as plain ONNX graphs (opset 13, no Shape or Pad chains)."""
import numpy as np
import onnx
import torch.nn as nn
from onnx import TensorProto, helper, numpy_helper

from networks import GDN, Down, Residual


class Graph:
    def __init__(self):
        self.nodes, self.inits, self.count = [], [], 0

    def tensor(self, array, name):
        self.inits.append(numpy_helper.from_array(np.ascontiguousarray(array, np.float32), name))
        return name

    def node(self, kind, inputs, **attrs):
        self.count += 1
        out = f"t{self.count}"
        self.nodes.append(helper.make_node(kind, inputs, [out], **attrs))
        return out

    def conv(self, x, weight, bias, stride=1, pad=(0, 0, 0, 0), groups=1):
        n = f"conv{self.count + 1}"
        k = weight.shape[2]
        return self.node("Conv", [x, self.tensor(weight, n + ".weight"), self.tensor(bias, n + ".bias")],
                         kernel_shape=[k, k], strides=[stride] * 2, pads=pad, group=groups)

    def module(self, x, m):
        f = lambda p: p.detach().float().numpy()
        if isinstance(m, nn.Sequential):
            for c in m:
                x = self.module(x, c)
            return x
        if isinstance(m, nn.Conv2d):
            return self.conv(x, f(m.weight), f(m.bias), m.stride[0], [m.padding[0]] * 4, m.groups)
        if isinstance(m, Down):
            return self.conv(x, f(m.conv.weight), f(m.conv.bias), 2, [0, 0, 1, 1])
        if isinstance(m, nn.ConvTranspose2d):
            k, n = m.kernel_size[0], f"up{self.count + 1}"
            return self.node("ConvTranspose", [x, self.tensor(f(m.weight), n + ".weight"), self.tensor(f(m.bias), n + ".bias")],
                             kernel_shape=[k, k], strides=list(m.stride))
        if isinstance(m, nn.ReLU):
            return self.node("Relu", [x])
        if isinstance(m, GDN):
            g, b = m.weights()
            return self.node("Div", [x, self.conv(self.node("Abs", [x]), f(g), f(b))])
        if isinstance(m, Residual):
            return self.node("Add", [x, self.module(x, m.body)])
        raise TypeError(type(m))

    def save(self, path, graph_name, inp, in_shape, last, out, out_shape):
        for n in self.nodes:
            n.output[:] = [out if o == last else o for o in n.output]
        g = helper.make_graph(self.nodes, graph_name,
                              [helper.make_tensor_value_info(inp, TensorProto.FLOAT, in_shape)],
                              [helper.make_tensor_value_info(out, TensorProto.FLOAT, out_shape)], self.inits)
        m = helper.make_model(g, opset_imports=[helper.make_opsetid("", 13)], producer_name="latentwire")
        m.ir_version = 7
        onnx.checker.check_model(m, full_check=True)
        onnx.save(m, str(path))


def save_encoder(path, net, channels):
    """Input 0..255 RGB; the scale to -1..1 is one Sub and one Mul (zero padding must stay mid-grey)."""
    g = Graph()
    x = g.node("Sub", ["image", g.tensor(np.float32(127.5), "mean")])
    x = g.node("Mul", [x, g.tensor(np.float32(1 / 127.5), "scale")])
    g.save(path, "encoder", "image", ["n", 3, "h", "w"], g.module(x, net), "latent", ["n", channels, "h8", "w8"])


def save_decoder(path, net, channels):
    g = Graph()
    g.save(path, "decoder", "latent_hat", ["n", channels, "h8", "w8"], g.module("latent_hat", net),
           "features", ["n", 32, "h8", "w8"])
