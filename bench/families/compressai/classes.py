"""The models of the table in docs/families.md: CompressAI's classes, TCM and CCA at their real sizes, with random weights that are calibrated.

Random weights give latents and scales near 0. So a 1x1 depthwise convolution behind g_a, h_a and each network of scales and means sets the
spread of every channel: y 0.5 to 6, z 2 to 5, scales 0.2 to 10 with a spread of 40 %, means 0.1 to 1.
"""

import math
import os
import sys

import torch
import torch.nn as nn

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "tables"))
from compressai_families import latent_codec_of, recipes_of, samples_of  # noqa: E402

GROUPS = [16, 16, 32, 64, 192]
LEVELS = [0.5, 1.0, 2.0]


def google(name, *sizes, **settings):
    def make():
        import compressai.models as models
        import compressai.models.vbr as vbr

        return getattr(models, name, None) or getattr(vbr, name)

    return lambda: make()(*sizes, **settings)


def ssf():
    from compressai.models.video import ScaleSpaceFlow

    return ScaleSpaceFlow()


def public(folder, module, name):
    """A model of another repository, whose folder is in the environment."""

    def make():
        path = os.environ.get(folder)
        if path is None:
            raise SystemExit(f"set {folder} to the folder of the repository that has {module}")
        sys.path.insert(0, path)
        return getattr(__import__(module, fromlist=[name]), name)()

    return make


def hyper_networks(N, M, out):
    from compressai.models.utils import conv, deconv

    h_a = nn.Sequential(conv(M, N, stride=1, kernel_size=3), nn.LeakyReLU(), conv(N, N), nn.LeakyReLU(), conv(N, N))
    h_s = nn.Sequential(deconv(N, M), nn.LeakyReLU(), deconv(M, M * 3 // 2), nn.LeakyReLU(), conv(M * 3 // 2, out, stride=1, kernel_size=3))
    return h_a, h_s


def around(codec_of, N=192, M=320):
    """A model with g_a and g_s of FactorizedPrior around a latent codec."""

    def make():
        from compressai.models import FactorizedPrior, SimpleVAECompressionModel

        class Model(SimpleVAECompressionModel):
            def __init__(self):
                super().__init__()
                ends = FactorizedPrior(N, M)
                self.g_a, self.g_s, self.latent_codec = ends.g_a, ends.g_s, codec_of(N, M)

        return Model()

    return make


def hyperprior(N, M, inner, out, gain=False):
    from compressai.entropy_models import EntropyBottleneck
    from compressai.latent_codecs import GainHyperLatentCodec, GainHyperpriorLatentCodec, HyperLatentCodec, HyperpriorLatentCodec

    h_a, h_s = hyper_networks(N, M, out)
    kinds = (GainHyperLatentCodec, GainHyperpriorLatentCodec) if gain else (HyperLatentCodec, HyperpriorLatentCodec)
    hyper = kinds[0](entropy_bottleneck=EntropyBottleneck(N), h_a=h_a, h_s=h_s)
    return kinds[1](latent_codec={"y": inner, "hyper": hyper})


def parameters_network(inputs, outputs):
    return nn.Sequential(nn.Conv2d(inputs, 640, 1), nn.LeakyReLU(), nn.Conv2d(640, 512, 1), nn.LeakyReLU(), nn.Conv2d(512, outputs, 1))


def gaussian_codec(N, M, gain=False):
    from compressai.latent_codecs import GaussianConditionalLatentCodec

    return hyperprior(N, M, GaussianConditionalLatentCodec(), 2 * M, gain)


def raster_codec(N, M):
    from compressai.entropy_models import GaussianConditional
    from compressai.latent_codecs import RasterScanLatentCodec
    from compressai.layers import MaskedConv2d

    context = MaskedConv2d(M, 2 * M, kernel_size=5, padding=2, stride=1)
    return hyperprior(N, M, RasterScanLatentCodec(GaussianConditional(None), parameters_network(4 * M, 2 * M), context), 2 * M)


def group_codec(N, M):
    from compressai.latent_codecs import ChannelGroupsLatentCodec, GaussianConditionalLatentCodec

    context = {f"y{k}": nn.Conv2d(sum(GROUPS[:k]), 2 * GROUPS[k], 5, padding=2) for k in range(1, len(GROUPS))}
    inner = {
        f"y{k}": GaussianConditionalLatentCodec(entropy_parameters=parameters_network(2 * M + (k > 0) * 2 * count, 2 * count))
        for k, count in enumerate(GROUPS)
    }
    return hyperprior(N, M, ChannelGroupsLatentCodec(inner, context, groups=GROUPS), 2 * M)


def recursive(N=192, M=320):
    """What FrankenSplit's RecursiveMeanScaleHyperprior consists of, with CompressAI's layers."""
    from compressai.entropy_models import EntropyBottleneck, GaussianConditional
    from compressai.models import CompressionModel, FactorizedPrior
    from compressai.models.utils import conv, deconv

    class Recursive(CompressionModel):
        def __init__(self):
            super().__init__()
            ends = FactorizedPrior(N, M)
            self.g_a, self.g_s = ends.g_a, ends.g_s
            self.h_a, self.h_s = hyper_networks(N, M, 2 * M)
            self.h_a_2 = nn.Sequential(conv(N, N, stride=1, kernel_size=3), nn.LeakyReLU(), conv(N, N))
            self.h_s_2 = nn.Sequential(deconv(N, N), nn.LeakyReLU(), conv(N, 2 * N, stride=1, kernel_size=3))
            self.entropy_bottleneck = EntropyBottleneck(N)
            self.gaussian_conditional = GaussianConditional(None)
            self.gaussian_conditional_2 = GaussianConditional(None)

        def compress(self, x):
            y = self.g_a(x)
            z1 = self.h_a(y)
            z2 = self.h_a_2(z1)
            z2_strings = self.entropy_bottleneck.compress(z2)
            scales, means = self.h_s_2(self.entropy_bottleneck.decompress(z2_strings, z2.shape[-2:])).chunk(2, 1)
            indexes = self.gaussian_conditional_2.build_indexes(scales)
            z1_strings = self.gaussian_conditional_2.compress(z1, indexes, means=means)
            z1_hat = self.gaussian_conditional_2.decompress(z1_strings, indexes, means=means)
            scales, means = self.h_s(z1_hat).chunk(2, 1)
            y_strings = self.gaussian_conditional.compress(y, self.gaussian_conditional.build_indexes(scales), means=means)
            return {"strings": [y_strings, z1_strings, z2_strings], "shape": z2.shape[-2:]}

    return Recursive()


# name: how it is made, its sizes in words, level of a model with many rates, smallest side of an image
MODELS = {
    "FactorizedPrior": (google("FactorizedPrior", 192, 320), "N 192, M 320", None, 64),
    "FactorizedPriorReLU": (google("FactorizedPriorReLU", 192, 320), "N 192, M 320", None, 64),
    "ScaleHyperprior": (google("ScaleHyperprior", 192, 320), "N 192, M 320", None, 64),
    "MeanScaleHyperprior": (google("MeanScaleHyperprior", 192, 320), "N 192, M 320", None, 64),
    "MeanScaleHyperprior, N 64": (google("MeanScaleHyperprior", 64, 96), "N 64, M 96", None, 64),
    "HyperpriorLatentCodec": (around(gaussian_codec), "N 192, M 320", None, 64),
    "JointAutoregressiveHierarchicalPriors": (google("JointAutoregressiveHierarchicalPriors", 192, 320), "N 192, M 320", None, 64),
    "Cheng2020Anchor": (google("Cheng2020Anchor", 192), "N 192", None, 64),
    "Cheng2020Attention": (google("Cheng2020Attention", 192), "N 192", None, 64),
    "RasterScanLatentCodec": (around(raster_codec), "N 192, M 320", None, 64),
    "Cheng2020AnchorCheckerboard": (google("Cheng2020AnchorCheckerboard", 192), "N 192", None, 64),
    "ChannelGroupsLatentCodec": (around(group_codec), "N 192, M 320, 5 groups", None, 64),
    "Elic2022Official": (google("Elic2022Official", 192, 320), "N 192, M 320, 5 groups", None, 64),
    "Elic2022Chandelier": (google("Elic2022Chandelier", 192, 320), "N 192, M 320, 5 groups", None, 64),
    "GainHyperpriorLatentCodec": (around(lambda N, M: gaussian_codec(N, M, True)), "N 192, M 320, 3 levels", 1, 64),
    "ScaleHyperpriorVbr": (google("ScaleHyperpriorVbr", 192, 320), "N 192, M 320, 8 levels", 5, 64),
    "ScaleHyperpriorVbr, EntropyBottleneckVbr": (google("ScaleHyperpriorVbr", 192, 320, vr_entbttlnck=True), "N 192, M 320, 8 levels", 5, 64),
    "MeanScaleHyperpriorVbr": (google("MeanScaleHyperpriorVbr", 192, 320), "N 192, M 320, 8 levels", 5, 64),
    "JointAutoregressiveHierarchicalPriorsVbr": (google("JointAutoregressiveHierarchicalPriorsVbr", 192, 320), "N 192, M 320, 8 levels", 5, 64),
    "ScaleSpaceFlow (ssf2020), key frame": (ssf, "N 128, M 192", None, 128),
    "recursive, as FrankenSplit's": (recursive, "N 192, M 320", None, 128),
    "TCM": (public("TCM", "models.tcm", "TCM"), "N 128, M 320, 5 slices", None, 256),
    "CCA": (public("CCA", "models.vae", "LICAutoencoder"), "M 320, 5 slices", None, 64),
}


def make(name):
    return MODELS[name][0]().eval()


# ---- calibration


class Spread:
    """Random targets of a channel, always the same."""

    def __init__(self):
        self.random = torch.Generator().manual_seed(7)

    def between(self, count, low, high):
        return torch.exp(torch.empty(count).uniform_(math.log(low), math.log(high), generator=self.random))

    def latents(self, count, low, high):
        return torch.zeros(count), self.between(count, low, high)

    def scales(self, count):
        centre = self.between(count, 0.2, 10)
        return centre, 0.4 * centre

    def means(self, count):
        return torch.zeros(count), self.between(count, 0.1, 1)

    def parameters(self, count, order):
        each = count // len(order)
        halves = [self.scales(each) if name == "scales" else self.means(each) for name in order]
        return torch.cat([centre for centre, _ in halves]), torch.cat([spread for _, spread in halves])


def replace(model, module, other):
    """Puts `other` wherever the model has `module`."""
    for parent in list(model.modules()):
        for key, value in list(parent._modules.items()):
            if value is module:
                parent._modules[key] = other


def behind(model, module, outputs, targets):
    """Sets mean and deviation of the channels that `module` gave as `outputs`."""
    centre, spread = targets
    mean, deviation = outputs.mean((0, 2, 3)), outputs.std((0, 2, 3)).clamp(min=1e-12)
    affine = nn.Conv2d(len(centre), len(centre), 1, groups=len(centre))
    affine.weight.data = (spread / deviation).reshape(-1, 1, 1, 1)
    affine.bias.data = centre - mean * spread / deviation
    replace(model, module, nn.Sequential(module, affine))


def output_of(module, run):
    """What `module` gives while `run` runs."""
    found = []
    hook = module.register_forward_hook(lambda _, args, output: found.append(output))
    try:
        run()
    finally:
        hook.remove()
    return found[-1]


@torch.no_grad()
def calibrate(model, image):
    spread = Spread()
    for part in [recipe.name for recipe in recipes_of(model)]:
        recipe = lambda: next(one for one in recipes_of(model) if one.name == part)  # noqa: E731
        seen = image.repeat(1, 2, 1, 1) if part == "motion" else image

        def latent(network, source, low, high):
            module = network.parts[0]
            outputs = module(source)
            behind(model, module, outputs, spread.latents(outputs.size(1), low, high))

        latent(recipe().analysis, seen, 0.5, 6)
        family = recipe().family
        if family == "factorized":
            continue
        net = lambda name: dict(recipe().networks())[name]  # noqa: E731
        samples = lambda: samples_of(recipe(), seen)  # noqa: E731
        for name in ("h_a1", "h_a2") if family == "recursive" else ("h_a",):
            source = samples()[name][0]
            latent(net(name), source.abs() if is_absolute(model) else source, 2, 5)
        for module, run, order in targets(model, recipe, net, samples):
            outputs = output_of(module, run)
            behind(model, module, outputs, spread.parameters(outputs.size(1), order))
    model.update(force=True)
    return model


def is_absolute(model):
    from compressai.models import MeanScaleHyperprior, ScaleHyperprior

    return isinstance(model, ScaleHyperprior) and not isinstance(model, MeanScaleHyperprior)


BOTH = ("scales", "means")


def targets(model, recipe, net, samples):
    """Modules that give scales and means, one after the other: each is calibrated before the next is run."""
    family = recipe().family
    codec = latent_codec_of(model)
    run = lambda name: lambda: net(name)(*samples()[name])  # noqa: E731
    if "pixel" in recipe().model:
        holder = model if codec is None else codec.latent_codec["y"]

        def whole():
            given = samples()
            y, (psi,) = given["g_a"][0], net("h_s")(*given["h_s"][:1])
            y_hat = torch.round(recipe().analysis(y)[0])
            holder.entropy_parameters(torch.cat((psi, holder.context_prediction(y_hat)), 1))

        yield holder.entropy_parameters, whole, BOTH
    elif family in ("checkerboard", "elic"):
        inner = codec.latent_codec["y"]
        for k, one in enumerate([inner] if family == "checkerboard" else inner.latent_codec.values()):
            order = getattr(one.latent_codec["y"], "chunks", BOTH)
            yield one.entropy_parameters, run("nonanchor" if family == "checkerboard" else f"nonanchor{k}"), order
    elif codec is not None and family == "channelGroups":
        for k, one in enumerate(codec.latent_codec["y"].latent_codec.values()):
            yield one.entropy_parameters, run(f"group{k}"), BOTH
    elif family == "channelGroups":
        tcm, cca = ("cc_scale_transforms", "cc_mean_transforms"), ("scale_cc_transforms", "mean_cc_transforms")
        names = tcm if hasattr(model, tcm[0]) else cca
        for k in range(len(recipe().model["nets"])):
            for name, order in zip(names, BOTH):
                yield getattr(model, name)[k], run(f"group{k}"), (order,)
    elif family == "recursive":
        yield model.h_s_2, run("h_s2"), BOTH
        yield model.h_s, run("h_s1"), BOTH
    elif recipe().name:
        for module, order in zip(net("h_s").parts, BOTH):
            yield module, run("h_s"), (order,)
    else:
        module = net("h_s").parts[0]
        both = family != "scale" and not is_absolute(model)
        yield module, run("h_s"), BOTH if both else ("scales",)
