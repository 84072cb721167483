/** `npm run bench:browser`. */
import { fileURLToPath } from "node:url";
import { command, whole } from "../command.js";
import { serveBrowser } from "./serve.js";

const HELP = `npm run bench:browser -- [options]

Serves a page that runs the comparison of bench:offload in your browser: onnxruntime-web (Wasm, one thread) and latentwire beside the
browser's own JPEG and WebP.

  --images DIR     PNG, JPEG and WebP images (default: the bundled photographs)
  --model DIR      a model folder, or a folder of them (default: the bundled model)
  --backbone DIR   backbone.onnx and tail.onnx (default: the bundled MobileNetV2)
  --limit N        only the first N images (default 20)
  --port N         (default 8080)
  --help`;

const here = (name: string) => fileURLToPath(new URL(`../${name}`, import.meta.url));

const OPTIONS = {
  images: { type: "string", default: here("photos") },
  model: { type: "string", default: here("model/points") },
  backbone: { type: "string" },
  limit: { type: "string", default: "20" },
  port: { type: "string", default: "8080" },
} as const;

command(HELP, OPTIONS, async (args) => {
  const { url } = await serveBrowser({ ...args, limit: whole("limit", args.limit) }, whole("port", args.port));
  console.log(`open ${url} (Ctrl-C ends)`);
});
