"""load_model at this end, loadModel at the other: every family, packets and strings.

test/python-model.test.ts runs this.
"""

import base64
import json
import os
from pathlib import Path

import numpy as np
import pytest

import latentwire


def array_of(found):
    return np.frombuffer(base64.b64decode(found["data"]), "<f4").reshape(found["dims"])


def flat(array):
    return {"dims": array.shape, "data": base64.b64encode(np.ascontiguousarray(array, "<f4").tobytes()).decode()}


def close(actual, expected, name):
    """Means differ by rounding between two runtimes, a wrong symbol by 0.2 and more."""
    assert actual.shape == expected.shape and np.abs(actual - expected).max() < 0.01, name


def test_models():
    folder = os.environ.get("LATENTWIRE_CROSS")
    if not folder:
        pytest.skip("test/python-model.test.ts of the repository runs this")
    import onnxruntime

    base = Path(folder)
    found = json.loads((base / "models.json").read_text())
    image, guard = array_of(found["image"]), found["guard"]
    codec = latentwire.create()
    written = []
    for case in found["cases"]:
        name, level = case["name"], case["level"]
        options = {"codec": codec, "runtime": onnxruntime}
        at = base / name
        if name == "parts":
            options["part"] = "motion"
        if name == "gain":
            parameters = latentwire.load_bundle(at / "model.lwb").meta["parameters"]
            options["model"] = {key: parameters[key] for key in ("gains", "inverse_gains")}
        if name == "with-context":
            at = base / "mean-scale"
            files = {"model.lwb": "with-context.lwb"}
            options["read"] = lambda file, at=at, files=files: (at / files.get(file, file)).read_bytes()
        encoder = latentwire.load_model(at, side="encoder", **options)
        decoder = latentwire.load_model(str(at), side="decoder", **options)
        assert encoder.name.replace("_", "") == case["family"].lower()
        assert encoder.g_s is None and decoder.g_a is None
        if name == "with-context":
            assert isinstance(encoder.model.context, bytes)

        packet = base64.b64decode(case["packet"])
        close(decoder.family.decode(codec, decoder.model, packet), array_of(case["latent"]), name)
        close(decoder.decode(packet), array_of(case["picture"]), name)
        strings = [base64.b64decode(string) for string in case["strings"]]
        own = encoder.encode(image, format="strings", **level)
        assert own.packet == strings and list(own.shape) == case["shape"], name
        decoded = decoder.decode(strings, shape=own.shape, **level)
        close(decoded, array_of(case["picture"]), name)

        encoded = encoder.encode(image, guard=guard, **level)
        assert len(np.unique(encoded.latent)) > 5, "the latent is not empty"
        written.append({"packet": base64.b64encode(encoded.packet).decode(), "latent": flat(encoded.latent)})
        written[-1]["picture"] = flat(decoder.decode(encoded.packet))
    (base / "written.json").write_text(json.dumps(written))
