"""Makes the part of families.json that CompressAI makes: strings of every family, by CompressAI's own compress().

    python make_families.py OUT.json          (needs CompressAI, at commit 869a9f5 when the vectors were made)

The networks are replaced by recorded answers, so that no float arithmetic of a network enters the vectors: what is left of each model is the order of its
parts, its entropy models and its coder. Each model decodes its own strings here as well.
"""
import json
import math
import struct
import sys

import compressai
import torch
from compressai import ans
from compressai.entropy_models import EntropyBottleneck, GaussianConditional, GaussianMixtureConditional
from compressai.latent_codecs import (
    ChannelGroupsLatentCodec,
    GainHyperLatentCodec,
    GainHyperpriorLatentCodec,
    GaussianConditionalLatentCodec,
    HyperLatentCodec,
    HyperpriorLatentCodec,
)
from compressai.models import (
    Cheng2020AnchorCheckerboard,
    Elic2022Official,
    FactorizedPrior,
    JointAutoregressiveHierarchicalPriors,
    MeanScaleHyperprior,
    ScaleHyperprior,
)
from compressai.models.base import get_scale_table
from compressai.models.vbr import JointAutoregressiveHierarchicalPriorsVbr, MeanScaleHyperpriorVbr, ScaleHyperpriorVbr
from torch import nn

M, N = 6, 4  # channels of y and z
Y, Z = (1, M, 8, 4), (1, N, 2, 1)
GROUPS = [1, 2, 3]
torch.manual_seed(5)


def tensor(t):
    return {"dims": list(t.shape), "f32": t.detach().contiguous().to(torch.float32).numpy().tobytes().hex()}


class Recorded(nn.Module):
    """A network that gives these answers in turn, again and again, and keeps what it was asked last."""

    def __init__(self, *answers):
        super().__init__()
        self.answers, self.asked, self.seen = answers, 0, None

    def forward(self, *inputs):
        self.seen = inputs[0]
        self.asked += 1
        return self.answers[(self.asked - 1) % len(self.answers)]


def sample_scales(*shape):
    """Log-normal around 0.5: most rows of the table that are ever used, and some below its first scale."""
    return torch.exp(torch.randn(shape) * 1.2 - 0.7)


def sample_means(*shape):
    return torch.randn(shape) * 1.5


def sample_y(scales, means):
    """Fits its parameters, but for a few elements that no row holds."""
    y = means + scales * torch.randn(scales.shape)
    flat = y.view(-1)
    flat[7], flat[40], flat[41] = 77.3, -1234.6, 3.0e5
    return y


def sample_z():
    return torch.randn(Z) * 3


def ready(module):
    """Gives factorized priors quantiles as training would, and builds all tables."""
    for m in module.modules():
        if isinstance(m, EntropyBottleneck):
            c = m.quantiles.shape[0]
            middle = torch.linspace(-0.4, 0.6, c)
            with torch.no_grad():
                m.quantiles[:, 0, :] = torch.stack([middle - 6, middle, middle + 5], 1)
            m.update(force=True)
        elif isinstance(m, GaussianConditional):
            m.update_scale_table(get_scale_table(), force=True)
    return module.eval()


def rows_of(model):
    rows = zip(model._quantized_cdf.tolist(), model._cdf_length.tolist())
    return {"offsets": model._offset.tolist(), "cdfs": [row[:length] for row, length in rows]}


def prior(eb):
    return {**rows_of(eb), "medians": eb.quantiles[:, 0, 1].tolist()}


def case(family, origin, y, latent, strings, shape, nets, **more):
    return {
        "family": family,
        "origin": origin,
        "y": tensor(y),
        "nets": {name: [{k: tensor(v) for k, v in call.items()} for call in calls] for name, calls in nets.items()},
        "shape": list(shape),
        "strings": [s.hex() for s in strings],
        "latent": tensor(latent),
        **more,
    }


def first(strings):
    """CompressAI has a list per part, of one string per image of the batch."""
    return [s[0] for s in strings]


def both(scales, means):
    return {"scales": scales, "means": means}


def joined(scales, means):
    return torch.cat([scales, means], 1)


# ---- whole models of CompressAI: x is y, because g_a does nothing, and g_s shows what it is given


def through(model, y):
    model.g_a, model.g_s = nn.Identity(), Recorded(torch.zeros(1))
    packet = model.compress(y)
    model.decompress(packet["strings"], packet["shape"])
    shape = packet["shape"]
    return first(packet["strings"]), (shape["hyper"] if isinstance(shape, dict) else shape), model.g_s.seen


def factorized():
    model = ready(FactorizedPrior(N, M))
    y = torch.randn(Y) * 3
    strings, shape, latent = through(model, y)
    return case("factorized", "FactorizedPrior", y, latent, strings, shape, {}, prior=prior(model.entropy_bottleneck))


def hyperprior(family, kind):
    model = ready(kind(N, M))
    scales = sample_scales(*Y)
    means = sample_means(*Y) if family == "mean-scale" else torch.zeros(Y)
    y, z = sample_y(scales, means), sample_z()
    found = both(scales, means) if family == "mean-scale" else {"scales": scales}
    model.h_a, model.h_s = Recorded(z), Recorded(joined(scales, means) if family == "mean-scale" else scales)
    strings, shape, latent = through(model, y)
    nets = {"h_a": [{"z": z}], "h_s": [found]}
    return case(family, kind.__name__, y, latent, strings, shape, nets, prior=prior(model.entropy_bottleneck))


def autoregressive():
    model = ready(JointAutoregressiveHierarchicalPriors(N, M))
    scales, means = sample_scales(*Y), sample_means(*Y)
    y, z, psi = sample_y(scales, means), sample_z(), torch.randn(1, 2 * M, *Y[2:])
    pixels = [(scales[:, :, h : h + 1, w : w + 1], means[:, :, h : h + 1, w : w + 1]) for h in range(Y[2]) for w in range(Y[3])]
    model.h_a, model.h_s = Recorded(z), Recorded(psi)
    model.entropy_parameters = Recorded(*(joined(*p) for p in pixels))
    strings, shape, latent = through(model, y)
    nets = {"h_a": [{"z": z}], "h_s": [{"psi": psi}], "pixel": [both(*p) for p in pixels]}
    origin = "JointAutoregressiveHierarchicalPriors"
    return case("autoregressive", origin, y, latent, strings, shape, nets, prior=prior(model.entropy_bottleneck), channels=M)


def halves(codec, scales, means):
    """The parameters of a checkerboard's two calls."""
    return [joined(s, m) for s, m in zip(codec.unembed(scales), codec.unembed(means))]


def checkerboard(parity):
    model = ready(Cheng2020AnchorCheckerboard(M))
    board, hyper = model.latent_codec["y"], model.latent_codec["hyper"]
    board.anchor_parity, board.non_anchor_parity = parity, {"odd": "even", "even": "odd"}[parity]
    scales, means = sample_scales(*Y), sample_means(*Y)
    y, z, psi = sample_y(scales, means), torch.randn(1, M, *Z[2:]) * 3, torch.randn(1, 2 * M, *Y[2:])
    hyper.h_a, hyper.h_s = Recorded(z), Recorded(psi)
    board.entropy_parameters = Recorded(*halves(board, scales, means))
    strings, shape, latent = through(model, y)
    nets = {"h_a": [{"z": z}], "h_s": [{"psi": psi}], "anchor": [both(scales, means)], "nonanchor": [both(scales, means)]}
    table = prior(hyper.entropy_bottleneck)
    return case("checkerboard", f"Cheng2020AnchorCheckerboard, {parity} anchors", y, latent, strings, shape, nets, prior=table, anchors=parity)


def elic():
    model = ready(Elic2022Official(N, M, GROUPS))
    groups, hyper = model.latent_codec["y"], model.latent_codec["hyper"]
    scales, means = sample_scales(*Y), sample_means(*Y)
    y, z, psi = sample_y(scales, means), sample_z(), torch.randn(1, 2 * N, *Y[2:])
    hyper.h_a, hyper.h_s = Recorded(z), Recorded(psi)
    nets = {"h_a": [{"z": z}], "h_s": [{"psi": psi}]}
    for k, (s, m) in enumerate(zip(scales.split(GROUPS, 1), means.split(GROUPS, 1))):
        board = groups.latent_codec[f"y{k}"]
        board.entropy_parameters = Recorded(*halves(board, s, m))
        nets[f"anchor{k}"] = nets[f"nonanchor{k}"] = [both(s, m)]
    strings, shape, latent = through(model, y)
    return case("elic", "Elic2022Official", y, latent, strings, shape, nets, prior=prior(hyper.entropy_bottleneck), groups=GROUPS)


# ---- latent codecs of CompressAI, for which it has no model


def hyper_codec(kind=HyperLatentCodec):
    z, psi = sample_z(), torch.randn(1, 2 * N, *Y[2:])
    return z, psi, kind(entropy_bottleneck=EntropyBottleneck(N), h_a=Recorded(z), h_s=Recorded(psi))


def channel_groups():
    z, psi, hyper = hyper_codec()
    scales, means = sample_scales(*Y), sample_means(*Y)
    y = sample_y(scales, means)
    parameters = list(zip(scales.split(GROUPS, 1), means.split(GROUPS, 1)))
    own = {f"y{k}": GaussianConditionalLatentCodec(entropy_parameters=Recorded(joined(*p))) for k, p in enumerate(parameters)}
    context = {f"y{k}": Recorded(psi) for k in range(1, len(GROUPS))}
    groups = ChannelGroupsLatentCodec(groups=GROUPS, channel_context=context, latent_codec=own)
    codec = ready(HyperpriorLatentCodec(latent_codec={"y": groups, "hyper": hyper}))
    packet = codec.compress(y)
    # Group by group: the whole's decompress() wants a shape that these groups' compress() does not give.
    again = [own[f"y{k}"].decompress([packet["strings"][k]], Y[2:], psi)["y_hat"] for k in range(len(GROUPS))]
    assert torch.equal(torch.cat(again, 1), packet["y_hat"])
    nets = {"h_a": [{"z": z}], "h_s": [{"psi": psi}], **{f"group{k}": [both(*p)] for k, p in enumerate(parameters)}}
    table = prior(hyper.entropy_bottleneck)
    shape = packet["shape"]["hyper"]
    return case("channel-groups", "ChannelGroupsLatentCodec", y, packet["y_hat"], first(packet["strings"]), shape, nets, prior=table, groups=GROUPS)


def gain():
    z, _, hyper = hyper_codec(GainHyperLatentCodec)
    scales, means = sample_scales(*Y), sample_means(*Y)
    hyper.h_s = Recorded(joined(scales, means))
    codec = ready(GainHyperpriorLatentCodec(latent_codec={"y": GaussianConditionalLatentCodec(), "hyper": hyper}))
    levels = {name: torch.exp(torch.randn(3, c) * 0.3) for name, c in [("gains", M), ("inverseGains", M), ("zGains", N), ("inverseZGains", N)]}
    level = 1
    at = [t[level].view(1, -1, 1, 1) for t in levels.values()]
    y = sample_y(scales, means) / at[0]
    packet = codec.compress(y, at[0], at[2], at[1], at[3])
    again = codec.decompress(packet["strings"], packet["shape"], at[1], at[3])
    assert torch.equal(again["y_hat"], packet["y_hat"])
    nets = {"h_a": [{"z": z}], "h_s": [both(scales, means)]}
    return case(
        "gain", "GainHyperpriorLatentCodec", y, packet["y_hat"], first(packet["strings"]), packet["shape"]["hyper"], nets,
        prior=prior(hyper.entropy_bottleneck), level=level, **{name: [tensor(row) for row in t] for name, t in levels.items()},
    )  # fmt: skip


# ---- entropy models of CompressAI, in the order of other people's models


def conditional(gc, y, scales, means):
    """String and dequantized values."""
    indexes = gc.build_indexes(scales)
    strings = gc.compress(y, indexes, means=means)
    return strings[0], gc.decompress(strings, indexes, means=means)


def recursive():
    """FrankenSplit's order (commit e3c2172): z2 is coded first, and the list is y, z1, z2."""
    eb, gc1, gc2 = map(ready, (EntropyBottleneck(N), GaussianConditional(None), GaussianConditional(None)))
    z2, scales1, means1 = sample_z(), sample_scales(1, N, 4, 2), sample_means(1, N, 4, 2)
    scales, means = sample_scales(*Y), sample_means(*Y)
    z1, y = means1 + scales1 * torch.randn(scales1.shape), sample_y(scales, means)
    last = eb.compress(z2)[0]
    middle, _ = conditional(gc2, z1, scales1, means1)
    string, latent = conditional(gc1, y, scales, means)
    nets = {"h_a1": [{"z1": z1}], "h_a2": [{"z2": z2}], "h_s2": [both(scales1, means1)], "h_s1": [both(scales, means)]}
    origin = "EntropyBottleneck, GaussianConditional in FrankenSplit's order"
    return case("recursive", origin, y, latent, [string, middle, last], Z[2:], nets, prior=prior(eb))


class Other(GaussianConditional):
    """Rows of another distribution, built as CompressAI builds those of the Gaussian."""

    def __init__(self, density, scales):
        super().__init__(scales)
        self.density = density

    def _standardized_cumulative(self, x):
        x = x.double()
        if self.density == "logistic":
            return torch.sigmoid(x).float()
        return torch.where(x < 0, 0.5 * torch.exp(-x.abs()), 1 - 0.5 * torch.exp(-x.abs())).float()

    def _standardized_quantile(self, p):
        return math.log(p / (1 - p)) if self.density == "logistic" else math.log(2 * p)


def other_density(density):
    scale_table = [0.11, 0.25, 0.5, 1.0, 1.7]
    eb, gc = ready(EntropyBottleneck(N)), Other(density, scale_table)
    gc.update()
    z, scales, means = sample_z(), sample_scales(*Y), sample_means(*Y)
    y = sample_y(scales, means)
    string, latent = conditional(gc, y, scales, means)
    nets = {"h_a": [{"z": z}], "h_s": [both(scales, means)]}
    origin = f"GaussianConditional with a {density} cumulative and five scales"
    more = {"prior": prior(eb), "table": rows_of(gc), "scaleTable": tensor(gc.scale_table)}
    return case(density, origin, y, latent, [string, eb.compress(z)[0]], Z[2:], nets, **more)


K, SUPPORT = 3, (-8, 8)


def row(w, m, s):
    """docs/format.md 9, for one symbol: lists of K floats. Gaussian."""
    table = get_scale_table().tolist()
    weights = [min(max(nearest(v * 256), 0), 256) for v in w]
    weights = weights if any(weights) else [1] * len(w)
    means = [min(max(nearest(v * 64), -(2**21)), 2**21) / 64 for v in m]
    scales = [table[sum(t < v for t in table[:-1])] for v in s]
    a, b = SUPPORT
    count = b - a + 1
    total, mass = sum(weights), 65535 - count
    cdf = [0]
    for k in range(1, count):
        f = 0.0
        for wk, mk, sk in zip(weights, means, scales):
            f += wk * (0.5 * math.erfc(-((a + k - 0.5 - mk) / sk) * 0.7071067811865476))
        cdf.append(k + math.floor(mass * (f / total) + 0.6180339887498949))
    return [*cdf, 65535, 65536]


def nearest(x):
    return int(round(x))  # Python rounds ties to even


def mixture():
    """CompressAI's coder with the rows of docs/format.md 9, made here from the text alone."""
    eb = ready(EntropyBottleneck(N))
    shape = (1, K * M, *Y[2:])
    weights, means, scales = torch.rand(shape), sample_means(*shape), sample_scales(*shape)
    z, y = sample_z(), torch.randn(Y) * 3
    y.view(-1)[7], y.view(-1)[40] = 77.3, -1234.6
    symbols = y.round().int().flatten().tolist()
    columns = [t.view(K, -1).double().T.tolist() for t in (weights, means, scales)]
    cdfs = [row(*found) for found in zip(*columns)]
    n = len(symbols)
    string = ans.RansEncoder().encode_with_indexes(symbols, list(range(n)), cdfs, [len(c) for c in cdfs], [SUPPORT[0]] * n)
    back = ans.RansDecoder().decode_with_indexes(string, list(range(n)), cdfs, [len(c) for c in cdfs], [SUPPORT[0]] * n)
    assert back == symbols
    nets = {"h_a": [{"z": z}], "h_s": [{"weights": weights, "means": means, "scales": scales}]}
    origin = "RansEncoder with the rows of docs/format.md 9"
    return case("mixture", origin, y, y.round(), [string, eb.compress(z)[0]], Z[2:], nets, prior=prior(eb), components=K, support=SUPPORT)


def their_mixture():
    """CompressAI's own mixture: its rows come from torch, so they travel with the vector, one per symbol."""
    gmm = GaussianMixtureConditional(K=K, scale_table=get_scale_table().tolist())
    shape = (1, K * M, *Y[2:])
    weights, means, scales = torch.rand(shape), sample_means(*shape), sample_scales(*shape)
    weights = weights.view(1, K, -1).softmax(1).view(shape)
    y = torch.randn(Y) * 2
    rows = []
    build = gmm._build_cdf
    gmm._build_cdf = lambda *a: rows.append(build(*a)) or rows[-1]
    (string, reach, bitmap), latent = gmm.compress(y, scales.clone(), means.clone(), weights.clone())
    assert bitmap.all() and len(rows) == 1
    n = latent.numel()
    # An even number of alphabet entries and no escape: the last entry is never coded.
    table = {"offsets": [-reach] * n, "cdfs": rows[0].tolist()}
    return case("their-mixture", "GaussianMixtureConditional", y, latent, [string], Y[2:], {}, table=table)


# ---- many rates, and slices that are refined


class Offsets(nn.Module):
    """QuantABCD with these answers in turn, in the form of what it is asked."""

    def __init__(self, *answers):
        super().__init__()
        self.answers, self.asked = answers, 0

    def forward(self, asked):
        self.asked += 1
        return -self.answers[(self.asked - 1) % len(self.answers)].reshape(*asked.shape[:-1], 1)


LEVEL = 5


def rated(kind):
    """A variable-rate model at one of its levels: h_s as latentwire wants it gives scales times the gain."""
    model = ready(kind(N, M))
    gain = model.Gain[LEVEL].detach()
    scales, means = sample_scales(*Y) / gain, sample_means(*Y)
    has_means = kind is not ScaleHyperpriorVbr
    y, z, offsets = sample_y(scales, means if has_means else torch.zeros(Y)), sample_z(), -0.2 * torch.rand(Y)
    model.h_a = Recorded(z)
    found = {"scales": scales * gain, **({"means": means} if has_means else {}), "offsets": offsets}
    nets = {"h_a": [{"z": z}], "h_s": [found]}
    more = {}
    if kind is JointAutoregressiveHierarchicalPriorsVbr:
        psi = torch.randn(1, 2 * M, *Y[2:])
        cut = lambda t: [t[:, :, h : h + 1, w : w + 1] for h in range(Y[2]) for w in range(Y[3])]  # noqa: E731
        model.h_s, model.QuantABCD = Recorded(psi), Offsets(*cut(offsets))
        model.entropy_parameters = Recorded(*(joined(*p) for p in zip(cut(scales), cut(means))))
        parts = zip(*(cut(found[name]) for name in ("scales", "means", "offsets")))
        nets = {**nets, "h_s": [{"psi": psi}], "pixel": [dict(zip(("scales", "means", "offsets"), part)) for part in parts]}
        more["channels"] = M
    else:
        model.h_s, model.QuantABCD = Recorded(joined(scales, means) if has_means else scales), Offsets(offsets)
    model.g_a, model.g_s = nn.Identity(), Recorded(torch.zeros(1))
    with torch.no_grad():
        packet = model.compress(y, s=LEVEL)
        model.decompress(packet["strings"], packet["shape"], s=LEVEL)
    gains = [tensor(value.reshape(1)) for value in model.Gain]
    return case(
        "variable-rate", kind.__name__, y, model.g_s.seen, first(packet["strings"]), packet["shape"], nets,
        prior=prior(model.entropy_bottleneck), level=LEVEL, gains=gains, **more,
    )  # fmt: skip


def slices():
    """TCM's order (commit 6c6d7a3) and CCA's (c7088d2): all slices in one string, each refined after it is decoded."""
    eb, gc = map(ready, (EntropyBottleneck(N), GaussianConditional(None)))
    scales, means = sample_scales(*Y), sample_means(*Y)
    z, y, psi = sample_z(), sample_y(scales, means), torch.randn(1, 2 * M, *Y[2:])
    residual = 0.5 * torch.tanh(torch.randn(Y))
    indexes, symbols = gc.build_indexes(scales), gc.quantize(y, "symbols", means)
    rows = gc.quantized_cdf.tolist(), gc.cdf_length.tolist(), gc.offset.tolist()
    encoder = ans.BufferedRansEncoder()
    listed = lambda t: [v for part in t.split(GROUPS, 1) for v in part.reshape(-1).tolist()]  # noqa: E731
    encoder.encode_with_indexes(listed(symbols), listed(indexes), *rows)
    string = encoder.flush()
    assert ans.RansDecoder().decode_with_indexes(string, listed(indexes), *rows) == listed(symbols)
    latent = symbols + means + residual
    nets = {"h_a": [{"z": z}], "h_s": [{"psi": psi}]}
    for k, (s, m, refined) in enumerate(zip(scales.split(GROUPS, 1), means.split(GROUPS, 1), latent.split(GROUPS, 1))):
        nets[f"group{k}"], nets[f"refine{k}"] = [{**both(s, m), "support": torch.zeros(1, 1, *Y[2:])}], [{"refined": refined}]
    strings = [string, eb.compress(z)[0]]
    return case("slices", "BufferedRansEncoder in TCM's order", y, latent, strings, Z[2:], nets, prior=prior(eb), groups=GROUPS)


cases = [
    factorized(),
    hyperprior("scale", ScaleHyperprior),
    hyperprior("mean-scale", MeanScaleHyperprior),
    recursive(),
    autoregressive(),
    checkerboard("even"),
    checkerboard("odd"),
    channel_groups(),
    elic(),
    gain(),
    other_density("laplace"),
    other_density("logistic"),
    mixture(),
    their_mixture(),
    rated(ScaleHyperpriorVbr),
    rated(MeanScaleHyperpriorVbr),
    rated(JointAutoregressiveHierarchicalPriorsVbr),
    slices(),
]
with open(sys.argv[1], "w") as f:
    f.write("[\n" + ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases) + "\n]\n")
print(f"{len(cases)} cases, CompressAI {compressai.__version__}")
