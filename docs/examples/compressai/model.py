"""The Python end, with CompressAI: "model.py write" makes a checkpoint and a string, "model.py read" reads the string of strings.js."""
import json
import sys

import torch
from compressai.models import FactorizedPrior

torch.manual_seed(1)
torch.set_grad_enabled(False)
model = FactorizedPrior(16, 8).eval()  # yours is trained
model.update(force=True)
image = 255 * torch.rand(1, 3, 64, 64)

if sys.argv[1:] == ["write"]:
    torch.save({"state_dict": model.state_dict()}, "checkpoint.pth.tar")
    out = model.compress(image)
    json.dump({"string": out["strings"][0][0].hex(), "shape": list(out["shape"])}, open("from-python.json", "w"))
else:
    found = json.load(open("from-node.json"))
    string, shape = bytes.fromhex(found["string"]), torch.Size(found["shape"])
    y_hat = model.entropy_bottleneck.decompress([string], shape)
    expected, _ = model.entropy_bottleneck(model.g_a(image))
    print("equal to what CompressAI codes:", torch.equal(y_hat, expected))
