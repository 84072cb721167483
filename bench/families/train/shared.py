"""What this recipe takes from that of the encoder (../../model/train)."""
import pathlib
import sys

sys.path.append(str(pathlib.Path(__file__).resolve().parents[2] / "model" / "train"))

from data import random_crop  # noqa: E402, F401
from networks import Prior  # noqa: E402, F401
from onnx_export import Graph  # noqa: E402, F401
from rate import count_tables  # noqa: E402, F401
