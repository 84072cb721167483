"""Writes Parquet files of random latents, so that encode.py has something to do."""

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

folder, files, rows = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
folder.mkdir(parents=True, exist_ok=True)
random = np.random.default_rng(1)
for f in range(files):
    latents = random.integers(-1, 2, (rows, 20, 28, 28), dtype=np.int8)
    names = [f"{f:05}-{r:05}" for r in range(rows)]
    shapes = pa.array([[1, 20, 28, 28]] * rows, pa.list_(pa.int32()))
    table = {"name": names, "shape": shapes, "latent": pa.array([a.tobytes() for a in latents], pa.binary())}
    pq.write_table(pa.table(table), folder / f"{f:05}.parquet")
