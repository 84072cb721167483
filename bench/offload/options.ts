import { existsSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

export const HELP = `npm run bench:offload -- [options]

Sends images as packets of a split model, and as PNG, JPEG, WebP and AVIF, to the rest of a network: bytes, milliseconds and accuracy.

  --images DIR     PNG, JPEG and WebP images (default: the bundled photographs); 224x224 of their centre are used
  --labels CSV     columns file and label among others, matched by base name: for top-1
  --backbone DIR   backbone.onnx (image -> logits) and tail.onnx (features -> logits): for top-1 and agreement
  --model DIR      encoder.onnx, decoder.onnx and tables.json, or a folder of such folders (default: the bundled model)
  --links FILE     link profiles (default: bench/links.json)
  --threads N      threads of each network and of sharp (default 1)
  --limit N        only the first N images
  --cache DIR      outcomes already measured are taken from here (default .cache/offload)
  --no-link        leave out the observed link: two processes with a throttle between them
  --html FILE      also write a report that needs no other file
  --csv FILE       also write the points as CSV
  --json           print one JSON object and nothing else
  --help`;

const here = (name: string) => fileURLToPath(new URL(`../${name}`, import.meta.url));

/** The points of the bundled model. */
export const bundledModel = () => here("model/points");

/** A whole number from 1. */
export function whole(name: string, text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new Error(`--${name} ${text}: a whole number from 1 is wanted`);
  return value;
}

export function readOptions() {
  const { values } = parseArgs({
    options: {
      images: { type: "string", default: here("photos") },
      labels: { type: "string" },
      backbone: { type: "string" },
      model: { type: "string", default: bundledModel() },
      links: { type: "string", default: here("links.json") },
      threads: { type: "string", default: "1" },
      limit: { type: "string" },
      cache: { type: "string", default: here("../.cache/offload") },
      "no-link": { type: "boolean", default: false },
      html: { type: "string" },
      csv: { type: "string" },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  // Before the work, not after it.
  for (const file of [values.html, values.csv])
    if (file !== undefined) {
      if (!existsSync(dirname(file))) throw new Error(`there is no folder ${dirname(file)}`);
      if (existsSync(file) && statSync(file).isDirectory()) throw new Error(`${file} is a folder`);
    }
  return {
    ...values,
    threads: whole("threads", values.threads),
    limit: values.limit === undefined ? Number.POSITIVE_INFINITY : whole("limit", values.limit),
  };
}

export type Options = ReturnType<typeof readOptions>;
