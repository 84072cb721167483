// The server: takes packets, runs the tail, answers with what the model says; and gives the page to browsers.
// npm install, then: node server/server.mjs [PORT]
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { extname } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
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
  for (const [i, { tensor }] of split.latents.entries()) {
    const { dims, data } = reader.read(priors[i]);
    feeds[tensor] = new ort.Tensor("float32", data, dims);
  }
  reader.finish();
  return session.run(feeds);
}

/** What is said of an output: its shape, and its five highest elements. */
function summary({ dims, data }) {
  const elements = Array.from(data, Number);
  const order = elements.map((_, i) => i).sort((a, b) => elements[b] - elements[a]);
  return { dims, highest: order.slice(0, 5).map((i) => ({ index: i, value: elements[i] })) };
}

/** The body of a request; undefined where it is longer than any packet of this model. */
async function bodyOf(request) {
  const chunks = [];
  let length = 0;
  // What is too much is read and thrown away, so that the sender gets an answer.
  for await (const chunk of request) {
    length += chunk.length;
    if (length <= split.maxBytes) chunks.push(chunk);
  }
  return length <= split.maxBytes ? Buffer.concat(chunks) : undefined;
}

async function answer(request, response) {
  const packet = await bodyOf(request);
  if (packet === undefined) return response.writeHead(413).end("LIMIT_EXCEEDED");
  try {
    const outputs = Object.entries(await answerTo(packet)).map(([name, tensor]) => [name, summary(tensor)]);
    const body = JSON.stringify({ outputs: Object.fromEntries(outputs) });
    return response.writeHead(200, { "content-type": "application/json" }).end(body);
  } catch (error) {
    // The packet's fault: CORRUPTED, WRONG_PRIOR ..
    if (error instanceof CodecError) return response.writeHead(400).end(error.code);
    throw error;
  }
}

// The page, and the two packages that it loads.
const require = createRequire(import.meta.url);
const folderOf = (file, up) => new URL(up, pathToFileURL(require.resolve(file)));
const FOLDERS = {
  latentwire: folderOf("latentwire/package.json", "./"),
  "onnxruntime-web": folderOf("onnxruntime-web/wasm", "../"),
};
const TYPES = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".json": "application/json",
  ".wasm": "application/wasm",
};

/** The file that an address means, of client/ or of one of the packages; undefined where it means none. */
function fileOf(address) {
  try {
    const path = decodeURIComponent(new URL(address, "http://localhost").pathname);
    const [, first, rest] = /^\/([^/]*)\/?(.*)$/.exec(path);
    const root = Object.hasOwn(FOLDERS, first) ? FOLDERS[first] : here("../client/");
    const file = new URL(`./${Object.hasOwn(FOLDERS, first) ? rest : first || "index.html"}`, root);
    return file.href.startsWith(root.href) ? fileURLToPath(file) : undefined;
  } catch {
    return undefined;
  }
}

/** Sends a file of client/ or of one of the packages, and nothing else. */
async function sendFile(request, response) {
  const file = fileOf(request.url);
  try {
    if (file === undefined) return response.writeHead(404).end("not found");
    const bytes = await readFile(file);
    response.writeHead(200, { "content-type": TYPES[extname(file)] ?? "application/octet-stream" }).end(bytes);
  } catch (error) {
    if (!["ENOENT", "ENOTDIR", "EISDIR", "ENAMETOOLONG", "ERR_INVALID_ARG_VALUE"].includes(error.code)) throw error;
    response.writeHead(404).end("not found");
  }
}

const server = createServer(async (request, response) => {
  try {
    await (request.method === "POST" ? answer : sendFile)(request, response);
  } catch (error) {
    console.error(request.method, request.url, error);
    const failed = request.method === "POST" ? "the model failed" : "the server failed, and has said why";
    response.writeHead(500).end(failed);
  }
});
const port = Number(process.argv[2] ?? 8080);
server.on("error", (error) => {
  console.error(error.code === "EADDRINUSE" ? `port ${port} is taken: npm start -- ${port + 1}` : error.message);
  process.exit(1);
});
server.listen(port, () => console.log(`http://localhost:${server.address().port}`));
