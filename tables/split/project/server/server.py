"""The server in Python: takes packets, runs the tail, answers with what the model says.

    pip install latentwire onnxruntime
    python server/server.py [PORT]

Before the release of latentwire for Python, give pip its wheel in place of the name: docs/python.md of its repository
says how to build that.
"""

import errno
import json
import sys
import traceback
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import latentwire
import numpy as np
import onnxruntime

here = Path(__file__).parent
split = json.loads((here / "split.json").read_text())
codec = latentwire.create()
bundle = latentwire.load_bundle(here / "bundle.lwb")
priors = [bundle.factorized(codec, latent["entry"]) for latent in split["latents"]]
session = onnxruntime.InferenceSession(str(here / "tail.onnx"), providers=["CPUExecutionProvider"])


def answer_to(packet):
    """A packet -> the outputs of the model, by name."""
    with codec.reader(packet, max_elements=split["maxElements"]) as reader:
        feeds = {latent["tensor"]: reader.read(prior) for latent, prior in zip(split["latents"], priors)}
        reader.finish()
    return dict(zip([output.name for output in session.get_outputs()], session.run(None, feeds)))


def summary(output):
    """The shape of an output, and its five highest elements."""
    elements = output.ravel()
    order = np.argsort(-elements, kind="stable")[:5]
    return {"dims": output.shape, "highest": [{"index": int(i), "value": float(elements[i])} for i in order]}


class Handler(BaseHTTPRequestHandler):
    # Seconds without a byte. Requests are answered one after the other: none may hold up the next for longer.
    timeout = 30

    def do_POST(self):
        status, body = self.answer()
        self.send_response(status)
        # Pages of another origin may ask, too.
        self.send_header("access-control-allow-origin", "*")
        self.end_headers()
        self.wfile.write(body.encode())

    def answer(self):
        """Status and body of the response."""
        length = self.headers.get("content-length", "")
        if not length.isdecimal():
            return 411, "content-length is needed"
        if int(length) > split["maxBytes"]:
            self.throw_away(int(length))
            return 413, "LIMIT_EXCEEDED"
        try:
            outputs = answer_to(self.rfile.read(int(length)))
            return 200, json.dumps({"outputs": {name: summary(output) for name, output in outputs.items()}})
        except latentwire.CodecError as error:
            # The packet's fault: CORRUPTED, WRONG_PRIOR ..
            return 400, error.code
        except Exception:
            traceback.print_exc()
            return 500, "the model failed"

    def throw_away(self, length):
        """Reads what is too long for a packet, so that the sender gets an answer."""
        while length > 0:
            read = len(self.rfile.read(min(length, 65536)))
            length = length - read if read else 0


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8090
    try:
        server = HTTPServer(("", port), Handler)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        sys.exit(f"port {port} is taken: python server/server.py {port + 1}")
    url = f"http://127.0.0.1:{server.server_port}"
    print(f"{url} answers packets. For them to come from the page, put this behind its address: /?server={url}")
    sys.stdout.flush()
    server.serve_forever()
