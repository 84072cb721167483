"""Checkpoints whose tensors lie where a state dict has none, and one of forms that are not read. Needs torch and NumPy.

    python make.py FOLDER
"""
import sys
from collections import OrderedDict

import numpy as np
import torch

out = sys.argv[1]


def state(kind=torch.tensor):
    arrays = {
        "_quantized_cdf": np.array([[0, 9000, 56000, 65000, 65536], [0, 20000, 45000, 65000, 65536]], np.int32),
        "_offset": np.array([-1, -1], np.int32),
        "_cdf_length": np.array([5, 5], np.int32),
        "quantiles": np.array([[[-5, 0.25, 5]], [[-4, -1, 3]]], np.float32),
    }
    return OrderedDict((f"entropy_bottleneck.{name}", kind(array)) for name, array in arrays.items())


torch.save((7, state()), f"{out}/tuple.pth")
torch.save({0: state(), "epoch": 3}, f"{out}/int-key.pth")
torch.save(state(lambda array: array), f"{out}/numpy.pth")
torch.save(state(np.asfortranarray), f"{out}/numpy-fortran.pth")
torch.save({"x": torch.zeros(3, dtype=torch.complex64), "q": torch.zeros(3).to_sparse()}, f"{out}/unread.pth")
