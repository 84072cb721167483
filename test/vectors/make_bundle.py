"""Prints python-bundle.lwb, what tables/latentwire_bundle.py writes: python3 make_bundle.py > python-bundle.lwb. Needs nothing but Python."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tables"))
from latentwire_bundle import bundle_bytes, table_bytes  # noqa: E402

# Rows of one entry, of long varints, of offsets of both signs.
cdfs = [[0, 65536], [0, 1, 65535, 65536], [0, 20000, 45000, 65000, 65536]]
factorized = table_bytes([-(2**30), 2**30, -1], cdfs, [0.25, -3.5, 1e-20])
wide = table_bytes([-150], [[k * 200 for k in range(301)] + [65536]])
many = table_bytes(list(range(-100, 100)), [[0, 7 + r, 65536] for r in range(200)])
gaussian = table_bytes([-1, -2], [[0, 100, 65000, 65500, 65536], [0, 9, 300, 65000, 65400, 65500, 65536]])
entries = [
    {"name": "latent_codec.hyper.entropy_bottleneck", "kind": "factorized", "table": factorized, "shape": [None, 3, None, None]},
    {"name": "größe", "kind": "factorized", "table": wide, "step": 0.5, "axis": 2, "meta": {"text": "ÿ\u2028"}},
    {"name": "y0", "kind": "gaussian", "table": gaussian, "scales": [0.11, 0.7]},
    {"name": "y1", "kind": "gaussian", "table": gaussian, "scales": [0.11, 0.7]},
    {"name": "rows", "kind": "indexed", "table": many},
]
sys.stdout.buffer.write(bundle_bytes(entries, {"made": "make_bundle.py", "list": [1, 2.5, None]}))
