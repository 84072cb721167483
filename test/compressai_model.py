"""A small model, what CompressAI makes of an image with it, and its export: compressai_model.py FOLDER. Run by compressai-export.test.ts."""

import argparse
import json
import os
import subprocess
import sys

import torch
from compressai.models import JointAutoregressiveHierarchicalPriors, MeanScaleHyperprior

folder = sys.argv[1]
exporter = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tables", "compressai_export.py")
torch.manual_seed(3)
torch.set_num_threads(1)


def exported(model, arch, name):
    path = os.path.join(folder, f"{name}.pth")
    state = {f"module._orig_mod.{key}": value for key, value in model.state_dict().items()}
    torch.save({"state_dict": state, "args": argparse.Namespace(epochs=1)}, path)
    command = [sys.executable, exporter, "--arch", arch, "--checkpoint", path, "-o", os.path.join(folder, name), "--size", "128x64", "--json"]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def flat(tensor):
    return {"dims": list(tensor.shape), "data": tensor.flatten().tolist()}


model = MeanScaleHyperprior(6, 8).eval()
model.update()
with torch.no_grad():
    image = torch.rand(1, 3, 64, 128)
    y = model.g_a(image) * 40
    z = model.h_a(y)
    strings = model.entropy_bottleneck.compress(z)
    z_hat = model.entropy_bottleneck.decompress(strings, z.shape[-2:])
    scales, means = model.h_s(z_hat).chunk(2, 1)
    indexes = model.gaussian_conditional.build_indexes(scales)
    y_strings = model.gaussian_conditional.compress(y, indexes, means=means)
    y_hat = model.gaussian_conditional.decompress(y_strings, indexes, means=means)
    x_hat = model.g_s(y_hat)
report = exported(model, "mbt2018-mean", "mean-scale")

joint = JointAutoregressiveHierarchicalPriors(4, 6).eval()
json.dump(
    {
        "report": report,
        "joint": exported(joint, "mbt2018", "joint"),
        "image": flat(image),
        "y": flat(y),
        "z": flat(z),
        "zString": strings[0].hex(),
        "scales": flat(scales),
        "means": flat(means),
        "yString": y_strings[0].hex(),
        "yHat": flat(y_hat),
        "xHat": flat(x_hat),
    },
    open(os.path.join(folder, "expected.json"), "w"),
)
