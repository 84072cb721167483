"""The frozen MobileNetV2 teacher, read from backbone.onnx (or any plain Conv/Clip/Add/GlobalAveragePool graph) into torch."""
import numpy as np
import onnx
import torch
import torch.nn as nn
import torch.nn.functional as F
from onnx import numpy_helper

SPLIT = 7  # stem + inverted residual blocks 0..5 -> n x 32 x 28 x 28


class TeacherConv(nn.Module):
    def __init__(self, weight, bias, stride, pads, groups, relu6):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(weight), requires_grad=False)
        self.bias = nn.Parameter(torch.tensor(bias), requires_grad=False)
        self.stride, self.groups, self.relu6 = stride, groups, relu6
        top, left, bottom, right = pads
        self.same = top == bottom and left == right
        self.pads = (top, left) if self.same else (left, right, top, bottom)

    def forward(self, x):
        if not self.same:
            x = F.pad(x, self.pads)
        x = F.conv2d(x, self.weight, self.bias, self.stride, self.pads if self.same else 0, 1, self.groups)
        return F.relu6(x) if self.relu6 else x


class Block(nn.Module):
    def __init__(self, convs, skip):
        super().__init__()
        self.convs, self.skip = nn.Sequential(*convs), skip

    def forward(self, x):
        y = self.convs(x)
        return x + y if self.skip else y


class Teacher(nn.Module):
    """blocks[0:7] is the head that the encoder and decoder replace; blocks[7:] and fc are the tail.onnx."""

    def __init__(self, path):
        super().__init__()
        graph = onnx.load(str(path)).graph
        const = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
        for n in graph.node:
            if n.op_type == "DequantizeLinear":
                q, s, z = (const[i].astype(np.float32) for i in n.input)
                const[n.output[0]] = (q - z) * s
        relu6 = {n.input[0] for n in graph.node if n.op_type == "Clip"}
        items = []
        for n in graph.node:
            if n.op_type == "Conv":
                a = {x.name: onnx.helper.get_attribute_value(x) for x in n.attribute}
                items.append(TeacherConv(const[n.input[1]], const[n.input[2]], a["strides"][0], a["pads"], a.get("group", 1),
                                         n.output[0] in relu6))
            elif n.op_type == "Add":
                items.append("add")
        blocks, i = [items[0], Block(items[1:3], False)], 3
        while len(blocks) < 18:
            skip = items[i + 3] == "add"
            blocks.append(Block(items[i:i + 3], skip))
            i += 4 if skip else 3
        self.blocks = nn.ModuleList(blocks + [items[i]])
        self.fc = items[i + 1]
        self.eval()

    def head(self, x):
        for m in self.blocks[:SPLIT]:
            x = m(x)
        return x

    def tail(self, x, taps=()):
        """Logits, and the outputs of the blocks named in taps."""
        seen = []
        for i, m in enumerate(self.blocks[SPLIT:], SPLIT):
            x = m(x)
            if i in taps:
                seen.append(x)
        return self.fc(x.mean((2, 3), keepdim=True)).flatten(1), seen


def normalise(u8):
    return (u8.float() - 127.5) * (1 / 127.5)
