"""load_model: folders as compressai_export.py writes them, with callables in place of sessions.

test_cross_model.py has real networks.
"""

from pathlib import Path

import numpy as np
import pytest

import latentwire
from latentwire import CodecError, families, load_model

MEAN_SCALE = {"family": "meanScale", "model": {"h_a": "h_a.onnx", "h_s": "h_s.onnx"}, "prior": "z", "rows": "y"}
ENDS = {"g_a": "g_a.onnx", "g_s": "g_s.onnx"}


def up(z):
    return z.repeat(2, 2).repeat(2, 3)


NETWORKS = {
    "g_a": lambda x: x * 2,
    "g_s": lambda y_hat: y_hat / 2,
    "h_a": lambda y: y[:, :, ::2, ::2] / 2,
    "h_s": lambda z_hat: (np.abs(up(z_hat)) + 0.3, up(z_hat)),
}


@pytest.fixture
def folder(codec, table, tmp_path):
    """Writes a bundle with these models, and returns its folder."""

    def write(models, **meta):
        entries = [
            {"name": "z", "kind": "factorized", "table": codec.table(table)},
            {"name": "y", "kind": "gaussian", "table": codec.gaussian_table()},
        ]
        (tmp_path / "model.lwb").write_bytes(latentwire.write_bundle(entries, {"models": models, **meta}))
        return tmp_path

    return write


def test_networks_of_the_caller_by_the_names_of_their_files(codec, folder, latent):
    base = folder({"model": {**MEAN_SCALE, **ENDS}})
    model = load_model(str(base), codec=codec, networks=NETWORKS)
    assert (model.name, model.family) == ("mean_scale", families.mean_scale)
    encoded = model.encode(latent.astype(np.float64), guard=1e-5)
    assert np.array_equal(model.family.decode(codec, model.model, encoded.packet), encoded.latent)
    assert np.array_equal(model.decode(encoded.packet), encoded.latent / 2)
    own = families.HyperModel(model.bundle.factorized(codec, "z"), NETWORKS["h_s"], NETWORKS["h_a"])
    assert families.mean_scale.encode(codec, own, latent * 2, guard=1e-5).packet == encoded.packet
    strings = model.encode(latent, format="strings")
    assert np.array_equal(model.decode(strings.packet, shape=strings.shape), model.decode(encoded.packet))

    encoder = load_model(base, codec=codec, networks=NETWORKS.items(), side="encoder")
    decoder = load_model(base, codec=codec, networks=NETWORKS, side="decoder")
    assert encoder.g_s is None and decoder.g_a is None and decoder.model.h_a is None
    packet = encoder.encode(latent, guard=1e-5).packet
    assert packet == encoded.packet
    assert np.array_equal(encoder.decode(packet), encoded.latent)
    assert np.array_equal(decoder.decode(packet), encoded.latent / 2)


def test_sessions_of_a_runtime_once_for_each_file(codec, folder, latent):
    made = []

    def runtime(path, **options):
        made.append((path, options))
        return NETWORKS[Path(path).stem]

    base = folder({"model": {**MEAN_SCALE, **ENDS}})
    model = load_model(base, codec=codec, runtime=runtime, session_options={"providers": ["CPU"]})
    names = ["h_a.onnx", "h_s.onnx", "g_a.onnx", "g_s.onnx"]
    assert made == [(str(base / name), {"providers": ["CPU"]}) for name in names]
    assert len(model.decode(model.encode(latent).packet)) == 1
    mixed = load_model(base, codec=codec, runtime=runtime, networks={"g_s": lambda y_hat: -y_hat})
    assert len(made) == 7
    assert np.array_equal(mixed.decode(mixed.encode(latent).packet), -2 * model.decode(model.encode(latent).packet))

    asked = []

    def read(file):
        asked.append(file)
        return (base / file).read_bytes() if file == "model.lwb" else file.encode()

    model = load_model("anywhere", codec=codec, runtime=lambda data: NETWORKS[data.decode()[:-5]], read=read)
    assert asked == ["model.lwb", *names]
    assert len(model.decode(model.encode(latent).packet)) == 1


def test_several_models_in_a_folder(codec, folder, latent):
    names = ["img", "motion"]
    parts = {one: {**MEAN_SCALE, "model": {n: f"{one}.{n}.onnx" for n in ("h_a", "h_s")}} for one in names}
    base = folder(parts)
    for part in (None, "res"):
        with pytest.raises(ValueError, match="part must be one of img, motion"):
            load_model(base, codec=codec, networks=NETWORKS, part=part)
    nets = {name: NETWORKS[name] for name in ("h_a", "h_s")}
    model = load_model(base, codec=codec, networks=nets, part="motion")
    encoded = model.encode(latent)
    assert np.array_equal(model.decode(encoded.packet), encoded.latent), "without g_a and g_s: y"


def test_fields_of_every_family_reach_its_model(codec, folder):
    hyper = {"h_a": "h_a.onnx", "h_s": "h_s.onnx"}
    nets = {name: object() for name in ("h_a", "h_s", "a", "b")}

    def use(described, given=nets, **more):
        base = folder({"model": {"prior": "z", "rows": "y", **described}})
        return load_model(base, codec=codec, networks=given, **more).model

    elic = use(
        {
            "family": "elic",
            "model": {
                **hyper,
                "groups": [{"channels": 4, "anchor": "a.onnx", "nonanchor": "b.onnx"}],
                "anchors": "odd",
            },
        }
    )
    assert elic == families.ElicModel(
        elic.prior,
        nets["h_s"],
        nets["h_a"],
        elic.table,
        groups=[families.ElicGroup(4, nets["a"], nets["b"])],
        anchors="odd",
    )
    slices = use(
        {
            "family": "channelGroups",
            "model": {**hyper, "groups": [4], "nets": ["a.onnx"], "refine": ["b.onnx"], "oneString": True},
        }
    )
    assert slices.one_string and slices.nets == [nets["a"]] and slices.refine == [nets["b"]] and slices.groups == [4]
    pixels = use(
        {"family": "autoregressive", "model": {**hyper, "pixel": "a.onnx", "channels": 4, "kernel": 7}},
        {name: nets[name] for name in ("h_a", "h_s", "a")},
    )
    assert (pixels.pixel, pixels.channels, pixels.kernel) == (nets["a"], 4, 7)
    two = {name: nets[name] for name in ("h_a", "h_s")}
    rated = use({"family": "variableRate", "prior": ["z", "z"], "model": {**hyper, "gains": [1, 2]}}, two)
    assert rated.gains == [1, 2] and len(rated.prior) == 2 and rated.table is not None
    gained = use({"family": "gain", "model": hyper}, two, model={"gains": [[1.0]], "inverse_gains": [[1.0]]})
    assert gained.gains == [[1.0]] and gained.inverse_gains == [[1.0]]
    with pytest.raises(TypeError, match="model has the field 'gain'; GainModel has prior, .*gains"):
        use({"family": "gain", "model": hyper}, two, model={"gain": [[1.0]]})
    mixed = use({"family": "mixture", "model": {**hyper, "components": 3, "support": [-20, 20]}}, two)
    assert (mixed.components, mixed.support) == (3, [-20, 20])
    own = codec.laplace_table()
    laplace = use({**MEAN_SCALE, "model": hyper}, two, model={"table": own})
    assert laplace.table is own and laplace.scale_table is None


def test_a_network_that_names_its_inputs_and_outputs(codec, table, latent):
    """As those of compressai_families.py: refine of TCM wants two of four inputs, and h_s gives what it has."""

    class Network:
        def __init__(self, inputs, outputs, compute):
            self.inputs, self.outputs, self.compute = inputs, outputs, compute

        def __call__(self, *tensors):
            assert len(tensors) == len(self.inputs)
            return self.compute(*tensors)

    scales = np.full_like(latent, 0.7)
    slices = families.ChannelGroupsModel(
        codec.factorized(table),
        Network(("z_hat",), ("psi",), lambda z_hat: (up(z_hat),)),
        Network(("y",), ("z",), lambda y: (y[:, :, ::2, ::2],)),
        groups=[4],
        nets=[Network(("psi",), ("means", "scales", "support"), lambda psi: (psi, scales, psi))],
        refine=[Network(("support", "y_group"), ("refined",), lambda support, group: (group + support,))],
    )
    encoded = families.channel_groups.encode(codec, slices, latent)
    assert np.array_equal(families.channel_groups.decode(codec, slices, encoded.packet), encoded.latent)
    # Named outputs, and fewer than the family might use.
    h_s = Network(("gain", "z_hat"), ("scales", "offsets"), lambda gain, z_hat: (scales * gain, scales * -0.1))
    rated = families.VariableRateModel(slices.prior, [0.5, 2], h_s, slices.h_a)
    encoded = families.variable_rate.encode(codec, rated, latent, level=1)
    assert np.abs(encoded.latent - latent).max() < 0.26 + 0.05
    wrong = families.VariableRateModel(slices.prior, [1], Network(("psi", "gain"), ("scales",), None), slices.h_a)
    with pytest.raises(CodecError, match='h_s: its input "psi" is none of "z_hat", "gain"'):
        families.variable_rate.encode(codec, wrong, latent, level=0)
    fewer = families.ChannelGroupsModel(slices.prior, slices.h_s, slices.h_a, groups=[2, 2], nets=[])
    with pytest.raises(CodecError, match=r"nets\[0\]: it is neither"):
        families.channel_groups.encode(codec, fewer, latent)


def test_what_is_wrong_is_said(codec, folder):
    good = folder({"model": {**MEAN_SCALE, **ENDS}})
    for error, options, message in (
        (TypeError, {"codec": None}, "codec must be"),
        (TypeError, {"networks": None}, "runtime must be given, or networks"),
        (TypeError, {"runtime": 3}, "runtime must be an ONNX runtime"),
        (TypeError, {"networks": {"h_a": 1}}, "networks has no 'h_s': add it, or give runtime"),
        (
            ValueError,
            {"networks": {**NETWORKS, "pixel": 1}},
            "networks has 'pixel'; this model calls g_a, g_s, h_a, h_s",
        ),
        (ValueError, {"side": "both"}, "side must be"),
        (ValueError, {"part": "img"}, "part must be one of model"),
        (FileNotFoundError, {"folder": good / "none"}, "model.lwb"),
    ):
        given = {"folder": good, "codec": codec, "networks": NETWORKS, **options}
        with pytest.raises(error, match=message):
            load_model(given.pop("folder"), **given)

    def fails(message, described, **options):
        base = folder({"model": described} if described is not None else 3)
        with pytest.raises(CodecError, match=message) as found:
            load_model(base, codec=codec, **{"networks": NETWORKS, **options})
        assert found.value.code == "MODEL"

    with_model = lambda **fields: {**MEAN_SCALE, "model": fields}  # noqa: E731
    fails("describes no model", None)
    for broken in (None, 7, {}, {**MEAN_SCALE, "prior": 1}, {**MEAN_SCALE, "prior": [1]}, {**MEAN_SCALE, "family": 1}):
        fails("describes no model|no family, no model or no prior", broken)
    fails("g_a that is no name", {**MEAN_SCALE, "g_a": 3})
    fails("rows that is no name", {**MEAN_SCALE, "rows": {}})
    for family in ("constructor", "HyperModel", "context", "__doc__"):
        fails("is none of autoregressive", {**MEAN_SCALE, "family": family})
    for file in ("../h_a.onnx", "/h_a.onnx", "a/b.onnx", ".onnx", "ä.onnx", "h_a.onnx\n.onnx"):
        fails("no name of a network", with_model(h_a=file))
    fails("other is no field of HyperModel", with_model(other=1))
    for family, fields in (
        ("autoregressive", {"channels": 0}),
        ("autoregressive", {"channels": 1e300}),
        ("autoregressive", {"kernel": [5]}),
        ("channelGroups", {"groups": [1, -1]}),
        ("channelGroups", {"groups": 5}),
        ("channelGroups", {"nets": [None]}),
        ("elic", {}),
        ("elic", {"groups": [3]}),
        ("checkerboard", {"anchors": 1}),
        ("mixture", {"support": [None, 1]}),
        ("mixture", {"components": True}),
    ):
        fails(
            "is not what it has to be|is no list|has to be described", {**MEAN_SCALE, "family": family, "model": fields}
        )

    def broken(path):
        raise RuntimeError("no such format")

    fails("h_a.onnx: no such format", MEAN_SCALE, runtime=broken, networks=None)
    model = load_model(folder({"model": with_model()}), codec=codec, runtime=broken)
    with pytest.raises(CodecError, match="h_a: it is neither a module"):
        model.encode(np.zeros((1, 4, 4, 4), np.float32))
