import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { program, whole } from "../terminal.js";
import { serveBrowser } from "./serve.js";

const HELP = `npm run bench:browser -- [options]

Serves a page that runs the comparison of bench:offload in your browser: onnxruntime-web (Wasm, one thread) and latentwire beside the
browser's own JPEG and WebP.

  --images DIR     PNG, JPEG and WebP images (default: the bundled photographs)
  --labels CSV     columns file and label, for top-1
  --model DIR      a model folder, or a folder of them (default: the bundled model)
  --backbone DIR   backbone.onnx and tail.onnx, for top-1 and agreement
  --limit N        only the first N images (default 20)
  --port N         (default 8080)
  --help`;

const here = (name: string) => fileURLToPath(new URL(`../${name}`, import.meta.url));

program(async () => {
  const { values } = parseArgs({
    options: {
      images: { type: "string", default: here("photos") },
      labels: { type: "string" },
      model: { type: "string", default: here("model/points") },
      backbone: { type: "string" },
      limit: { type: "string", default: "20" },
      port: { type: "string", default: "8080" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return console.log(HELP);
  const { url } = await serveBrowser({ ...values, limit: whole("limit", values.limit) }, whole("port", values.port));
  console.log(`open ${url} (Ctrl-C ends)`);
});
