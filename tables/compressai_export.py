#!/usr/bin/env python3
"""From a CompressAI model to what JavaScript needs: its networks as ONNX files and its tables as a latentwire bundle.

    python compressai_export.py --arch mbt2018-mean --checkpoint checkpoint_best.pth.tar -o exported
    python compressai_export.py --arch bmshj2018-factorized --quality 3 -o exported      # downloads CompressAI's own weights
    python compressai_export.py --model mypackage.models:MyModel --checkpoint my.pth -o exported

or, in Python: export(model, "exported").

Writes model.lwb and the networks that the model's family of latentwire calls: g_a.onnx, h_a.onnx, h_s.onnx, pixel.onnx. Names of inputs and
outputs are the family's, and crops, masks and concatenations are inside of the networks. loadModel of latentwire/model opens the folder.
What is not exported is named, and the exit code is then 1 unless --allow-missing is given. Other modules: --module NAME.
Needs torch, compressai and onnx; each network is checked against torch where onnxruntime is installed.
"""

import argparse
import contextlib
import copy
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
from compressai.ops import LowerBound

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from compressai_families import Network, first_channels, inputs_seen, recipes_of, samples_of  # noqa: E402
from latentwire_bundle import bundle_bytes, table_bytes  # noqa: E402

WRAPPERS = ("state_dict", "model_state_dict", "model", "net")
PREFIXES = ("module.", "_orig_mod.", "model.", "net.")
# Parameters outside of any network, such as gains, go into the bundle's metadata up to this many numbers.
MAX_PARAMETERS = 50_000


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


class PlainLowerBound(nn.Module):
    """The larger one of a tensor and a bound."""

    def __init__(self, lower):
        super().__init__()
        self.bound = float(lower.bound)

    def forward(self, x):
        return torch.clamp(x, min=self.bound)


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
    if isinstance(module, LowerBound):
        return PlainLowerBound(module)
    if isinstance(module, nn.Conv2d) and isinstance(getattr(module, "mask", None), torch.Tensor):
        return plain_conv(module)
    for name, child in list(module.named_children()):
        setattr(module, name, plain(child))
    return module


# ---- tables


def is_bottleneck(module):
    """EntropyBottleneck, or another class with its buffers and medians, such as EntropyBottleneckVbr."""
    return isinstance(module, EntropyBottleneck) or (hasattr(module, "_quantized_cdf") and hasattr(module, "quantiles"))


def is_entropy_model(module):
    return is_bottleneck(module) or isinstance(module, GaussianConditional)


def rows_of(name, module):
    """Offsets and cdfs of an entropy model. Raises ValueError where their precision is not 16 bits."""
    precision = getattr(module, "entropy_coder_precision", 16)
    if precision != 16:
        raise ValueError(
            f"{name}: its tables have a precision of {precision} bits (entropy_coder_precision); latentwire and CompressAI's own coder have 16. "
            "Make the model with entropy_coder_precision=16, load the weights and call update(force=True)"
        )
    lengths = module._cdf_length.reshape(-1).tolist()
    cdfs = [row[:length] for row, length in zip(module._quantized_cdf.tolist(), lengths)]
    return module._offset.reshape(-1).tolist(), cdfs


def factorized_entry(name, module, step=None):
    offsets, cdfs = rows_of(name, module)
    table = table_bytes(offsets, cdfs, module.quantiles[:, 0, 1].tolist())
    return {"name": name, "kind": "factorized", "table": table, "shape": [None, len(cdfs), None, None], "step": step}


def gaussian_entry(name, module):
    offsets, cdfs = rows_of(name, module)
    scales = module.scale_table.tolist()
    # Scales below the model's bound count as the bound: their rows become copies of the bound's row.
    first = sum(scale < float(module.lower_bound_scale.bound) for scale in scales[:-1])
    cdfs, offsets = (rows[first : first + 1] * first + rows[first:] for rows in (cdfs, offsets))
    return {"name": name, "kind": "gaussian", "table": table_bytes(offsets, cdfs), "scales": scales}


def tables_of(model):
    """Bundle entries of all entropy models."""
    entries = []
    for name, module in model.named_modules():
        if is_entropy_model(module) and module._quantized_cdf.numel() > 0:
            entries.append((factorized_entry if is_bottleneck(module) else gaussian_entry)(name, module))
    if not entries:
        raise ValueError("the model has no EntropyBottleneck and no GaussianConditional")
    return entries


def level_tables(model, names):
    """The tables of an EntropyBottleneckVbr, whose step follows the gain: one for each level."""
    found = []
    for name, gain in zip(names, model.Gain):
        bottleneck = copy.deepcopy(model.entropy_bottleneck)
        step = model.lower_bound_zqstep(model.gayn2zqstep(1.0 / torch.abs(gain).detach().view(1)))
        bottleneck.update_variable(force=True, qs=step)
        found.append(factorized_entry(name, bottleneck, float(step)))
    return found


def update(model):
    """Calls update() where tables are empty. Returns whether it did."""
    empty = [module for module in model.modules() if is_entropy_model(module) and module._quantized_cdf.numel() == 0]
    if not empty:
        return False
    if hasattr(model, "update"):
        model.update()
    else:
        from compressai.models.base import get_scale_table

        for module in empty:
            module.update() if is_bottleneck(module) else module.update_scale_table(get_scale_table())
    return True


# ---- networks


class Left:
    """What is not exported, and why."""

    def __init__(self, log):
        self.log, self.found = log, {}

    def out(self, name, why):
        self.found[name] = why
        self.log(f"LEFT OUT: {name}, {why}")


def asked(model, names, image):
    """Networks that were asked for by name, with what goes into them when the model sees an image."""
    modules = dict(model.named_modules())
    for name in names:
        if name not in modules:
            close = ", ".join(sorted(path for path in modules if path and path.count(".") <= name.count(".")))
            raise ValueError(f"--module {name}: the model has no such module; it has {close}")
    seen = inputs_seen(model, image, {name: modules[name] for name in names})
    found = []
    for name in names:
        tensors, output = seen.get(name, ((), None))
        outputs = output if isinstance(output, tuple) else (output,)
        if not tensors or not all(isinstance(one, torch.Tensor) for one in (*tensors, *outputs)):
            raise ValueError(f"--module {name}: the model's forward does not call it with tensors alone")
        inputs, results = (
            [word if len(given) == 1 else f"{word}{i}" for i in range(len(given))] for word, given in (("input", tensors), ("output", outputs))
        )
        network = Network(inputs, results, lambda parts, *given: parts[0](*given), modules[name])
        found.append((name, network, tuple(tensor.detach().clone() for tensor in tensors)))
    return found


def write_onnx(network, sample, path, opset, dynamic):
    """Writes one network."""
    axes = lambda tensor: {0: "batch", **({2: "height", 3: "width"} if tensor.dim() == 4 and dynamic else {})}  # noqa: E731
    named = [*zip(network.inputs, sample), *zip(network.outputs, network(*sample))]
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            sample,
            path,
            input_names=list(network.inputs),
            output_names=list(network.outputs),
            dynamic_axes={name: axes(tensor) for name, tensor in named if tensor.dim() > 1},
            opset_version=opset,
            # The exporter that needs nothing but torch and onnx.
            dynamo=False,
        )


def difference(network, sample, path):
    """How far the file is from torch: the largest difference over the largest number, at least 1; None without onnxruntime."""
    try:
        import onnxruntime
    except ImportError:
        return None
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    with torch.no_grad():
        expected = network(*sample)
    outputs = session.run(list(network.outputs), dict(zip(network.inputs, (tensor.numpy() for tensor in sample))))
    return max(
        float((torch.from_numpy(output) - wanted).abs().max()) / max(1.0, float(wanted.abs().max()))
        for output, wanted in zip(outputs, expected)
    )


# A larger difference is no rounding: the file is another network.
TOLERANCE = 1e-3


def write_network(name, network, sample, larger, folder, opset):
    """Writes a network for any size of images, or where it cannot have one, for that of the sample. Returns its line of the metadata."""
    file = f"{name}.onnx"
    path = os.path.join(folder, file)
    network = plain(network).eval()
    described = lambda names, tensors, free: {  # noqa: E731
        key: [None, tensor.size(1), *([None, None] if free else tensor.shape[2:])] if tensor.dim() == 4 else list(tensor.shape)
        for key, tensor in zip(names, tensors)
    }
    with torch.no_grad():
        outputs = network(*sample)
    why = "the model takes no other size"
    for free in (True, False):
        if free and larger is None:
            continue
        try:
            write_onnx(network, sample, path, opset, free)
            errors = [difference(network, one, path) for one in ((sample, larger) if free else (sample,))]
        except Exception as error:  # a network that the exporter or onnxruntime refuses, for a reason of theirs
            why = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
            continue
        if errors[0] is None or max(errors) < TOLERANCE:
            line = {"file": file, "inputs": described(network.inputs, sample, free), "outputs": described(network.outputs, outputs, free)}
            return {**line, **({} if errors[0] is None else {"maxError": max(errors)}), **({} if free else {"fixedSize": True})}
        why = f"onnxruntime differs from torch by {max(errors):.1e}"
    with contextlib.suppress(FileNotFoundError):
        os.remove(path)
    raise ValueError(why)


def model_json(recipe, prefix, entries):
    """The model as loadModel reads it: a network is the name of its file, a prior or a table the name of its entry in the bundle."""
    names = {id(network): f"{prefix}{name}.onnx" for name, network in recipe.networks()}

    def plainly(value):
        if isinstance(value, Network):
            return names[id(value)]
        if isinstance(value, list):
            return [plainly(item) for item in value]
        return {key: plainly(item) for key, item in value.items()} if isinstance(value, dict) else value

    rows = recipe.tables["rows"]
    tables = [entries[name]["table"] for name in rows]
    if any(table != tables[0] for table in tables):
        raise ValueError(f"{', '.join(rows)} have different tables: latentwire's families have one for all")
    found = {"family": recipe.family, "model": plainly(recipe.model), "prior": recipe.tables.get("levels", recipe.tables["prior"])}
    if rows:
        found["rows"] = rows[0]
    for key, network in (("g_a", recipe.analysis), ("g_s", recipe.synthesis)):
        if network is not None:
            found[key] = names[id(network)]
    return found


def image_for(recipe, image):
    """The image, side by side with itself for a g_a of six channels, such as that of motion."""
    channels = 3 if recipe.analysis is None else first_channels(recipe.analysis)
    return image[:, :1].expand(-1, channels, -1, -1).contiguous() if channels != image.size(1) else image


def latent_for(recipe, size):
    """A latent for a recipe without g_a, an image of `size` down by 16."""
    first = recipe.model.get("h_a") or recipe.model.get("h_a1")
    return None if first is None else torch.randn(1, first_channels(first), size[0] // 16, size[1] // 16) * 3


def uncovered(model, recipes, extra):
    """Parameters that are in no network, no entropy model and no number of a recipe: by their paths, and the paths of whole modules."""
    networks = [network for recipe in recipes for _, network in recipe.networks()] + extra
    covered = {id(parameter) for network in networks for parameter in network.parameters()}
    covered |= {id(parameter) for recipe in recipes for parameter in recipe.used}
    for module in model.modules():
        if is_entropy_model(module):
            covered |= {id(parameter) for parameter in module.parameters()}
    alone, modules = {}, []
    for path, module in model.named_modules():
        own = {name: parameter for name, parameter in module.named_parameters(recurse=False) if id(parameter) not in covered}
        below = [parameter for _, parameter in module.named_parameters()]
        if path and below and all(id(parameter) not in covered for parameter in below):
            if not any(path.startswith(f"{outer}.") for outer in modules):
                modules.append(path)
        elif not any(path.startswith(f"{outer}.") for outer in modules):
            alone.update({f"{path}.{name}" if path else name: parameter for name, parameter in own.items()})
    return alone, modules


def export(model, folder, size=(256, 256), onnx=True, opset=17, log=lambda line: None, modules=()):
    """Writes the networks and the bundle of a CompressAI model into `folder`; returns what was written, as a dict for JSON.

    size: height and width of the image that shapes are taken from, multiples of the model's downsampling factor. The networks take any other,
    except those with "fixedSize" in the report. modules: paths of further networks to export.
    The report's "leftOut" says what of the model was not exported and why; it is empty for a whole model.
    The model's GDN layers, bounds and masked convolutions are replaced by equal ones that ONNX can say.
    """
    os.makedirs(folder, exist_ok=True)
    model = model.cpu().eval()
    left = Left(log)
    torch.manual_seed(0)
    image, wider = torch.rand(1, 3, *size), torch.rand(1, 3, size[0], 2 * size[1])
    updated = update(model)
    if updated:
        log("the tables are empty: update() was called")
    entries = tables_of(model)
    recipes = recipes_of(model, image)
    if not recipes:
        log(f"{type(model).__name__} fits none of latentwire's families: the bundle has its tables, --module NAME exports its networks")
    for recipe in recipes:
        entries += level_tables(model, recipe.tables["levels"]) if "levels" in recipe.tables else []
    by_name = {entry["name"]: entry for entry in entries}
    extra = asked(model, modules, image)
    alone, whole = uncovered(model, recipes, [network for _, network, _ in extra])
    written, models = {}, {}

    def write(name, network, sample, larger):
        try:
            written[name] = write_network(name, network, sample, larger, folder, opset)
        except ValueError as error:
            return left.out(name, str(error))
        line = written[name]
        error = f", within {line['maxError']:.1e} of torch" if "maxError" in line else ""
        log(f"{line['file']}: {', '.join(network.inputs)} -> {', '.join(network.outputs)}{error}{', this size only' if 'fixedSize' in line else ''}")

    for recipe in recipes:
        prefix = f"{recipe.name}." if recipe.name else ""
        models[recipe.name or "model"] = model_json(recipe, prefix, by_name)
        if not onnx or not recipe.networks():
            continue
        with torch.no_grad():
            samples = samples_of(recipe, image_for(recipe, image), latent_for(recipe, size))
            try:
                larger = samples_of(recipe, image_for(recipe, wider), latent_for(recipe, wider.shape[2:]))
            except Exception:  # windows of attention that fit one size only
                larger = {}
        for name, network in recipe.networks():
            write(f"{prefix}{name}", network, samples[name], larger.get(name))
    for name, network, sample in extra if onnx else ():
        write(name, network, sample, asked(model, [name], wider)[0][2])
    # Gains and the like are read from the bundle.
    parameters = {}
    for name, parameter in alone.items():
        if sum(one.numel() for one in parameters.values()) + parameter.numel() > MAX_PARAMETERS:
            left.out(name, f"a parameter of {parameter.numel()} numbers outside of any network")
        else:
            parameters[name] = parameter.detach()
    for name in whole:
        left.out(name, "no network of the family calls it; --module exports it")
    meta = {"made": "latentwire compressai_export.py", "model": type(model).__name__, "networks": written, "models": models}
    if parameters:
        meta["parameters"] = {name: parameter.tolist() for name, parameter in parameters.items()}
    bundle = bundle_bytes(entries, meta)
    with open(os.path.join(folder, "model.lwb"), "wb") as file:
        file.write(bundle)
    log(f"model.lwb: {', '.join(entry['name'] for entry in entries)}, {len(bundle)} bytes")
    return {"folder": folder, "bundle": "model.lwb", "bytes": len(bundle), "updated": updated, "networks": written, "models": models,
            "parameters": sorted(parameters), "leftOut": left.found,
            "tables": [{"name": entry["name"], "kind": entry["kind"]} for entry in entries]}


# ---- the command


def checkpoint_of(path, trusted):
    """A state dict out of a checkpoint, without the wrappers that trainers put around it, or a whole module.

    Loads weights only, so that nothing in the file is run. `trusted` loads objects as well, which may run any code.
    """
    # Training scripts keep their arguments beside the weights; a Namespace holds attributes and does nothing. From torch 2.5.
    allow = getattr(torch.serialization, "safe_globals", contextlib.nullcontext)
    try:
        with allow([argparse.Namespace]):
            state = torch.load(path, map_location="cpu", weights_only=not trusted)
    except pickle.UnpicklingError as error:
        found = re.search(r"Unsupported global: GLOBAL (\S+)", str(error))
        why = f"it holds a {found[1]}" if found else str(error).splitlines()[0]
        raise SystemExit(
            f"{path}: {why}, and only weights are loaded, so that nothing in it is run. --trust-pickle loads it all the same. "
            "That can run any code in the file: use it only for a file whose source you trust"
        ) from None
    for key in WRAPPERS:
        if isinstance(state, dict) and isinstance(state.get(key), (dict, nn.Module)):
            state = state[key]
    if isinstance(state, nn.Module):
        return state.module if isinstance(state, nn.DataParallel) else state
    # DataParallel, torch.compile, Lightning: in front of every name.
    while prefix := next((p for p in PREFIXES if state and all(key.startswith(p) for key in state)), None):
        state = {key[len(prefix) :]: value for key, value in state.items()}
    return state


BUFFERS = ("_quantized_cdf", "_offset", "_cdf_length")


def with_state(make, state):
    """A model with the weights of `state`. `make` gets a state dict and returns the loaded model."""
    try:
        return make(state)
    except RuntimeError as error:
        # CompressAI makes room for the tables of its EntropyBottleneck, but not for those of EntropyBottleneckVbr.
        wrong = {name for name in state if name.endswith(BUFFERS) and f"size mismatch for {name}:" in str(error)}
        if not wrong:
            raise
    model = make({name: torch.IntTensor() if name in wrong else value for name, value in state.items()})
    for name in wrong:
        path, _, buffer = name.rpartition(".")
        setattr(model.get_submodule(path), buffer, state[name])
    return model


def class_of(args):
    if args.model is not None:
        module, _, name = args.model.partition(":")
        sys.path.insert(0, os.getcwd())
        return getattr(importlib.import_module(module), name)
    from compressai.registry import MODELS
    from compressai.zoo import image_models

    known = image_models if args.quality is not None else MODELS
    if args.arch not in known:
        raise SystemExit(f"--arch {args.arch} is none of {', '.join(sorted(known))}")
    return known[args.arch]


def load_model(args):
    state = None if args.checkpoint is None else checkpoint_of(args.checkpoint, args.trust_pickle)
    if isinstance(state, nn.Module):
        return state
    if args.arch is None and args.model is None:
        raise SystemExit(f"{args.checkpoint} is a state dict, no whole module: say which class it is of, with --arch or --model")
    kind = class_of(args)
    if args.quality is not None:
        return kind(quality=args.quality, metric=args.metric, pretrained=True)
    if state is None:
        return kind()

    def whole(weights):
        model = kind()
        model.load_state_dict(weights)
        return model

    # from_state_dict finds a model's sizes. That of a variable-rate model does not see which of its two forms the weights are of.
    settings = {"vr_entbttlnck": True} if any(name.startswith("gayn2zqstep.") for name in state) else {}
    return with_state((lambda weights: kind.from_state_dict(weights, **settings)) if hasattr(kind, "from_state_dict") else whole, state)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--arch", help="a model of CompressAI's zoo, such as mbt2018-mean")
    which.add_argument("--model", metavar="MODULE:CLASS", help="a model class of yours, or a function that returns a model")
    parser.add_argument("--checkpoint", help="a state dict, as torch.save wrote it; with --trust-pickle also a whole module")
    parser.add_argument(
        "--trust-pickle", action="store_true", help="load objects of the checkpoint, too. This can run any code: only for files that you trust"
    )
    parser.add_argument("--quality", type=int, help="CompressAI's own weights of this quality instead of a checkpoint")
    parser.add_argument("--metric", default="mse", help="of these weights: mse (default) or ms-ssim")
    parser.add_argument("-o", "--output", required=True, metavar="FOLDER")
    parser.add_argument("--module", action="append", default=[], metavar="NAME", help="export this module, too; may be given several times")
    parser.add_argument("--allow-missing", action="store_true", help="exit code 0 even if something of the model is left out")
    parser.add_argument("--size", default="256x256", metavar="HxW", help="image that shapes are taken from (default 256x256)")
    parser.add_argument("--opset", type=int, default=17)
    parser.add_argument("--no-onnx", action="store_true", help="the bundle alone")
    parser.add_argument("--json", action="store_true", help="print what was written for machines")
    args = parser.parse_args(argv)
    if args.arch is None and args.model is None and not (args.trust_pickle and args.checkpoint):
        parser.error("--arch or --model is needed; a whole pickled module needs neither, with --checkpoint and --trust-pickle")
    if args.arch is not None and args.checkpoint is None and args.quality is None:
        parser.error("--arch needs --checkpoint or --quality")
    try:
        height, width = (int(part) for part in args.size.split("x"))
    except ValueError:
        parser.error("--size must be such as 256x256")
    log = lambda line: print(line, file=sys.stderr)  # noqa: E731
    # What libraries print belongs to the log, not to the result.
    with contextlib.redirect_stdout(sys.stderr):
        try:
            report = export(load_model(args), args.output, (height, width), not args.no_onnx, args.opset, log, args.module)
        except ValueError as error:
            raise SystemExit(str(error)) from error
    if args.json:
        json.dump(report, sys.stdout)
        print()
    if report["leftOut"] and not args.allow_missing:
        raise SystemExit(f"left out: {', '.join(report['leftOut'])}. If you do not need them, --allow-missing makes this exit code 0")


if __name__ == "__main__":
    main()
