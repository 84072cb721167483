"""Writes the checkpoints of this folder with real CompressAI (1.2.9.dev0, torch 2.13): python make.py

Tiny models with random parameters; what matters is how files and entropy models look. To keep the files small the networks' weights are left out
of all but factorized.pth.tar. `expected.json` holds what CompressAI itself has in its buffers, and latents with the strings that its compress()
makes of them.
"""

import io
import json
import os
import sys
import zipfile
from collections import OrderedDict

import numpy as np
import torch
from compressai.models import FactorizedPrior, JointAutoregressiveHierarchicalPriors, MeanScaleHyperprior
from compressai.models.base import CompressionModel, get_scale_table
from safetensors.torch import save_file

HERE = os.path.dirname(os.path.abspath(__file__))


def path(name):
    return os.path.join(HERE, name)


def randomize(bottleneck):
    """Rows that differ from channel to channel, as training makes them."""
    with torch.no_grad():
        for i in range(len(bottleneck.matrices)):
            bottleneck.matrices[i].add_(torch.randn_like(bottleneck.matrices[i]) * 0.3 + 0.5)
            bottleneck.biases[i].add_(torch.randn_like(bottleneck.biases[i]) * 0.4)
            if i < len(bottleneck.factors):
                bottleneck.factors[i].add_(torch.randn_like(bottleneck.factors[i]) * 0.3)
    bottleneck._update_quantiles()


def table(model):
    """As CompressAI has it: each row cut to its length."""
    lengths = model._cdf_length.tolist()
    found = {
        "offsets": model._offset.tolist(),
        "cdfs": [row[:n] for row, n in zip(model._quantized_cdf.tolist(), lengths)],
    }
    if hasattr(model, "quantiles"):
        found["medians"] = model.quantiles[:, 0, 1].tolist()
    return found


def old_keys(state):
    """CompressAI up to 1.2.6: `_matrix0` for `matrices.0`."""
    renamed = OrderedDict()
    for key, value in state.items():
        for new, old in (("matrices.", "_matrix"), ("biases.", "_bias"), ("factors.", "_factor")):
            if ".entropy_bottleneck." in f".{key}":
                key = key.replace(new, old)
        renamed[key] = value
    return renamed


def slim(state):
    """Entropy models, and one weight that is none."""
    return OrderedDict((k, v) for k, v in state.items() if k.startswith(("entropy_", "gaussian_", "g_a.0.bias")))


class Slim(CompressionModel):
    """For a file that holds a module and not a state dict."""

    def __init__(self, model):
        super().__init__()
        self.entropy_bottleneck = model.entropy_bottleneck


class Marker:
    """What pickle.load would run."""

    def __reduce__(self):
        return (os.system, ("touch LATENTWIRE_WAS_HERE",))


def rewrite(name, new, change, method=zipfile.ZIP_STORED):
    """Copies a zip, member by member."""
    with zipfile.ZipFile(path(name)) as source, zipfile.ZipFile(path(new), "w", method) as target:
        for info in source.infolist():
            target.writestr(info.filename, change(info.filename, source.read(info)))


def main():
    torch.manual_seed(5)
    expected = {}

    model = FactorizedPrior(2, 8)
    randomize(model.entropy_bottleneck)
    model.update(force=True)
    state = model.state_dict()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4)
    torch.save(
        {"epoch": 3, "state_dict": {f"module.{k}": v for k, v in state.items()}, "optimizer": optimizer.state_dict()},
        path("factorized.pth.tar"),
    )
    save_file({k: v.contiguous() for k, v in slim(state).items()}, path("factorized.safetensors"))
    np.savez_compressed(path("factorized.npz"), **{k: v.numpy() for k, v in slim(state).items()})
    torch.save(Slim(model), path("module.pt"))
    torch.save({"payload": Marker(), "state_dict": slim(state)}, path("malicious.pth"))
    latent = (torch.randn(1, 8, 5, 7) * 6).round(decimals=3)
    latent[0, 0, 0, 0] = 1000.25
    expected["factorized"] = {
        "tables": {"entropy_bottleneck": table(model.entropy_bottleneck)},
        "dims": list(latent.shape),
        "latent": latent.flatten().tolist(),
        "string": model.entropy_bottleneck.compress(latent)[0].hex(),
        "decoded": model.entropy_bottleneck.decompress(
            model.entropy_bottleneck.compress(latent), latent.shape[2:]
        ).flatten().tolist(),
    }

    model = MeanScaleHyperprior(2, 4)
    randomize(model.entropy_bottleneck)
    torch.save(slim(model.state_dict()), path("not-updated.pth"))
    model.update(get_scale_table(0.11, 8, 12), force=True)
    torch.save({"model": slim(model.state_dict())}, path("mean-scale.pth"))
    scales = torch.rand(1, 4, 3, 5) * 9
    means = torch.randn(1, 4, 3, 5)
    y = (torch.randn(1, 4, 3, 5) * scales + means).contiguous()
    indexes = model.gaussian_conditional.build_indexes(scales)
    strings = model.gaussian_conditional.compress(y, indexes, means=means)
    expected["mean-scale"] = {
        "tables": {
            "entropy_bottleneck": table(model.entropy_bottleneck),
            "gaussian_conditional": table(model.gaussian_conditional),
        },
        "dims": list(y.shape),
        "latent": y.flatten().tolist(),
        "scales": scales.flatten().tolist(),
        "means": means.flatten().tolist(),
        "string": strings[0].hex(),
    }

    model = JointAutoregressiveHierarchicalPriors(2, 3)
    randomize(model.entropy_bottleneck)
    model.update(get_scale_table(0.11, 4, 6), force=True)
    torch.save({"net": old_keys(slim(model.state_dict()))}, path("joint-old-keys.pth"))
    expected["joint-old-keys"] = {
        "tables": {
            "entropy_bottleneck": table(model.entropy_bottleneck),
            "gaussian_conditional": table(model.gaussian_conditional),
        }
    }
    rewrite("joint-old-keys.pth", "deflated.pth", lambda _, data: data, zipfile.ZIP_DEFLATED)

    bottleneck = FactorizedPrior(2, 2).entropy_bottleneck.state_dict()
    empty = {k: v for k, v in bottleneck.items() if k in ("_quantized_cdf", "_offset", "_cdf_length", "quantiles")}
    torch.save({f"bottleneck.{k}": v for k, v in empty.items()}, path("empty.pth"))
    rewrite("empty.pth", "big-endian.pth", lambda name, data: b"big" if name.endswith("byteorder") else data)
    torch.save(empty, path("legacy.pth"), _use_new_zipfile_serialization=False)
    torch.save({"weight": torch.zeros(2)}, path("no-entropy-model.pth"))

    with open(path("expected.json"), "w") as file:
        json.dump(expected, file, separators=(",", ":"))
        file.write("\n")


if __name__ == "__main__":
    sys.exit(main())
