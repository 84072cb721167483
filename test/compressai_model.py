"""Small models, what CompressAI makes of an image with them, and their export: compressai_model.py FOLDER. Run by compressai-export.test.ts."""

import argparse
import contextlib
import io
import json
import os
import sys

import torch
import torch.nn as nn
from compressai import models
from compressai.entropy_models import EntropyBottleneck, GaussianConditional
from compressai.models import CompressionModel, JointAutoregressiveHierarchicalPriors, MeanScaleHyperprior, ScaleHyperprior, vbr

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


class Slices(CompressionModel):
    """The networks of TCM, CCA and their relatives, by the names they have there: two slices of four channels."""

    def __init__(self):
        super().__init__()
        conv = lambda inputs, outputs, **more: nn.Conv2d(inputs, outputs, 3, padding=1, **more)  # noqa: E731
        up = lambda: nn.ConvTranspose2d(4, 8, 4, stride=4)  # noqa: E731
        self.entropy_bottleneck, self.gaussian_conditional = EntropyBottleneck(4), GaussianConditional(None)
        self.g_a, self.g_s, self.h_a = nn.Conv2d(3, 8, 16, 16), nn.ConvTranspose2d(8, 3, 16, 16), nn.Conv2d(8, 4, 4, 4)
        self.h_mean_s, self.h_scale_s = up(), up()
        self.cc_mean_transforms = nn.ModuleList(conv(8 + 4 * k, 4) for k in range(2))
        self.cc_scale_transforms = nn.ModuleList(conv(8 + 4 * k, 4) for k in range(2))
        self.lrp_transforms = nn.ModuleList(conv(12 + 4 * k, 4) for k in range(2))


class Recursive(CompressionModel):
    """The networks of FrankenSplit's recursive hyperprior, by their names."""

    def __init__(self):
        super().__init__()
        self.entropy_bottleneck = EntropyBottleneck(2)
        self.gaussian_conditional, self.gaussian_conditional_2 = GaussianConditional(None), GaussianConditional(None)
        self.g_a, self.g_s = nn.Conv2d(3, 8, 8, 8), nn.Identity()
        self.h_a, self.h_a_2 = nn.Conv2d(8, 4, 2, 2), nn.Conv2d(4, 2, 2, 2)
        self.h_s, self.h_s_2 = nn.ConvTranspose2d(4, 16, 2, 2), nn.ConvTranspose2d(2, 8, 2, 2)


def families():
    """Of small models of other classes: their family, and what is left out."""
    found = {}
    small = {
        "FactorizedPrior": lambda: models.FactorizedPrior(4, 6),
        "Cheng2020Attention": lambda: models.Cheng2020Attention(6),
        "Cheng2020AnchorCheckerboard": lambda: models.Cheng2020AnchorCheckerboard(6),
        "Elic2022Official": lambda: models.Elic2022Official(4, 6, [1, 2, 3]),
        "Elic2022Chandelier": lambda: models.Elic2022Chandelier(4, 6, [1, 2, 3]),
        "MeanScaleHyperpriorVbr": lambda: vbr.MeanScaleHyperpriorVbr(4, 6),
        "JointAutoregressiveHierarchicalPriorsVbr": lambda: vbr.JointAutoregressiveHierarchicalPriorsVbr(4, 6),
        "Slices": Slices,
        "Recursive": Recursive,
    }
    for name, make in small.items():
        recorded = compressai_export.export(make().eval(), os.path.join(folder, name), (64, 64))
        found[name] = [recorded["models"]["model"]["family"], recorded["leftOut"]]
    return found


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

    rated = vbr.ScaleHyperpriorVbr(4, 6, vr_entbttlnck=True).eval()
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
    expected["families"] = families()
    with open(os.path.join(folder, "expected.json"), "w") as file:
        json.dump(expected, file)
