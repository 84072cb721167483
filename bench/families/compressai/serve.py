"""The end of a trial that has CompressAI and torch. run.ts starts it and talks to it through its standard streams.

A request is a line of JSON, then the tensors that the line names, as float32; so is an answer. "load" makes and calibrates a model and exports
it to a folder. Encoding and decoding run latentwire's package for Python around the model's networks in torch.
"""

import contextlib
import io
import json
import os
import sys
import warnings

warnings.simplefilter("ignore")
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "..", "bindings", "python", "src"))
sys.path.insert(0, HERE)

import numpy as np  # noqa: E402
import torch  # noqa: E402

import classes  # noqa: E402
import compressai_export  # noqa: E402
import latentwire  # noqa: E402
from compressai_families import recipes_of  # noqa: E402

def gains_of(channels):
    """Gains of a model that leaves them to its caller: factors of a channel around each level."""
    random = np.random.default_rng(5)
    factors = np.exp(random.uniform(-0.4, 0.4, channels))
    return [(level * factors).astype(np.float32) for level in classes.LEVELS]


class End:
    """The model, its networks, and latentwire around them."""

    def __init__(self, name, folder, side):
        _, self.sizes, self.level, smallest = classes.MODELS[name]
        self.side = side
        torch.manual_seed(0)
        self.model = classes.make(name)
        self.image = self.image_of(folder, 0)
        classes.calibrate(self.model, self.image)
        self.report = compressai_export.export(self.model, folder, (smallest, smallest))
        self.recipe = recipes_of(self.model, self.image)[0]
        self.networks = dict(self.recipe.networks())
        self.codec = latentwire.create()
        self.folder = folder
        self.parts = self.model.img_hyperprior if hasattr(self.model, "img_hyperprior") else None
        self.gains = self.gain_values()
        part = self.recipe.name or None
        self.loaded = latentwire.load_model(folder, codec=self.codec, networks=self.networks, part=part, model=self.gains)

    def image_of(self, folder, k):
        data = np.fromfile(os.path.join(folder, f"image{k}.f32"), np.float32)
        return torch.from_numpy(data.reshape(1, 3, self.side, self.side))

    def gain_values(self):
        if self.recipe.family != "gain":
            return None
        y, z = (gains_of(count) for count in (320, 192))
        return {"gains": y, "inverse_gains": [1 / one for one in y], "z_gains": z, "inverse_z_gains": [1 / one for one in z]}

    def with_level(self):
        return {"level": self.level} if self.level is not None else {}

    def about(self):
        gains = None if self.gains is None else {key: [one.tolist() for one in value] for key, value in self.gains.items()}
        return {
            "family": self.recipe.family,
            "sizes": self.sizes,
            "level": self.level,
            "gains": gains,
            "leftOut": self.report["leftOut"],
            "torch": torch.__version__,
        }

    # ---- requests

    def latent(self, k, **_):
        return {}, [self.networks["g_a"](self.image_of(self.folder, k))[0]]

    def network(self, name, tensors, **_):
        found = self.networks[name](*tensors)
        return {}, list(found)

    def encode(self, guard, tensors, **_):
        guard = latentwire.Guard(*guard) if guard else None
        encoded = self.loaded.family.encode(self.codec, self.loaded.model, tensors[0].numpy(), guard=guard, **self.with_level())
        return {"packet": encoded.packet.hex()}, [torch.from_numpy(np.ascontiguousarray(encoded.latent))]

    def decode(self, packet, **_):
        latent = self.loaded.family.decode(self.codec, self.loaded.model, bytes.fromhex(packet))
        return {}, [torch.from_numpy(np.ascontiguousarray(latent))]

    def compress(self, k, **_):
        """CompressAI's own strings of an image, in its order, and the shape of z."""
        image = self.image_of(self.folder, k)
        if self.recipe.family == "gain":
            y = self.model.g_a(image)
            gain = lambda values: torch.from_numpy(values[self.level]).reshape(1, -1, 1, 1)  # noqa: E731
            found = self.model.latent_codec.compress(y, *(gain(self.gains[key]) for key in ("gains", "z_gains", "inverse_gains", "inverse_z_gains")))
        elif self.parts is not None:
            _, found = self.parts.compress(self.model.img_encoder(image))
        elif self.recipe.family == "variableRate":
            if "levels" in self.recipe.tables:
                self.model.update(force=True, scale=torch.abs(self.model.Gain[self.level]))
            found = self.model.compress(image, s=self.level)
        else:
            found = self.model.compress(image)
        shape = found["shape"]
        shape = shape["hyper"] if isinstance(shape, dict) else shape
        return {"strings": [group[0].hex() for group in found["strings"]], "shape": list(shape)}, []


def main():
    torch.set_grad_enabled(False)
    torch.set_num_threads(int(os.environ.get("THREADS", "1")))
    # The trial itself is a sharper test of the networks than a comparison in the export.
    compressai_export.difference = lambda network, sample, path: None
    stream, sys.stdout = sys.stdout.buffer, sys.stderr
    end = None

    def answer(line, tensors=()):
        line["tensors"] = [list(tensor.shape) for tensor in tensors]
        stream.write(json.dumps(line).encode() + b"\n")
        for tensor in tensors:
            stream.write(np.ascontiguousarray(tensor.numpy(), np.float32).tobytes())
        stream.flush()

    while line := sys.stdin.buffer.readline():
        request = json.loads(line)
        tensors = []
        for dims in request.pop("tensors", []):
            data = bytearray(sys.stdin.buffer.read(4 * int(np.prod(dims))))
            tensors.append(torch.from_numpy(np.frombuffer(data, np.float32).reshape(dims)))
        operation = request.pop("do")
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                if operation == "names":
                    found = {"names": [name for name in classes.MODELS if name not in ("TCM", "CCA") or name in os.environ]}, []
                elif operation == "load":
                    end = None  # one model in memory at a time
                    end = End(**request)
                    found = end.about(), []
                else:
                    found = getattr(end, operation)(**request, **({"tensors": tensors} if tensors else {}))
            answer(*found)
        except BaseException as error:  # what went wrong is the outcome of the trial
            answer({"error": getattr(error, "code", None) or type(error).__name__, "message": str(error)[:300]})


if __name__ == "__main__":
    main()
