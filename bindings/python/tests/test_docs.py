"""The snippets of docs/python.md and README.md run, one after the other, as they are printed."""

import json
import re
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import latentwire

PAGES = [Path(__file__).parents[3] / "docs" / "python.md", Path(__file__).parents[1] / "README.md"]


def export(codec, folder):
    """A folder as compressai_export.py writes it, of a trained model of bench/."""
    folder.mkdir(parents=True)
    bench = Path(__file__).parents[3] / "bench"
    ends = [bench / "model/points/mid" / f"{name}.onnx" for name in ("encoder", "decoder")]
    inner = [bench / "families/models/mean-scale" / f"{name}.onnx" for name in ("h_a", "h_s")]
    for source, name in zip((*ends, *inner), ("g_a", "g_s", "h_a", "h_s")):
        (folder / f"{name}.onnx").write_bytes(source.read_bytes())
    entries = [
        {"name": "z", "kind": "factorized", "table": codec.table(json.loads(inner[0].with_name("z.json").read_text()))},
        {"name": "y", "kind": "gaussian", "table": codec.gaussian_table()},
    ]
    described = {
        **{"family": "meanScale", "model": {"h_a": "h_a.onnx", "h_s": "h_s.onnx"}, "prior": "z", "rows": "y"},
        **{"g_a": "g_a.onnx", "g_s": "g_s.onnx"},
    }
    (folder / "model.lwb").write_bytes(latentwire.write_bundle(entries, {"models": {"model": described}}))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_snippets(page, table, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    codec = latentwire.create()
    y = np.random.default_rng(2).normal(0, 2, (1, 4, 8, 8)).astype(np.float32)
    bundle = latentwire.write_bundle(
        [{"name": "entropy_bottleneck", "kind": "factorized", "table": codec.table(table)}]
    )
    Path("model.lwb").write_bytes(bundle)
    prior = codec.factorized(table)
    hello = Path(__file__).parents[3] / "tables" / "hello" / "model.lwb"
    Path("hello").mkdir()
    Path("hello/model.lwb").write_bytes(hello.read_bytes())
    sample = latentwire.load_bundle(hello).factorized(codec, "latent")
    Path("hello/packet.lw").write_bytes(codec.encode(np.zeros((1, 14, 28, 28), np.int8), sample))
    export(codec, Path("exported/mean-scale"))
    # What a page takes for granted.
    names = {
        "packet": codec.encode(np.zeros((1, 4, 28, 28), np.float32), prior),
        "latent": y,
        "image": np.tile(np.linspace(0, 255, 64, dtype=np.float32), (1, 3, 64, 1)),
        "y": y,
        "z": y[:, :, ::2, ::2],
        "scales": np.abs(y) + 0.3,
        "means": y / 2,
        "net": SimpleNamespace(
            h_a=lambda y: y[:, :, ::2, ::2],
            h_s=lambda z: np.concatenate([np.abs(z) + 0.3, z], 1).repeat(2, 2).repeat(2, 3),
        ),
    }
    snippets = re.findall("^```python\n(.*?)^```$", page.read_text(encoding="utf8"), re.DOTALL | re.MULTILINE)
    assert len(snippets) >= (5 if page.name == "python.md" else 1)
    for snippet in snippets:
        if "import onnxruntime" in snippet and find_spec("onnxruntime") is None:
            continue
        exec(compile(snippet, str(page), "exec"), names)
    assert isinstance(names["packet"], bytes)
    if page.name == "python.md":
        assert "loaded" not in names or names["loaded"].name == "mean_scale" and names["x_hat"].ndim == 4
        assert names["y_hat"].shape == y.shape
        assert np.array_equal(names["decode"](codec.encode(y, prior)), codec.decode(codec.encode(y, prior), prior))
