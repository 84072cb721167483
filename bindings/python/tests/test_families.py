"""Families: the recorded networks of test/vectors/families.json, and callables of every kind."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from latentwire import CodecError, families
from latentwire.families import HyperModel, mean_scale


def array_of(found):
    return np.frombuffer(bytes.fromhex(found["f32"]), "<f4").reshape(found["dims"])


def recorded(calls):
    """A network that gives its answers in turn, over and over."""
    answers = [{name: array_of(found) for name, found in call.items()} for call in calls]
    asked = 0

    def run(*_):
        nonlocal asked
        asked += 1
        return answers[(asked - 1) % len(answers)]

    return run


def model_of(codec, case):
    """The family and the model of a case, whose networks begin with their first answers."""
    nets = {name: recorded(calls) for name, calls in case["nets"].items()}
    kind, prior = case["family"], codec.factorized(case["prior"])
    hyper = {"prior": prior, "h_a": nets.get("h_a"), "h_s": nets.get("h_s")}
    if kind == "factorized":
        return families.factorized, families.FactorizedModel(prior)
    if kind in ("scale", "mean-scale"):
        return (families.scale if kind == "scale" else mean_scale), HyperModel(**hyper)
    if kind in ("laplace", "logistic"):
        return mean_scale, HyperModel(
            **hyper, table=case["table"], scale_table=array_of(case["scaleTable"]).reshape(-1)
        )
    if kind == "recursive":
        return families.recursive, families.RecursiveModel(prior, **nets)
    if kind == "autoregressive":
        model = families.AutoregressiveModel(**hyper, pixel=nets["pixel"], channels=case["channels"])
        return families.autoregressive, model
    if kind == "checkerboard":
        anchors = case.get("anchors", "even")
        model = families.CheckerboardModel(**hyper, anchor=nets["anchor"], nonanchor=nets["nonanchor"], anchors=anchors)
        return families.checkerboard, model
    if kind == "channel-groups":
        own = [nets[f"group{k}"] for k in range(len(case["groups"]))]
        return families.channel_groups, families.ChannelGroupsModel(**hyper, groups=case["groups"], nets=own)
    if kind == "elic":
        groups = [
            families.ElicGroup(channels, nets[f"anchor{k}"], nets[f"nonanchor{k}"])
            for k, channels in enumerate(case["groups"])
        ]
        return families.elic, families.ElicModel(**hyper, groups=groups)
    if kind == "gain":
        names = {
            "gains": "gains",
            "inverse_gains": "inverseGains",
            "z_gains": "zGains",
            "inverse_z_gains": "inverseZGains",
        }
        factors = {name: [array_of(row) for row in case[key]] for name, key in names.items()}
        return families.gain, families.GainModel(**hyper, **factors)
    if kind == "slices":
        each = lambda name: [nets[f"{name}{k}"] for k in range(len(case["groups"]))]  # noqa: E731
        model = families.ChannelGroupsModel(
            **hyper, groups=case["groups"], nets=each("group"), refine=each("refine"), one_string=True
        )
        return families.channel_groups, model
    if kind == "variable-rate":
        more = {"pixel": nets["pixel"], "channels": case["channels"]} if "pixel" in nets else {}
        gains = [float(array_of(gain)[0]) for gain in case["gains"]]
        return families.variable_rate, families.VariableRateModel(**hyper, gains=gains, **more)
    assert kind == "mixture"
    return families.mixture, families.MixtureModel(**hyper, components=case["components"], support=case["support"])


def test_every_family_writes_the_packets_of_javascript_and_the_strings_of_compressai(codec, vectors):
    seen = set()
    for case in json.loads((vectors / "families.json").read_text()):
        name = f"{case['family']}, {case['origin']}"
        # Not a family: strings with rows that the caller gives.
        if case["family"] == "their-mixture":
            continue
        y, latent = array_of(case["y"]), array_of(case["latent"])
        level = {"level": case["level"]} if "level" in case else {}

        family, model = model_of(codec, case)
        encoded = family.encode(codec, model, y, lanes=1, **level)
        assert np.array_equal(encoded.latent, latent), name
        assert list(encoded.shape) == case["shape"]
        if "packet" in case:
            assert encoded.packet == bytes.fromhex(case["packet"]), name
        family, model = model_of(codec, case)
        found = family.decode(codec, model, encoded.packet)
        assert found.flags.c_contiguous and np.array_equal(found, latent), name

        family, model = model_of(codec, case)
        compact = family.encode(
            codec, model, y, header="compact", guard=1e-5 if case["family"] != "mixture" else None, **level
        )
        family, model = model_of(codec, case)
        assert np.array_equal(
            family.decode(codec, model, compact.packet, header="compact", shape=encoded.shape), latent
        ), name
        if case["strings"]:
            strings = [bytes.fromhex(string) for string in case["strings"]]
            family, model = model_of(codec, case)
            assert family.encode(codec, model, y, format="strings", **level).packet == strings, name
            family, model = model_of(codec, case)
            assert np.array_equal(family.decode(codec, model, strings, shape=case["shape"], **level), latent), name
        seen.add(case["family"])
    assert len(seen) >= 13


@pytest.fixture
def hyper(codec, table, latent):
    """A mean-scale model of callables, and its y."""

    def h_a(y):
        return y[:, :, ::2, ::2] / 2

    def h_s(z_hat):
        up = z_hat.repeat(2, 2).repeat(2, 3)
        return np.concatenate([np.abs(up) + 0.3, up], 1)

    return HyperModel(codec.factorized(table), h_s, h_a), latent


def test_outputs_in_every_form(codec, hyper):
    model, y = hyper
    expected = mean_scale.encode(codec, model, y)
    assert np.array_equal(mean_scale.decode(codec, model, expected.packet), expected.latent)

    def halves(z_hat):
        both = model.h_s(z_hat)
        return both[:, :4], both[:, 4:]

    for h_s in (
        halves,
        lambda z_hat: list(halves(z_hat)),
        lambda z_hat: dict(zip(("means", "scales"), reversed(halves(z_hat)))),
        lambda z_hat: model.h_s(z_hat).astype(np.float64),
    ):
        other = SimpleNamespace(prior=model.prior, h_s=h_s, h_a=None)
        assert np.array_equal(mean_scale.decode(codec, other, expected.packet), expected.latent)


def test_a_session_of_onnxruntime(codec, hyper):
    model, y = hyper
    expected = mean_scale.encode(codec, model, y)

    class Session:
        """As onnxruntime.InferenceSession."""

        def __init__(self, inputs, outputs, run):
            self.own, self.names, self.compute = inputs, outputs, run

        def get_inputs(self):
            return [SimpleNamespace(name=name, type="tensor(float)") for name in self.own]

        def get_outputs(self):
            return [SimpleNamespace(name=name) for name in self.names]

        def run(self, names, feeds):
            assert list(feeds) == self.own and all(feed.flags.c_contiguous for feed in feeds.values())
            found = dict(zip(self.names, self.compute(*feeds.values())))
            return [found[name] for name in names]

    h_a = Session(["y"], ["out"], lambda y: [model.h_a(y)])
    two = Session(["input"], ["means", "scales"], lambda z: [model.h_s(z)[:, 4:], model.h_s(z)[:, :4]])
    one = Session(["z_hat"], ["joint"], lambda z: [model.h_s(z)])
    for h_s in (one, two):
        other = HyperModel(model.prior, h_s, h_a)
        assert mean_scale.encode(codec, other, y).packet == expected.packet
        assert np.array_equal(mean_scale.decode(codec, other, expected.packet), expected.latent)
    wrong = HyperModel(model.prior, Session(["z_hat"], ["a", "b"], None), h_a)
    with pytest.raises(CodecError, match='no output "scales"') as found:
        mean_scale.encode(codec, wrong, y)
    assert found.value.code == "MODEL"


def test_what_is_refused(codec, hyper):
    model, y = hyper
    packet = mean_scale.encode(codec, model, y).packet
    prior, h_s = model.prior, model.h_s
    for other, code in (
        (HyperModel(prior, None), "MODEL"),
        (HyperModel(prior, lambda z: h_s(z)[:, :7]), "MODEL"),
        (HyperModel(prior, lambda z: (h_s(z),)), "MODEL"),
        (HyperModel(prior, lambda z: {"scales": h_s(z)}), "MODEL"),
        (HyperModel(prior, lambda z: (h_s(z).astype(int),) * 2), "MODEL"),
        (HyperModel(prior, lambda z: h_s(z)[..., :-1]), "SHAPE_MISMATCH"),
    ):
        with pytest.raises(CodecError) as found:
            mean_scale.decode(codec, other, packet)
        assert found.value.code in (code, "MODEL")
    with pytest.raises(CodecError) as found:
        mean_scale.encode(codec, HyperModel(prior, h_s), y)
    assert found.value.code == "MODEL"
    with pytest.raises(CodecError, match="one image each"):
        mean_scale.encode(codec, model, np.tile(y, (2, 1, 1, 1)), format="strings")
    with pytest.raises(TypeError, match="shape must be given"):
        mean_scale.decode(codec, model, [packet, packet])
    with pytest.raises(TypeError, match="level"):
        mean_scale.encode(codec, model, y, level=1)
    for damaged in (b"", packet[:40], packet[:-1]):
        with pytest.raises(CodecError):
            mean_scale.decode(codec, model, damaged)
    assert np.array_equal(mean_scale.decode(codec, model, packet), mean_scale.encode(codec, model, y).latent)


def test_torch_modules(codec, table, latent):
    torch = pytest.importorskip("torch")
    torch.manual_seed(1)
    h_a = torch.nn.Conv2d(4, 4, 2, 2)
    h_s = torch.nn.ConvTranspose2d(4, 8, 2, 2)
    model = HyperModel(codec.factorized(table), h_s, h_a)
    y = torch.tensor(latent, requires_grad=True)
    encoded = mean_scale.encode(codec, model, y, guard=1e-5)
    assert np.array_equal(mean_scale.decode(codec, model, encoded.packet), encoded.latent)
    function = families.on_torch(lambda z_hat: h_s(z_hat).chunk(2, 1))
    other = HyperModel(codec.factorized(table), function)
    assert np.array_equal(mean_scale.decode(codec, other, encoded.packet), encoded.latent)
    assert codec.encode(y.to(torch.bfloat16), model.prior) == codec.encode(y.to(torch.bfloat16).float(), model.prior)
