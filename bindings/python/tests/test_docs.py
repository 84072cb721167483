"""The snippets of docs/python.md and README.md run, one after the other, as they are printed."""

import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import latentwire

PAGES = [Path(__file__).parents[3] / "docs" / "python.md", Path(__file__).parents[1] / "README.md"]


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
    # What a page takes for granted.
    names = {
        "packet": codec.encode(np.zeros((1, 4, 28, 28), np.float32), prior),
        "latent": y,
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
        exec(compile(snippet, str(page), "exec"), names)
    assert isinstance(names["packet"], bytes)
    if page.name == "python.md":
        assert names["y_hat"].shape == y.shape
        assert np.array_equal(names["decode"](codec.encode(y, prior)), codec.decode(codec.encode(y, prior), prior))
