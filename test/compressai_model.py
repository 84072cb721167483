"""Small models, what CompressAI makes of an image with them, and their export: compressai_model.py FOLDER. Run by compressai-export.test.ts."""

import argparse
import contextlib
import io
import json
import os
import sys

import torch
import torch.nn as nn
from compressai.models import CompressionModel, JointAutoregressiveHierarchicalPriors, MeanScaleHyperprior, ScaleHyperprior
from compressai.entropy_models import EntropyBottleneck
from compressai.models.vbr import ScaleHyperpriorVbr

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tables"))
import compressai_export  # noqa: E402

folder = sys.argv[1]
torch.manual_seed(3)
torch.set_num_threads(1)
torch.set_grad_enabled(False)


class Tail(CompressionModel):
    """A factorized model with a classifier that no family calls, and a parameter of its own."""

    def __init__(self):
        super().__init__()
        self.entropy_bottleneck = EntropyBottleneck(6)
        self.g_a = nn.Conv2d(3, 6, 8, 8)
        self.head = nn.Linear(6, 10)
        self.temperature = nn.Parameter(torch.tensor([0.5]))

    def forward(self, x):
        y_hat, likelihoods = self.entropy_bottleneck(self.g_a(x))
        return {"x_hat": self.head(y_hat.mean((2, 3)) / self.temperature), "likelihoods": {"y": likelihoods}}


def run(name, *arguments):
    """The report and the exit code of the command, and what it says at its end. In this process: torch takes seconds to load."""
    printed, code, said = io.StringIO(), 0, ""
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(io.StringIO()), torch.enable_grad():
        try:
            compressai_export.main([*arguments, "-o", os.path.join(folder, name), "--size", "128x64", "--json"])
        except SystemExit as stop:
            code, said = (stop.code, "") if isinstance(stop.code, int) else (1, stop.code)
    return {"code": code, "said": said, "report": json.loads(printed.getvalue()) if printed.getvalue() else None}


def saved(model, name, wrap=lambda state: state):
    path = os.path.join(folder, f"{name}.pth")
    torch.save(wrap(model.state_dict()), path)
    return path


def training_form(state):
    return {"state_dict": {f"module._orig_mod.{key}": value for key, value in state.items()}, "args": argparse.Namespace(epochs=1)}


def flat(tensor):
    return {"dims": list(tensor.shape), "data": tensor.flatten().tolist()}


if __name__ == "__main__":
    model = MeanScaleHyperprior(6, 8).eval()
    model.update()
    image = torch.rand(1, 3, 64, 128)
    y = model.g_a(image) * 40
    z = model.h_a(y)
    strings = model.entropy_bottleneck.compress(z)
    z_hat = model.entropy_bottleneck.decompress(strings, z.shape[-2:])
    scales, means = model.h_s(z_hat).chunk(2, 1)
    indexes = model.gaussian_conditional.build_indexes(scales)
    y_strings = model.gaussian_conditional.compress(y, indexes, means=means)
    y_hat = model.gaussian_conditional.decompress(y_strings, indexes, means=means)
    expected = {
        "image": flat(image),
        "y": flat(y),
        "z": flat(z),
        "zString": strings[0].hex(),
        "scales": flat(scales),
        "means": flat(means),
        "yString": y_strings[0].hex(),
        "yHat": flat(y_hat),
        "xHat": flat(model.g_s(y_hat)),
        "meanScale": run("mean-scale", "--arch", "mbt2018-mean", "--checkpoint", saved(model, "mean-scale", training_form)),
        "joint": run("joint", "--arch", "mbt2018", "--checkpoint", saved(JointAutoregressiveHierarchicalPriors(4, 6).eval(), "joint")),
    }

    scale = ScaleHyperprior(4, 6).eval()
    scale.update()
    expected["scale"] = run("scale", "--arch", "bmshj2018-hyperprior", "--checkpoint", saved(scale, "scale"))
    expected["zOfMagnitudes"] = flat(scale.h_a(y[:, :6].abs()))

    rated = ScaleHyperpriorVbr(4, 6, vr_entbttlnck=True).eval()
    step = rated.lower_bound_zqstep(rated.gayn2zqstep(1.0 / rated.Gain[2].view(1)))
    rated.update(force=True, scale=rated.Gain[2])
    z = torch.randn(1, 4, 2, 3) * 4
    expected["rated"] = run("rated", "--arch", "bmshj2018-hyperprior-vbr", "--checkpoint", saved(rated, "rated"))
    expected["ratedZ"] = {"z": flat(z), "string": rated.entropy_bottleneck.compress(z, qs=step[0])[0].hex(), "step": float(step)}

    tail = saved(Tail(), "tail")
    named = ["--model", "__main__:Tail", "--checkpoint", tail]
    expected["tail"] = run("tail", *named)
    expected["allowed"] = run("allowed", *named, "--allow-missing")
    expected["asked"] = run("asked", *named, "--module", "head")
    expected["unknown"] = run("unknown", *named, "--module", "hed")
    whole = os.path.join(folder, "whole.pth")
    torch.save({"net": MeanScaleHyperprior(4, 6).eval()}, whole)
    expected["pickled"] = run("pickled", "--checkpoint", whole, "--arch", "mbt2018-mean")
    expected["trusted"] = run("trusted", "--checkpoint", whole, "--trust-pickle")
    coarse = Tail()
    coarse.entropy_bottleneck = EntropyBottleneck(6, entropy_coder_precision=12)
    coarse.update()
    torch.save(coarse, os.path.join(folder, "coarse-whole.pth"))
    expected["coarse"] = run("coarse", "--checkpoint", os.path.join(folder, "coarse-whole.pth"), "--trust-pickle")
    with open(os.path.join(folder, "expected.json"), "w") as file:
        json.dump(expected, file)
