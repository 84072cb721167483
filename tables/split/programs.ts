/** The programs that stand beside the two halves: a page, a server for Node, one for Python. They are the same for every model; split.json differs. */

/** The page of the client. */
export const PAGE = `<!doctype html>
<html lang="en">
  <meta charset="utf-8" />
  <meta name="viewport" content="width=device-width" />
  <title>A split model</title>
  <script type="importmap">
    { "imports": { "latentwire": "/latentwire/dist/bindings/index.js", "latentwire/bundle": "/latentwire/dist/tables/bundle.js",
        "onnxruntime-web": "/onnxruntime-web/dist/ort.wasm.min.mjs" } }
  </script>
  <label>A photograph: <input type="file" accept="image/*" /></label> <button>Send the sample</button>
  <pre aria-live="polite">loading</pre>
  <script type="module">
    import { answerTo, imageOf, sample } from "./client.mjs";
    const [input, button, output] = ["input", "button", "pre"].map((name) => document.querySelector(name));
    const show = (feeds) => feeds.then(answerTo).then((answer) => { output.textContent = JSON.stringify(answer, null, 2); },
      (error) => { output.textContent = error.message; });
    input.onchange = () => show(imageOf(input.files[0]));
    button.onclick = () => show(sample());
    output.textContent = "ready";
  </script>
</html>
`;

/** What the page does: runs the head, packs what it gives, sends the packet. */
export const CLIENT = `import { create } from "latentwire";
import { loadBundle } from "latentwire/bundle";
import * as ort from "onnxruntime-web";

const split = await (await fetch("split.json")).json();
const codec = await create();
const bundle = await loadBundle("bundle.lwb");
const priors = split.latents.map(({ entry }) => bundle.factorized(codec, entry));
const session = await ort.InferenceSession.create("head.onnx");
// Where packets go: the page's own server, or another one, ?server=http://localhost:8090
const server = new URLSearchParams(location.search).get("server") ?? "/answer";

/** The inputs of a photograph: its middle, in the size and range that the model takes. */
export async function imageOf(file) {
  if (!split.image) throw new Error("this model takes no photograph");
  const { name, type, dims, height, width, channels, channelsLast, mean, std } = split.image;
  const bitmap = await createImageBitmap(file);
  const scale = Math.max(width / bitmap.width, height / bitmap.height);
  const [w, h] = [scale * bitmap.width, scale * bitmap.height];
  const context = new OffscreenCanvas(width, height).getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, (width - w) / 2, (height - h) / 2, w, h);
  const { data } = context.getImageData(0, 0, width, height);
  const count = width * height;
  const planes = type === "uint8" ? new Uint8Array(channels * count) : new Float32Array(channels * count);
  for (let c = 0; c < channels; c++)
    for (let i = 0; i < count; i++) {
      const [r, g, b] = data.subarray(4 * i, 4 * i + 3);
      const value = channels === 3 ? data[4 * i + c] : 0.299 * r + 0.587 * g + 0.114 * b;
      planes[channelsLast ? i * channels + c : c * count + i] = (value / 255 - mean[c]) / std[c];
    }
  return { [name]: new ort.Tensor(type, planes, dims) };
}

/** The inputs of one of the samples that the model was measured with. */
export async function sample() {
  const response = await fetch("sample.json");
  if (!response.ok) throw new Error("there is no sample.json");
  const arrays = { float32: Float32Array, uint8: Uint8Array, int8: Int8Array, int32: Int32Array, bool: Uint8Array };
  const tensor = ({ type, dims, data }) =>
    new ort.Tensor(type, type === "int64" ? BigInt64Array.from(data, BigInt) : arrays[type].from(data), dims);
  return Object.fromEntries(Object.entries(await response.json()).map(([name, one]) => [name, tensor(one)]));
}

/** Runs the head, sends one packet, and returns what the server answers. */
export async function answerTo(inputs) {
  const feeds = Object.fromEntries(session.inputNames.map((name) => [name, inputs[name]]));
  const outputs = await session.run(feeds);
  const writer = codec.writer();
  split.latents.forEach(({ tensor }, i) => writer.write(outputs[tensor], priors[i]));
  const packet = writer.finish();
  const response = await fetch(server, { method: "POST", body: packet });
  if (!response.ok) throw new Error(await response.text());
  return { bytes: packet.length, ...(await response.json()) };
}
`;

/** The server for Node. */
export const NODE_SERVER = `// npm install, then: node server/server.mjs [PORT]
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { extname } from "node:path";
import { pathToFileURL } from "node:url";
import { CodecError, create } from "latentwire";
import { loadBundle } from "latentwire/bundle";
import * as ort from "onnxruntime-node";

const here = (name) => new URL(name, import.meta.url);
const split = JSON.parse(await readFile(here("split.json"), "utf8"));
const codec = await create();
const bundle = await loadBundle(readFile(here("bundle.lwb")));
const priors = split.latents.map(({ entry }) => bundle.factorized(codec, entry));
const session = await ort.InferenceSession.create(await readFile(here("tail.onnx")));

/** A packet -> the outputs of the model. */
async function answerTo(packet) {
  const reader = codec.reader(packet, { maxElements: split.maxElements });
  const feeds = {};
  split.latents.forEach(({ tensor }, i) => {
    const { dims, data } = reader.read(priors[i]);
    feeds[tensor] = new ort.Tensor("float32", data, dims);
  });
  reader.finish();
  return session.run(feeds);
}

/** What is said of an output: its shape, and its five highest elements. */
function summary({ dims, data }) {
  const elements = Array.from(data, Number);
  const order = elements.map((_, i) => i).sort((a, b) => elements[b] - elements[a]);
  return { dims, highest: order.slice(0, 5).map((i) => ({ index: i, value: elements[i] })) };
}

// The page, and the two packages that it loads.
const require = createRequire(import.meta.url);
const folderOf = (file, up) => new URL(up, pathToFileURL(require.resolve(file)));
const FOLDERS = { latentwire: folderOf("latentwire/package.json", "./"), "onnxruntime-web": folderOf("onnxruntime-web/wasm", "../") };
const TYPES = { ".html": "text/html", ".js": "text/javascript", ".mjs": "text/javascript", ".json": "application/json", ".wasm": "application/wasm" };

async function fileOf(path) {
  const [, first, rest] = /^\\/([^/]*)\\/?(.*)$/.exec(decodeURIComponent(path));
  const folder = FOLDERS[first];
  const root = folder ?? here("../client/");
  const file = new URL(\`./\${folder ? rest : path === "/" ? "index.html" : first}\`, root);
  if (!file.href.startsWith(root.href)) throw new Error("outside");
  return { type: TYPES[extname(file.pathname)] ?? "application/octet-stream", bytes: await readFile(file) };
}

createServer(async (request, response) => {
  try {
    if (request.method !== "POST") {
      const { type, bytes } = await fileOf(new URL(request.url, "http://localhost").pathname);
      return response.writeHead(200, { "content-type": type }).end(bytes);
    }
    const outputs = await answerTo(Buffer.concat(await request.toArray()));
    const found = Object.fromEntries(Object.entries(outputs).map(([name, tensor]) => [name, summary(tensor)]));
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify({ outputs: found }));
  } catch (error) {
    const isCodec = error instanceof CodecError;
    response.writeHead(isCodec ? 400 : request.method === "POST" ? 500 : 404).end(isCodec ? error.code : "not found");
  }
}).listen(Number(process.argv[2] ?? 8080), function () {
  console.log(\`http://localhost:\${this.address().port}\`);
});
`;

/** The server for Python. */
export const PYTHON_SERVER = `# pip install latentwire onnxruntime, then: python server/server.py [PORT]
import json
import sys
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
    def do_POST(self):
        packet = self.rfile.read(int(self.headers["content-length"]))
        try:
            outputs = {name: summary(output) for name, output in answer_to(packet).items()}
            status, body = 200, json.dumps({"outputs": outputs})
        except latentwire.CodecError as error:
            status, body = 400, error.code
        self.send_response(status)
        # Pages of another origin may ask, too.
        self.send_header("access-control-allow-origin", "*")
        self.end_headers()
        self.wfile.write(body.encode())


if __name__ == "__main__":
    server = HTTPServer(("", int(sys.argv[1]) if len(sys.argv) > 1 else 8090), Handler)
    url = f"http://127.0.0.1:{server.server_port}"
    print(f"{url} answers packets. The page of server.mjs sends them here: http://localhost:8080/?server={url}", flush=True)
    server.serve_forever()
`;
