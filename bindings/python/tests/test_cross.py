"""The packets of the JavaScript package:

the same bytes, the same elements, the same errors. test/python.test.ts runs this.
"""

import base64
import json
import os
import re
import zlib
from pathlib import Path

import numpy as np
import pytest

import latentwire
from latentwire import CodecError, families
from latentwire.packet_file import open_packet_file


def value_of(found):
    """A value of the JSON file, with arrays as numpy has them."""
    if isinstance(found, list):
        return [value_of(item) for item in found]
    if not isinstance(found, dict):
        return found
    if "array" in found:
        array = np.frombuffer(base64.b64decode(found["array"]), found["type"])
        return array.reshape(found["dims"]) if "dims" in found else array
    return {key: value_of(item) for key, item in found.items()}


def snake(name):
    name = re.sub("latentwire/([a-z-]+)", lambda match: f"latentwire.{match[1].replace('-', '_')}", name)
    return re.sub("([a-z])([A-Z])", lambda match: f"{match[1]}_{match[2].lower()}", name)


def options_of(options):
    """Options under their Python names."""
    named = {snake(name): value_of(value) for name, value in options.items()}
    if named.get("lanes") == "auto":
        del named["lanes"]
    return {("shape" if name == "dims" else name): value for name, value in named.items()}


def prior_of(codec, note):
    first, *rest = [value_of(argument) for argument in note["args"]]
    if note["call"] == "mixture":
        return codec.mixture(**first, **options_of(note["args"][1]))
    options = options_of(note["args"][-1]) if len(note["args"]) > (2 if note["call"] == "indexed" else 1) else {}
    if "over" in options:
        options["over"] = prior_of(codec, note["args"][-1]["over"])
    rows = [rest[0]] if note["call"] == "indexed" else []
    parameters = first.tobytes() if isinstance(first, np.ndarray) and first.dtype == np.uint8 else first
    return getattr(codec, note["call"])(parameters, *rows, **options)


def write(codec, parts, priors, options):
    if len(parts) == 1 and not {"guard", "index_checks"} & set(options):
        return codec.encode(parts[0]["latent"], priors[0], **options)
    with codec.writer(**options) as writer:
        for i, (part, prior) in enumerate(zip(parts, priors)):
            found = writer.write(part["latent"], prior, dequantize=i % 2 == 0)
            assert found is None if i % 2 else np.array_equal(found, part["values"])
        return writer.finish()


def read(codec, packet, parts, priors, options):
    how = {name: options[name] for name in ("header", "checksum") if name in options}
    compact = how.get("header", "packet") != "packet"
    if len(parts) == 1:
        stream = {"stream": options["stream"]} if "stream" in options else {}
        shape = {"shape": parts[0]["values"].shape} if compact else {}
        return [codec.decode(packet, priors[0], **how, **stream, **shape)]
    with codec.reader(packet, **how) as reader:
        found = [
            reader.read(prior, shape=part["values"].shape if compact or prior.kind == "indexed" else None)
            for part, prior in zip(parts, priors)
        ]
        reader.finish()
        return found


def test_packets(codec, cases):
    written = []
    for message in cases["messages"]:
        parts = [{"latent": value_of(part["latent"]), "values": value_of(part["values"])} for part in message["parts"]]
        priors = [prior_of(codec, part["prior"]) for part in message["parts"]]
        written.append([])
        for form in message["forms"]:
            options, expected = options_of(form["options"]), base64.b64decode(form["packet"])
            packet = write(codec, parts, priors, options)
            if "info" in form:
                info = vars(codec.inspect(expected))
                assert json.loads(json.dumps(info)) == options_of({"fingerprint": None, "dims": None, **form["info"]})
            written[-1].append(base64.b64encode(packet).decode())
            assert packet == expected, f"{message['name']} {options}"
            for part, found in zip(parts, read(codec, expected, parts, priors, options)):
                assert found.dtype == np.float32 and found.shape == part["values"].shape
                assert np.array_equal(found, part["values"]), f"{message['name']} {options}"
    assert len(written) > 50
    (Path(os.environ["LATENTWIRE_CROSS"]) / "packets.json").write_text(json.dumps(written))


def test_contexts_in_bundles(codec, cases):
    """Every context prior of the messages, through a bundle: the same packet."""
    seen = set()
    for message in cases["messages"]:
        for part in message["parts"]:
            note = part["prior"]
            if note["call"] != "context":
                continue
            latent, prior = value_of(part["latent"]), prior_of(codec, note)
            options = options_of(note["args"][1])
            parameters = value_of(note["args"][0]).tobytes()
            entry = {"name": "y", "table": prior.table, "context": parameters}
            if "over" not in options:
                entry.update(kind="factorized", axis=options["axis"], step=options.get("step"))
                bundle = latentwire.read_bundle(latentwire.write_bundle([entry]))
                made = bundle.factorized(codec, "y", context=True)
                assert bundle.factorized(codec, "y", context=False).kind == "factorized"
            else:
                over = note["args"][1]["over"]
                given, how = value_of(over["args"][0]), options_of(over["args"][-1])
                if over["call"] != "gaussian":
                    continue
                entry.update(kind="gaussian", scale_table=how["scale_table"], step=how.get("step"))
                bundle = latentwire.read_bundle(latentwire.write_bundle([entry]))
                made = bundle.gaussian(codec, "y", given, means=how.get("means"), axis=options["axis"])
            assert made.kind == "context" and codec.encode(latent, made) == codec.encode(latent, prior)
            seen.add(entry["kind"])
            with pytest.raises(CodecError, match="context is none, or not for"):
                kind = {"factorized": "gaussian", "gaussian": "factorized"}[entry["kind"]]
                other = {
                    **entry,
                    "kind": kind,
                    "scale_table": None if kind == "factorized" else np.arange(1, prior.table.rows + 1),
                }
                raise_cause(lambda other=other: latentwire.write_bundle([other]))
    assert seen == {"factorized", "gaussian"}


def raise_cause(call):
    """Raises what is behind the ValueError of a call."""
    with pytest.raises(ValueError) as found:
        call()
    raise found.value.__cause__


def outcome_of(codec, priors, case, packet):
    options = options_of(case["options"])
    how = {name: options[name] for name in ("header", "checksum") if name in options}
    stated = how.get("header", "packet") != "packet"
    try:
        if len(priors) == 1:
            shape = {"shape": case["parts"][0]["dims"]} if stated else {}
            stream = {"stream": options["stream"]} if "stream" in options else {}
            return f"read {zlib.crc32(codec.decode(packet, priors[0], dtype='int32', **how, **stream, **shape))}"
        with codec.reader(packet, **how) as reader:
            sums = [
                zlib.crc32(reader.read(prior, dtype="int32", shape=part["dims"] if stated or part["isPlain"] else None))
                for prior, part in zip(priors, case["parts"])
            ]
            reader.finish()
        return f"read {','.join(map(str, sums))}"
    except latentwire.CodecError as error:
        return f"{error.code}: {error}"


def test_damage(codec, cases):
    codes = set()
    for case in cases["damaged"]:
        priors = [prior_of(codec, part["prior"]) for part in case["parts"]]
        for text, expected in case["packets"]:
            found = outcome_of(codec, priors, case, base64.b64decode(text))
            # Messages name options as each language spells them; they may also show bytes of the packet.
            assert snake(found) == snake(expected), f"{case['name']}: {text}"
            codes.add(found.split(":")[0].split(" ")[0])
    assert codes >= {"read", "CORRUPTED", "TRUNCATED", "NOT_A_PACKET", "UNSUPPORTED_VERSION", "WRONG_PRIOR"}


def file_outcome(data, index, skips):
    """What is read of a packet file, as test/python-cases.ts says it of JavaScript."""
    damages = []
    options = {"damaged": "skip", "on_damage": damages.append} if skips else {}
    try:
        file = open_packet_file(data, index=index, **options)
        found = [[number, name, zlib.crc32(packet)] for number, name, packet in file]
        return [file.state, file.end, found, [[one.offset, one.bytes, one.code, one.message] for one in damages]]
    except CodecError as error:
        return [error.code, getattr(error, "offset", None), str(error)]


def test_damaged_packet_files(cases):
    states = set()
    for text, index, skips, expected in cases["packetFiles"]:
        data = base64.b64decode(text)
        found = file_outcome(data, index, skips)
        # Messages name options as each language spells them.
        spelt = json.dumps(expected).replace("index: false", "index=False").replace('damaged: \\"', 'damaged=\\"')
        assert found == json.loads(spelt), f"{text} {index} {skips}"
        states.add(found[0])
    assert states >= {"indexed", "scanned", "torn", "damaged", "CORRUPTED", "TRUNCATED", "NOT_A_PACKET"}


def recorded(answers):
    """A network that gives its answers in turn."""
    left = iter([value_of(answer) for answer in answers])
    return lambda *_: next(left)


def model_of(codec, case):
    """The family and the model of a case, whose networks begin with their first answers."""
    nets = {name: recorded(answers) for name, answers in case["answers"].items()}
    fields = {**options_of(case["fields"]), "prior": codec.factorized(case["table"])}
    if case["name"] == "channel_groups":
        for name, short in (("nets", "net"), ("refine", "refine")):
            fields[name] = [nets.pop(f"{short}{k}") for k in range(len(fields["groups"]))]
        return families.channel_groups, families.ChannelGroupsModel(**fields, **nets)
    return families.variable_rate, families.VariableRateModel(**fields, **nets)


def test_families(codec, cases):
    for case in cases["families"]:
        options, latent = options_of(case["options"]), value_of(case["latent"])
        packet = case["packet"]
        packet = base64.b64decode(packet) if isinstance(packet, str) else [base64.b64decode(one) for one in packet]
        family, model = model_of(codec, case)
        encoded = family.encode(codec, model, value_of(case["y"]), **options)
        assert encoded.packet == packet, case["name"]
        assert np.array_equal(encoded.latent, latent) and list(encoded.shape) == case["shape"]
        family, model = model_of(codec, case)
        if options.pop("format", None):
            found = family.decode(codec, model, packet, shape=case["shape"], **options)
        else:
            found = family.decode(codec, model, packet)
        assert np.array_equal(found, latent), case["name"]


def test_rates(codec, cases):
    for rate in cases["rates"]:
        part = rate["part"]
        found = codec.rate(value_of(part["latent"]), prior_of(codec, part["prior"]), axis=0)
        assert np.isclose(found.bits, rate["bits"], rtol=1e-12, atol=1e-6), rate["name"]
        assert found.escapes == rate["escapes"]
        assert np.allclose(found.channel_bits, rate["channels"], rtol=1e-12, atol=1e-6), rate["name"]
        assert found.warning == rate.get("warning"), rate["name"]
