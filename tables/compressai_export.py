#!/usr/bin/env python3
"""From a CompressAI model to what JavaScript needs: its networks as ONNX files and its tables as a latentwire bundle.

    python compressai_export.py --arch mbt2018-mean --checkpoint checkpoint_best.pth.tar -o exported
    python compressai_export.py --arch bmshj2018-factorized --quality 3 -o exported      # downloads CompressAI's own weights
    python compressai_export.py --model mypackage.models:MyModel --checkpoint my.pth -o exported

or, in Python: export(model, "exported").

Writes model.lwb and, for each of g_a, g_s, h_a, h_s, entropy_parameters, context_prediction and channel contexts that the model has, a file
named after the module: g_a.onnx, latent_codec.hyper.h_a.onnx. The bundle's metadata says which networks there are and what goes into them.
Needs torch, compressai and onnx; each network is checked against torch where onnxruntime is installed.
"""

import argparse
import contextlib
import importlib
import json
import os
import pickle
import re
import sys
import warnings

import torch
import torch.nn as nn
import torch.nn.functional as F
from compressai.entropy_models import EntropyBottleneck, GaussianConditional
from compressai.layers import GDN, GDN1

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from latentwire_bundle import bundle_bytes, table_bytes  # noqa: E402

NETWORKS = {"g_a", "g_s", "h_a", "h_s", "h_mean_s", "h_scale_s", "entropy_parameters", "context_prediction"}
CONTAINERS = {"channel_context"}
WRAPPERS = ("state_dict", "model_state_dict", "model", "net")
PREFIXES = ("module.", "_orig_mod.", "model.", "net.")


class PlainGDN(nn.Module):
    """GDN with its parameters worked out: ONNX knows no autograd functions."""

    def __init__(self, gdn):
        super().__init__()
        channels = gdn.beta.numel()
        self.register_buffer("beta", gdn.beta_reparam(gdn.beta).detach().clone())
        self.register_buffer("gamma", gdn.gamma_reparam(gdn.gamma).detach().reshape(channels, channels, 1, 1).clone())
        self.inverse = gdn.inverse
        self.simple = isinstance(gdn, GDN1)

    def forward(self, x):
        norm = F.conv2d(torch.abs(x) if self.simple else x * x, self.gamma, self.beta)
        if not self.simple:
            norm = torch.sqrt(norm)
        return x * norm if self.inverse else x / norm


def plain_conv(conv):
    """A masked convolution with its mask applied once: assignments to weights are not for ONNX."""
    plain = nn.Conv2d(
        conv.in_channels,
        conv.out_channels,
        conv.kernel_size,
        conv.stride,
        conv.padding,
        conv.dilation,
        conv.groups,
        conv.bias is not None,
        conv.padding_mode,
    )
    plain.weight.data = (conv.weight * conv.mask).detach().clone()
    if conv.bias is not None:
        plain.bias.data = conv.bias.detach().clone()
    return plain


def plain(module):
    """The module with everything in it that ONNX cannot say replaced by its like. Changes `module` where it has children."""
    if isinstance(module, GDN):
        return PlainGDN(module)
    if isinstance(module, nn.Conv2d) and isinstance(getattr(module, "mask", None), torch.Tensor):
        return plain_conv(module)
    for name, child in list(module.named_children()):
        setattr(module, name, plain(child))
    return module


def networks_of(model):
    """Modules to export by their paths, the outermost of those with one of the names."""
    found = {}
    for name, module in model.named_modules():
        *parents, last = name.split(".")
        wanted = last in NETWORKS or (parents and parents[-1] in CONTAINERS)
        if wanted and not isinstance(module, nn.Identity) and not any(name.startswith(f"{outer}.") for outer in found):
            found[name] = module
    return found


def inputs_of(model, networks, size):
    """The tensor that goes into each network when the model sees an image; networks that take none or several are left out."""
    seen, hooks = {}, []

    def remember(name):
        def hook(_, args):
            if len(args) == 1 and isinstance(args[0], torch.Tensor):
                seen.setdefault(name, args[0].detach().clone())

        return hook

    for name, module in networks.items():
        hooks.append(module.register_forward_pre_hook(remember(name)))
    try:
        with torch.no_grad():
            model(torch.rand(1, 3, *size))
    finally:
        for hook in hooks:
            hook.remove()
    return seen


def tables_of(model):
    """Bundle entries of all entropy models."""
    entries = []
    for name, module in model.named_modules():
        if not isinstance(module, (EntropyBottleneck, GaussianConditional)) or module._quantized_cdf.numel() == 0:
            continue
        lengths = module._cdf_length.reshape(-1).tolist()
        offsets = module._offset.reshape(-1).tolist()
        cdfs = [row[:length] for row, length in zip(module._quantized_cdf.tolist(), lengths)]
        if isinstance(module, EntropyBottleneck):
            medians = module.quantiles[:, 0, 1].tolist()
            table = table_bytes(offsets, cdfs, medians)
            entries.append({"name": name, "kind": "factorized", "table": table, "shape": [None, len(cdfs), None, None]})
        else:
            scales = module.scale_table.tolist()
            # Scales below the model's bound count as the bound: their rows become copies of the bound's row.
            first = sum(scale < float(module.lower_bound_scale.bound) for scale in scales[:-1])
            cdfs, offsets = (rows[first : first + 1] * first + rows[first:] for rows in (cdfs, offsets))
            entries.append({"name": name, "kind": "gaussian", "table": table_bytes(offsets, cdfs), "scales": scales})
    if not entries:
        raise ValueError("the model has no EntropyBottleneck and no GaussianConditional")
    return entries


def write_onnx(module, sample, path, opset):
    """Writes one network and returns how far its ONNX form is from torch, or None without onnxruntime."""
    spatial = {0: "batch", 2: "height", 3: "width"}
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = module(sample)
        torch.onnx.export(
            module,
            (sample,),
            path,
            input_names=["input"],
            output_names=["output"],
            dynamic_axes={"input": spatial, "output": spatial},
            opset_version=opset,
            # The exporter that needs nothing but torch and onnx.
            dynamo=False,
        )
    try:
        import onnxruntime
    except ImportError:
        return expected, None
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (output,) = session.run(None, {"input": sample.numpy()})
    return expected, float((torch.from_numpy(output) - expected).abs().max())


def export(model, folder, size=(256, 256), onnx=True, opset=17, log=lambda line: None):
    """Writes the networks and the bundle of a CompressAI model into `folder`; returns what was written, as a dict for JSON.

    size: height and width of the image that shapes are taken from, multiples of the model's downsampling factor. The networks take any other.
    The model's GDN layers and masked convolutions are replaced by equal ones that ONNX can say.
    """
    os.makedirs(folder, exist_ok=True)
    model = model.cpu().eval()
    updated = any(
        module._quantized_cdf.numel() == 0
        for module in model.modules()
        if isinstance(module, (EntropyBottleneck, GaussianConditional))
    )
    if updated:
        log("the tables are empty: update() was called")
        model.update()
    entries = tables_of(model)
    networks = networks_of(model)
    samples = inputs_of(model, networks, size)
    written = {}
    for name, module in networks.items() if onnx else ():
        if name not in samples:
            log(f"{name}: left out, it does not take one tensor")
            continue
        file = f"{name}.onnx"
        output, error = write_onnx(plain(module).eval(), samples[name], os.path.join(folder, file), opset)
        # Which dimensions are sizes of the image and which are the model's own.
        shape = [None, samples[name].size(1), None, None]
        written[name] = {"file": file, "input": shape, "output": [None, output.size(1), None, None]}
        if error is not None:
            written[name]["maxError"] = error
        log(f"{file}: {samples[name].size(1)} channels in, {output.size(1)} out" + (f", within {error:.1e} of torch" if error is not None else ""))
    meta = {"made": "latentwire compressai_export.py", "model": type(model).__name__, "networks": written}
    groups = next((module.groups for module in model.modules() if isinstance(getattr(module, "groups", None), list)), None)
    if groups is not None:
        meta["groups"] = list(groups)
    bundle = bundle_bytes(entries, meta)
    with open(os.path.join(folder, "model.lwb"), "wb") as file:
        file.write(bundle)
    log(f"model.lwb: {', '.join(entry['name'] for entry in entries)}, {len(bundle)} bytes")
    return {"folder": folder, "bundle": "model.lwb", "bytes": len(bundle), "updated": updated, "networks": written,
            "tables": [{"name": entry["name"], "kind": entry["kind"]} for entry in entries]}


def state_dict_of(path):
    """A state dict out of a checkpoint, without the wrappers that trainers put around it. Loads weights only: nothing in the file is run."""
    # Training scripts keep their arguments beside the weights; a Namespace holds attributes and does nothing. From torch 2.5.
    allow = getattr(torch.serialization, "safe_globals", contextlib.nullcontext)
    try:
        with allow([argparse.Namespace]):
            state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        found = re.search(r"Unsupported global: GLOBAL (\S+)", str(error))
        why = f"it holds a {found[1]}" if found else str(error).splitlines()[0]
        raise SystemExit(
            f"{path}: {why}, and only weights are loaded, so that nothing in it is run. "
            "If you trust it: torch.save(torch.load(path, weights_only=False)['state_dict'], new_path)"
        ) from None
    for key in WRAPPERS:
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            state = state[key]
    # DataParallel, torch.compile, Lightning: in front of every name.
    while prefix := next((p for p in PREFIXES if state and all(key.startswith(p) for key in state)), None):
        state = {key[len(prefix) :]: value for key, value in state.items()}
    return state


def load_model(args):
    if args.model is not None:
        module, _, name = args.model.partition(":")
        sys.path.insert(0, os.getcwd())
        kind = getattr(importlib.import_module(module), name)
    else:
        from compressai.registry import MODELS
        from compressai.zoo import image_models

        known = image_models if args.quality is not None else MODELS
        if args.arch not in known:
            raise SystemExit(f"--arch {args.arch} is none of {', '.join(sorted(known))}")
        if args.quality is not None:
            return known[args.arch](quality=args.quality, metric=args.metric, pretrained=True)
        kind = known[args.arch]
    if args.checkpoint is None:
        return kind()
    state = state_dict_of(args.checkpoint)
    if hasattr(kind, "from_state_dict"):
        return kind.from_state_dict(state)
    model = kind()
    model.load_state_dict(state)
    return model


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--arch", help="a model of CompressAI's zoo, such as mbt2018-mean")
    which.add_argument("--model", metavar="MODULE:CLASS", help="a model class of yours, or a function that returns a model")
    parser.add_argument("--checkpoint", help="a state dict, as torch.save wrote it")
    parser.add_argument("--quality", type=int, help="CompressAI's own weights of this quality instead of a checkpoint")
    parser.add_argument("--metric", default="mse", help="of these weights: mse (default) or ms-ssim")
    parser.add_argument("-o", "--output", required=True, metavar="FOLDER")
    parser.add_argument("--size", default="256x256", metavar="HxW", help="image that shapes are taken from (default 256x256)")
    parser.add_argument("--opset", type=int, default=17)
    parser.add_argument("--no-onnx", action="store_true", help="the bundle alone")
    parser.add_argument("--json", action="store_true", help="print what was written for machines")
    args = parser.parse_args(argv)
    if args.model is None and args.checkpoint is None and args.quality is None:
        parser.error("--arch needs --checkpoint or --quality")
    try:
        height, width = (int(part) for part in args.size.split("x"))
    except ValueError:
        parser.error("--size must be such as 256x256")
    # What libraries print belongs to the log, not to the result.
    with contextlib.redirect_stdout(sys.stderr):
        report = export(
            load_model(args), args.output, (height, width), not args.no_onnx, args.opset, lambda line: print(line, file=sys.stderr)
        )
    if args.json:
        json.dump(report, sys.stdout)
        print()


if __name__ == "__main__":
    main()
