"""Writes a network as an ONNX file and compares the two."""
import numpy as np
import onnxruntime as ort
import torch

SIDE = 16  # of the example's inputs where a shape has a word; any multiple of 4 does


def save(net, path, inputs, outputs, opset=17):
    """inputs, outputs: name -> shape, where a word is a free side, such as "h" or "h/4". Returns the largest difference to torch."""
    def side(d):
        return d if isinstance(d, int) else 1 if d == "n" else SIDE // int(d.split("/")[1]) if "/" in d else SIDE
    example = tuple(3 * torch.randn([side(d) for d in shape]) for shape in inputs.values())
    free = {name: {i: d for i, d in enumerate(shape) if isinstance(d, str)} for name, shape in {**inputs, **outputs}.items()}
    net.eval()
    torch.onnx.export(net, example, str(path), input_names=list(inputs), output_names=list(outputs), dynamic_axes=free,
                      opset_version=opset)
    found = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(None, {k: v.numpy() for k, v in zip(inputs, example)})
    with torch.no_grad():
        want = net(*example)
    want = [want] if isinstance(want, torch.Tensor) else want
    return max(float(np.abs(f - w.numpy()).max()) for f, w in zip(found, want))
