"""Which family of latentwire a CompressAI model belongs to, and its networks in the form that the family calls.

recipes_of(model, image) looks at what a model consists of, not at the name of its class, so that classes of your own are found, too. A
network of a recipe is a torch module with names for its inputs and outputs. Crops, masks, concatenations and halves are inside of it:
JavaScript gives a network plain tensors. docs/families.md says what each family calls.
"""

import torch
import torch.nn as nn
import torch.nn.functional as F

# Networks for each slice of channels, as TCM, CCA, STF and their relatives name them: support of the means, means, of the scales, scales.
SLICES = (
    ("atten_mean", "cc_mean_transforms", "atten_scale", "cc_scale_transforms"),
    ("mean_NAF_transforms", "mean_cc_transforms", "scale_NAF_transforms", "scale_cc_transforms"),
    (None, "cc_mean_transforms", None, "cc_scale_transforms"),
)
# Two networks in place of one h_s, scales first.
PAIRS = (("h_scale_s", "h_mean_s"), ("hyper_decoder_scale", "hyper_decoder_mean"))
BOTH = ("scales", "means")


class Network(nn.Module):
    """A network with names for its inputs and outputs. `compute` gets the tensors and returns one, or a tuple."""

    def __init__(self, inputs, outputs, compute, *modules):
        super().__init__()
        self.inputs, self.outputs, self.compute = tuple(inputs), tuple(outputs), compute
        self.parts = nn.ModuleList(module for module in modules if module is not None)

    def forward(self, *tensors):
        found = self.compute(self.parts, *tensors)
        return found if isinstance(found, tuple) else (found,)


class Recipe:
    """A family, and what its model needs: networks, names of tables, numbers. `analysis` and `synthesis` are g_a and g_s, or None."""

    def __init__(self, name, family, model, tables, analysis=None, synthesis=None, used=()):
        self.name, self.family, self.model, self.tables = name, family, model, tables
        # used: parameters whose effect is in the model's numbers or tables.
        self.analysis, self.synthesis, self.used = analysis, synthesis, list(used)

    def networks(self):
        """(name, network) of each: g_a, g_s and those of the model, with the number of a group behind the name."""
        found = [("g_a", self.analysis), ("g_s", self.synthesis)]
        for key, value in self.model.items():
            if isinstance(value, Network):
                found.append((key, value))
            elif isinstance(value, list):
                for k, item in enumerate(value):
                    stem = {"nets": "group", "refine": "refine"}.get(key)
                    nets = item.items() if isinstance(item, dict) else [(stem, item)]
                    found += [(f"{name}{k}", net) for name, net in nets if isinstance(net, Network)]
        return [(name, net) for name, net in found if net is not None]


# ---- networks


def one(module, source, target):
    return Network([source], [target], lambda parts, x: parts[0](x), module)


def halves(order):
    """From one tensor to scales and means, by the order of the model's halves."""

    def split(tensor):
        first, second = tensor.chunk(2, 1)
        return (first, second) if order[0] == "scales" else (second, first)

    return split


def masked(conv):
    """The weights of a masked convolution; those of one that is plain already."""
    return conv.weight * conv.mask if hasattr(conv, "mask") else conv.weight


def pixel_network(context, parameters):
    """psi and the k x k positions around a pixel -> its scales and means."""

    def compute(parts, y_hat, psi):
        seen = F.conv2d(y_hat, masked(parts[0]), parts[0].bias)
        return parts[1](torch.cat((psi, seen), 1)).chunk(2, 1)

    return Network(["y_hat", "psi"], BOTH, compute, context, parameters)


def checkerboard_networks(codec, known, before=None):
    """The anchors' network and the others', of a CheckerboardLatentCodec. `before` makes psi of psi and the groups before."""
    split = halves(getattr(codec.latent_codec["y"], "chunks", BOTH))
    gaussian = codec.latent_codec["y"].entropy_parameters
    names = ["psi"] if before is None else ["psi", "y_hat"]
    side = (lambda psi, *seen: psi) if before is None else before

    def anchor(parts, *given):
        psi = side(*given)
        nothing = torch.zeros(psi.size(0), parts[0].out_channels, psi.size(2), psi.size(3), dtype=psi.dtype)
        return split(parts[2](parts[1](torch.cat((nothing, psi), 1))))

    def nonanchor(parts, *given):
        *given, y_anchor = given
        return split(parts[2](parts[1](torch.cat((parts[0](y_anchor), side(*given)), 1))))

    modules = (codec.context_prediction, codec.entropy_parameters, gaussian)
    return Network(names, BOTH, anchor, *modules), Network([*names, known], BOTH, nonanchor, *modules)


def channel_context(codec, k):
    """psi of group k: that of all groups, and behind or before it what the groups before tell. None for the first group."""
    if k == 0:
        return None

    def before(psi, y_hat):
        seen = torch.split(y_hat, codec.groups[:k], 1)
        return codec._get_ctx_params(k, psi, [*seen, *[None] * (len(codec.groups) - k)])

    return before


def group_network(codec, k):
    """The network of group k of a ChannelGroupsLatentCodec with a Gaussian in each group."""
    inner = codec.latent_codec[f"y{k}"]
    split = halves(inner.chunks)
    before = channel_context(codec, k)
    names = ["psi"] if before is None else ["psi", "y_hat"]

    def compute(parts, *given):
        return split(parts[0](given[0] if before is None else before(*given)))

    return Network(names, BOTH, compute, inner.entropy_parameters, codec.channel_context[f"y{k}"] if k > 0 else None)


def slice_networks(model, names, sizes, k):
    """Scales, means and support of slice k, and the network that refines what was decoded (latent residual prediction)."""
    modules = [None if name is None else getattr(model, name)[k] for name in names]
    limit = getattr(model, "max_support_slices", -1)
    seen = sum(sizes[:k] if limit < 0 else sizes[: min(k, limit)])
    inputs = ["psi"] if k == 0 else ["psi", "y_hat"]

    def compute(parts, psi, *groups):
        scales, means = psi.chunk(2, 1)
        earlier = [group[:, :seen] for group in groups]
        parts = list(parts)
        support_net = parts.pop(0) if modules[0] is not None else nn.Identity()
        means_net = parts.pop(0)
        scale_support = parts.pop(0) if modules[2] is not None else nn.Identity()
        support = support_net(torch.cat([means, *earlier], 1))
        scales = parts[0](scale_support(torch.cat([scales, *earlier], 1)))
        means = means_net(support)
        # Attention in windows may pad: what lies behind y's size is cut off.
        height, width = psi.size(2), psi.size(3)
        return scales[:, :, :height, :width], means[:, :, :height, :width], support

    refine = None
    if hasattr(model, "lrp_transforms"):

        def residual(parts, support, y_group):
            return y_group + 0.5 * torch.tanh(parts[0](torch.cat([support, y_group], 1)))

        refine = Network(["support", "y_group"], ["refined"], residual, model.lrp_transforms[k])
    return Network(inputs, [*BOTH, "support"], compute, *modules), refine


def rate_networks(model, h_s, has_means, context=None, parameters=None):
    """h_s or the pixels' network of CompressAI's variable-rate models: scales times the gain, means, and offsets of what was quantized."""
    has_offsets = not model.no_quantoffset
    outputs = ["scales", *(["means"] if has_means else []), *(["offsets"] if has_offsets else [])]
    quantizer = model.QuantABCD if has_offsets else None

    def finish(tensor, gain, offsets):
        scales, means = tensor.chunk(2, 1) if has_means else (tensor, None)
        scales = scales * gain
        found = [scales] + ([means] if has_means else [])
        if offsets is not None:
            bounded = torch.clamp(scales, min=float(model.gaussian_conditional.lower_bound_scale.bound)).unsqueeze(4)
            found.append(-offsets(torch.cat((bounded, gain.expand_as(bounded)), 4)).squeeze(4))
        return tuple(found)

    if context is None:
        compute = lambda parts, z_hat, gain: finish(parts[0](z_hat), gain, parts[1] if has_offsets else None)  # noqa: E731
        return Network(["z_hat", "gain"], outputs, compute, h_s, quantizer)
    to_context = model.scale_to_context if model.scl2ctx else None

    def pixel(parts, y_hat, psi, gain):
        seen = F.conv2d(y_hat, masked(parts[0]), parts[0].bias)
        if to_context is not None:
            seen = seen + parts[-1](gain.view(1, 1)).view(1, -1, 1, 1)
        return finish(parts[1](torch.cat((psi, seen), 1)), gain, parts[2] if has_offsets else None)

    return Network(["y_hat", "psi", "gain"], outputs, pixel, context, parameters, quantizer, to_context)


# ---- which family


def convolutions(module):
    return [part for part in module.modules() if isinstance(part, (nn.Conv2d, nn.ConvTranspose2d))]


def first_channels(module):
    return convolutions(module)[0].in_channels


def last_channels(module):
    """Channels out; a PixelShuffle behind the last convolution divides them."""
    parts = [part for part in module.modules() if isinstance(part, (nn.Conv2d, nn.ConvTranspose2d, nn.PixelShuffle))]
    divisor = 1
    if isinstance(parts[-1], nn.PixelShuffle):
        divisor = parts.pop().upscale_factor ** 2
    return parts[-1].out_channels // divisor


def inputs_seen(model, image, names):
    """What went into the modules `names` and came out of them when the model saw an image; empty if it takes no image."""
    seen, hooks = {}, []
    for name, module in names.items():
        hooks.append(module.register_forward_hook(lambda _, args, out, name=name: seen.setdefault(name, (args, out))))
    try:
        with torch.no_grad():
            model(image)
    except Exception:  # a model that takes frames, a level, a flag
        pass
    finally:
        for hook in hooks:
            hook.remove()
    return seen


class Seen:
    """What h_a, h_s and g_a saw and gave when the model saw an image, or what can be said without it."""

    def __init__(self, model, image, h_a, h_s, g_a):
        named = {"h_a": h_a, "h_s": h_s, "g_a": g_a}
        seen = {} if image is None else inputs_seen(model, image, {key: module for key, module in named.items() if module is not None})
        self.scales_only = None if h_s is None else last_channels(h_s) == first_channels(h_a)
        if "h_a" in seen and "h_s" in seen:
            self.scales_only = seen["h_s"][1].size(1) == seen["h_a"][0][0].size(1)
        # Without a pass: the scale hyperprior of all published models takes |y|, the others do not.
        self.absolute = self.scales_only is True
        if "h_a" in seen and "g_a" in seen:
            given, y = seen["h_a"][0][0], seen["g_a"][1]
            self.absolute = not torch.equal(given, y)
            if self.absolute and not torch.equal(given, y.abs()):
                raise ValueError("h_a gets neither y nor |y| from this model: export your own network with --module")


def h_a_network(module, absolute):
    compute = (lambda parts, y: parts[0](torch.abs(y))) if absolute else (lambda parts, y: parts[0](y))
    return Network(["y"], ["z"], compute, module)


def child(model, name):
    """A module by the last part of its path, at the model itself or one level below, as FrankenSplit's hyper_network.h_a."""
    found = getattr(model, name, None)
    if found is None:
        found = next((part for path, part in model.named_modules() if path.count(".") == 1 and path.endswith(f".{name}")), None)
    return found if isinstance(found, nn.Module) else None


def recipes_of(model, image=None):
    """The recipes of a model; empty if no family fits. `image` is what the model's forward takes.

    Raises ValueError for a model that looks like a family and is none.
    """
    parts = [name.removesuffix("_hyperprior") for name, module in model.named_children() if hasattr(module, "hyper_encoder")]
    if parts:
        return [part_recipe(model, name) for name in parts]
    recipe = codec_recipe(model, image) if is_latent_codec(model) else plain_recipe(model, image)
    return [] if recipe is None else [recipe]


def ends(model):
    """g_a and g_s, as networks."""
    found = {}
    for key, name, source, target in (("analysis", "g_a", "x", "y"), ("synthesis", "g_s", "y_hat", "x_hat")):
        module = child(model, name)
        found[key] = None if module is None or isinstance(module, nn.Identity) else one(module, source, target)
    return found


def part_recipe(model, name):
    """A hyperprior among several of a model: ssf2020's img, motion and res."""
    hyper = getattr(model, f"{name}_hyperprior")
    scales, means = hyper.hyper_decoder_scale, hyper.hyper_decoder_mean
    h_s = Network(["z_hat"], BOTH, lambda parts, z_hat: (parts[0](z_hat), parts[1](z_hat)), scales, means)
    found = {"h_a": h_a_network(hyper.hyper_encoder, False), "h_s": h_s}
    encoder, decoder = getattr(model, f"{name}_encoder", None), getattr(model, f"{name}_decoder", None)
    return Recipe(
        name,
        "meanScale",
        found,
        {"prior": f"{name}_hyperprior.entropy_bottleneck", "rows": [f"{name}_hyperprior.gaussian_conditional"]},
        None if encoder is None else one(encoder, "x", "y"),
        None if decoder is None else one(decoder, "y_hat", "x_hat"),
    )


def path_of(model, module):
    return next(path for path, part in model.named_modules() if part is module)


def plain_recipe(model, image):
    """Models with networks of their own: those of CompressAI's google, waseda and vbr, FrankenSplit, TCM, CCA."""
    bottleneck = child(model, "entropy_bottleneck") or child(model, "z_entropy_bottleneck")
    if bottleneck is None:
        return None
    tables = {"prior": path_of(model, bottleneck), "rows": []}
    gaussian = child(model, "gaussian_conditional")
    h_a, h_s, g_a = child(model, "h_a"), child(model, "h_s"), child(model, "g_a")
    make = lambda family, found: Recipe("", family, found, tables, **ends(model))  # noqa: E731
    if gaussian is None:
        return None if h_a is not None or g_a is None else make("factorized", {})
    pair = next((names for names in PAIRS if child(model, names[0]) is not None), None)
    if h_a is None or (h_s is None and pair is None):
        return None
    tables["rows"] = [path_of(model, gaussian)]
    if child(model, "h_a_2") is not None:
        tables["rows"].append(path_of(model, child(model, "gaussian_conditional_2")))
        return make("recursive", recursive(model, h_a, h_s))
    seen = Seen(model, image, h_a, h_s, g_a)
    found = {"h_a": h_a_network(h_a, seen.absolute)}
    if pair is not None:
        modules = [child(model, name) for name in pair]
        names = next((names for names in SLICES if all(name is None or hasattr(model, name) for name in names)), None)
        if names is not None:
            return make("channelGroups", {**found, **slices(model, modules, names)})
        compute = lambda parts, z_hat: (parts[0](z_hat), parts[1](z_hat))  # noqa: E731
        return make("meanScale", {**found, "h_s": Network(["z_hat"], BOTH, compute, *modules)})
    context, parameters = child(model, "context_prediction"), child(model, "entropy_parameters")
    only_scales = context is None and seen.scales_only
    if hasattr(model, "Gain") and hasattr(model, "QuantABCD"):
        recipe = make("variableRate", {**found, **variable_rate(model, h_s, context, parameters, only_scales, tables)})
        recipe.used = [model.Gain, *(model.gayn2zqstep.parameters() if "levels" in tables else [])]
        return recipe
    if context is not None:
        return make("autoregressive", {**found, **pixels(h_s, context, pixel_network(context, parameters))})
    if only_scales:
        return make("scale", {**found, "h_s": one(h_s, "z_hat", "scales")})
    return make("meanScale", {**found, "h_s": Network(["z_hat"], BOTH, lambda parts, z_hat: parts[0](z_hat).chunk(2, 1), h_s)})


def recursive(model, h_a, h_s):
    h_s1, h_s2 = (
        Network([source], BOTH, lambda parts, z: parts[0](z).chunk(2, 1), module)
        for source, module in (("z1_hat", h_s), ("z2_hat", child(model, "h_s_2")))
    )
    return {"h_a1": one(h_a, "y", "z1"), "h_a2": one(child(model, "h_a_2"), "z1", "z2"), "h_s1": h_s1, "h_s2": h_s2}


def pixels(h_s, context, network):
    return {"h_s": one(h_s, "z_hat", "psi"), "pixel": network, "channels": context.in_channels, "kernel": context.kernel_size[0]}


def slices(model, modules, names):
    count = len(getattr(model, names[1]))
    sizes = list(getattr(model, "size_slices", [])) or [last_channels(net) for net in getattr(model, names[1])]
    psi = Network(["z_hat"], ["psi"], lambda parts, z_hat: torch.cat((parts[0](z_hat), parts[1](z_hat)), 1), *modules)
    networks = [slice_networks(model, names, sizes, k) for k in range(count)]
    found = {"h_s": psi, "groups": sizes, "nets": [net for net, _ in networks], "oneString": True}
    if networks[0][1] is not None:
        found["refine"] = [refine for _, refine in networks]
    return found


def variable_rate(model, h_s, context, parameters, only_scales, tables):
    """The gains of the levels; with a bottleneck whose step follows the gain, a table for each level."""
    found = {"gains": [abs(float(gain)) for gain in model.Gain]}
    if getattr(model, "vr_entbttlnck", False):
        tables["levels"] = [f"{tables['prior']}.level{k}" for k in range(len(model.Gain))]
    if context is not None:
        return {**found, **pixels(h_s, context, rate_networks(model, h_s, not only_scales, context, parameters))}
    return {**found, "h_s": rate_networks(model, h_s, not only_scales)}


# ---- CompressAI's latent codecs


def is_latent_codec(model):
    return latent_codec_of(model) is not None


def latent_codec_of(model):
    codec = getattr(model, "latent_codec", None)
    if type(model).__name__.endswith("LatentCodec"):
        return model
    return codec if isinstance(codec, nn.Module) and type(codec).__name__.endswith("LatentCodec") else None


def codec_recipe(model, image):
    codec = latent_codec_of(model)
    tables = {"rows": []}
    make = lambda family, found: Recipe("", family, found, tables, **ends(model))  # noqa: E731
    kind = lambda module: type(module).__name__.removesuffix("LatentCodec")  # noqa: E731
    if kind(codec) == "EntropyBottleneck":
        tables["prior"] = path_of(model, codec.entropy_bottleneck)
        return make("factorized", {})
    if kind(codec) not in ("Hyperprior", "GainHyperprior"):
        return None
    hyper, inner = codec.latent_codec["hyper"], codec.latent_codec["y"]
    tables["prior"] = path_of(model, hyper.entropy_bottleneck)
    tables["rows"] = [path_of(model, part) for part in inner.modules() if hasattr(part, "scale_table")]
    seen = Seen(model, image, hyper.h_a, None, child(model, "g_a"))
    found = {"h_a": h_a_network(hyper.h_a, seen.absolute)}
    psi = {"h_s": one(hyper.h_s, "z_hat", "psi")}
    if kind(inner) == "GaussianConditional":
        if inner.chunks == ("scales",):
            compute, outputs = (lambda parts, z_hat: parts[1](parts[0](z_hat))), ["scales"]
        elif set(inner.chunks) == set(BOTH):
            split = halves(inner.chunks)
            compute, outputs = (lambda parts, z_hat: split(parts[1](parts[0](z_hat)))), BOTH
        else:
            return None
        found["h_s"] = Network(["z_hat"], outputs, compute, hyper.h_s, inner.entropy_parameters)
        if kind(codec) == "GainHyperprior":
            return make("gain", found)
        return make("scale" if len(outputs) == 1 else "meanScale", found)
    if kind(codec) == "GainHyperprior":
        return None
    if kind(inner) == "RasterScan":
        network = pixel_network(inner.context_prediction, inner.entropy_parameters)
        return make("autoregressive", {**found, **pixels(hyper.h_s, inner.context_prediction, network)})
    if kind(inner) == "Checkerboard":
        anchor, nonanchor = checkerboard_networks(inner, "y_hat")
        return make("checkerboard", {**found, **psi, "anchor": anchor, "nonanchor": nonanchor, "anchors": inner.anchor_parity})
    if kind(inner) == "ChannelGroups":
        return make(*channel_groups(inner, {**found, **psi}, kind))
    return None


def channel_groups(codec, found, kind):
    kinds = {kind(part) for part in codec.latent_codec.values()}
    if kinds == {"GaussianConditional"}:
        return "channelGroups", {**found, "groups": codec.groups, "nets": [group_network(codec, k) for k in range(len(codec.groups))]}
    if kinds != {"Checkerboard"}:
        raise ValueError(f"channel groups of {', '.join(sorted(kinds))} are no family of latentwire")
    groups = []
    for k, count in enumerate(codec.groups):
        inner = codec.latent_codec[f"y{k}"]
        anchor, nonanchor = checkerboard_networks(inner, "y_anchor", channel_context(codec, k))
        if k > 0:
            for network in (anchor, nonanchor):
                network.parts.append(codec.channel_context[f"y{k}"])
        groups.append({"channels": count, "anchor": anchor, "nonanchor": nonanchor})
    parity = codec.latent_codec["y0"].anchor_parity
    return "elic", {**found, "groups": groups, "anchors": parity}


# ---- one pass


def samples_of(recipe, image=None, latent=None):
    """Input tensors of every network, by its name, from one pass over an image, or over a latent where the recipe has no g_a."""
    found = {}

    def call(name, network, *tensors):
        found[name] = tensors
        return network(*tensors)

    model = recipe.model
    y = call("g_a", recipe.analysis, image)[0] if recipe.analysis is not None and image is not None else latent
    # Symbols as a trained model has them; those of a model with random weights would all be 0.
    decoded = lambda tensor: torch.round(3 * torch.randn_like(tensor))  # noqa: E731
    y_hat = decoded(y)
    if "h_a" in model:
        (z,) = call("h_a", model["h_a"], y)
        gain = [torch.tensor([model["gains"][0]])] if recipe.family == "variableRate" else []
        (psi, *rest) = call("h_s", model["h_s"], decoded(z), *([] if "pixel" in model else gain))
        if "pixel" in model:
            reach = model["kernel"] // 2
            crop = F.pad(y_hat, (reach, reach, reach, reach))[:1, :, : model["kernel"], : model["kernel"]]
            call("pixel", model["pixel"], crop.contiguous(), psi[:1, :, :1, :1].contiguous(), *gain)
        if "anchor" in model:
            call("anchor", model["anchor"], psi)
            call("nonanchor", model["nonanchor"], psi, y_hat)
        seen = 0
        for k, group in enumerate(model.get("groups", [])):
            given = [psi] if k == 0 else [psi, y_hat[:, :seen].contiguous()]
            count = group if isinstance(group, int) else group["channels"]
            own = y_hat[:, seen : seen + count].contiguous()
            if isinstance(group, int):
                outputs = call(f"group{k}", model["nets"][k], *given)
                if "refine" in model:
                    call(f"refine{k}", model["refine"][k], outputs[2], own)
            else:
                call(f"anchor{k}", group["anchor"], *given)
                call(f"nonanchor{k}", group["nonanchor"], *given, own)
            seen += count
    elif recipe.family == "recursive":
        (z1,) = call("h_a1", model["h_a1"], y)
        (z2,) = call("h_a2", model["h_a2"], z1)
        call("h_s2", model["h_s2"], decoded(z2))
        call("h_s1", model["h_s1"], decoded(z1))
    if recipe.synthesis is not None:
        # ssf2020's res decoder takes two latents side by side.
        wanted = first_channels(recipe.synthesis)
        alone = recipe.name == "" or wanted == y_hat.size(1)
        call("g_s", recipe.synthesis, y_hat if alone else torch.zeros(1, wanted, *y_hat.shape[2:]))
    return found
