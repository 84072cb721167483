"""A codec of each build, and what several tests make."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

import latentwire

#: test/vectors of the repository.
VECTORS = Path(__file__).parents[3] / "test" / "vectors"
ROW = [0, 300, 900, 2000, 9000, 20000, 45000, 56000, 63000, 65000, 65536]


@pytest.fixture(scope="session", params=["simd", "scalar"])
def codec(request):
    return latentwire.create(request.param)


@pytest.fixture(scope="session")
def vectors():
    return VECTORS


@pytest.fixture(scope="session")
def cases():
    """What JavaScript wrote for test_cross.py: test/python-cases.ts."""
    folder = os.environ.get("LATENTWIRE_CROSS")
    if not folder:
        pytest.skip("test/python.test.ts of the repository runs this")
    return json.loads((Path(folder) / "cases.json").read_text())


@pytest.fixture
def table():
    """Four rows around 0, with medians, as JSON."""
    return {"offsets": [-5, -4, -5, -6], "cdfs": [ROW] * 4, "medians": [0.25, -0.5, 0, 1]}


@pytest.fixture
def latent():
    """A float32 latent of 1 x 4 x 6 x 10."""
    return np.random.default_rng(5).normal(0, 2, (1, 4, 6, 10)).astype(np.float32)
