/** Writes a cut as two folders that run: client/ for the device, server/ for the other end. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type BundleInput, writeBundle } from "latentwire/bundle";
import { UsageError } from "../cli-arguments.js";
import { writeOutput } from "../cli-files.js";
import type { Normalization } from "../images.js";
import type { Runtime } from "../packages.js";
import { freeBatch, halvesOf, mostElements } from "./ends.js";
import type { Cut } from "./graph.js";
import type { Row } from "./measure.js";
import { type Feeds, fixedTensors, type Opened } from "./network.js";
import type { ImageInput } from "./samples.js";

/** What the client's page needs to know of images. */
export interface ImageFacts extends Normalization {
  readonly name: string;
  readonly type: string;
  readonly dims: readonly number[];
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  readonly channelsLast: boolean;
}

export const imageFacts = (
  { value, channels, isLast }: ImageInput,
  type: string,
  [height, width]: readonly [number, number],
  { mean, std }: Normalization,
): ImageFacts => ({
  name: value.name,
  type,
  dims: isLast ? [1, height, width, channels] : [1, channels, height, width],
  height,
  width,
  channels,
  channelsLast: isLast,
  mean,
  std,
});

/** A file of this package. */
const ofPackage = (name: string): string => readFileSync(new URL(`../../../${name}`, import.meta.url), "utf8");

/** What stands beside the halves, by name. It is the same for every model: what differs is in split.json. */
function programs(): Record<string, string> {
  const { version } = JSON.parse(ofPackage("package.json"));
  const names = ["client/index.html", "client/client.mjs", "server/server.mjs", "server/server.py"];
  return {
    ...Object.fromEntries(names.map((name) => [name, ofPackage(`tables/split/project/${name}`)])),
    "package.json": json({
      name: "split-model",
      private: true,
      type: "module",
      scripts: { start: "node server/server.mjs" },
      dependencies: { latentwire: version, "onnxruntime-node": "^1.20.0", "onnxruntime-web": "^1.20.0" },
      // Its script downloads files for GPUs, which the server does not use.
      allowScripts: { "onnxruntime-node": false },
    }),
  };
}

/** This file marks a folder that split has written. */
const MARK = "client/split.json";
/** What it writes there beside the programs: results, which a new run replaces. */
const RESULTS = [
  ...["client/head.onnx", "client/bundle.lwb", "client/sample.json", MARK],
  ...["server/tail.onnx", "server/bundle.lwb", "server/split.json"],
];

/** Refuses a folder with other things in it, and one whose programs the user has changed unless `isForced`. Throws UsageError. */
export function checkFolder(folder: string, isForced: boolean): void {
  if (!existsSync(folder) || readdirSync(folder).length === 0) return;
  const inFolder = (name: string) => join(folder, name);
  if (!existsSync(inFolder(MARK)))
    throw new UsageError(`-o ${folder} has other files in it: name a new folder, or one that split has written`);
  const changed = Object.entries(programs())
    .filter(([name, text]) => existsSync(inFolder(name)) && readFileSync(inFolder(name), "utf8") !== text)
    .map(([name]) => inFolder(name));
  if (changed.length > 0 && !isForced)
    throw new UsageError(
      `-o would overwrite what was changed, ${changed.join(", ")}: name a new folder, or add --force`,
    );
}

/** Writes both folders, and package.json beside them. Returns their names. */
export async function writeProject(
  folder: string,
  runtime: Runtime,
  opened: Opened,
  feeds: Feeds,
  row: Row,
  image: ImageFacts | undefined,
): Promise<string[]> {
  const { candidate, setting, made } = row;
  const { cut, tensors } = candidate;
  const { head, tail, sent } = halvesOf(opened, cut, tensors, setting, await fixedTensors(runtime, opened, feeds, cut));
  const isOne = tensors.length === 1;
  const latents = sent.map((tensor, t) => ({ entry: isOne ? "latent" : `latent${t}`, tensor }));
  const entries = tensors.map((tensor, t): BundleInput => {
    const context = made!.contexts?.parameters[t];
    return {
      name: latents[t]!.entry,
      kind: "factorized",
      table: made!.tables[t]!,
      step: setting.steps[t]!,
      axis: tensor.statistics.axis,
      shape: freeBatch(tensor),
      ...(context && { context }),
      meta: { tensor: tensor.store.name },
    };
  });
  const bundle = writeBundle(entries, { made: "latentwire split", model: opened.path });
  const maxElements = tensors.reduce((sum, tensor) => sum + mostElements(tensor), 0);
  const facts = {
    cut: cut.tensors,
    latents,
    maxElements,
    maxBytes: mostBytes(maxElements, tensors.length),
    ...(image && { image }),
  };
  const sample = sampleOf(feeds);
  return writeAll(folder, {
    "client/head.onnx": head,
    "client/bundle.lwb": bundle,
    "client/split.json": json(facts),
    ...(sample && { "client/sample.json": JSON.stringify(sample) }),
    "server/tail.onnx": tail,
    "server/bundle.lwb": bundle,
    "server/split.json": json(facts),
    ...programs(),
  });
}

/** Bytes that a packet has at most: docs/format.md, section 2.6. What is longer is none of this model's. */
const mostBytes = (elements: number, parts: number): number => 65_536 + 8 * elements + 40 * parts;

/** The two halves alone, as they are, where there are no samples to make rows of. */
export async function writeHalves(
  folder: string,
  runtime: Runtime,
  opened: Opened,
  feeds: Feeds,
  cut: Cut,
): Promise<string[]> {
  const types = new Map<string, number>();
  const { head, tail } = opened.writer.plain(cut, types, await fixedTensors(runtime, opened, feeds, cut));
  return writeAll(folder, {
    "client/head.onnx": head,
    "server/tail.onnx": tail,
    "client/split.json": json({ cut: cut.tensors }),
  });
}

const json = (value: unknown): string => `${JSON.stringify(value, null, 1)}\n`;

/** Of samples with more elements no client/sample.json is written. */
const MOST_SAMPLE = 2 ** 18;

function sampleOf(feeds: Feeds) {
  const elements = Object.values(feeds).reduce((sum, { data }) => sum + data.length, 0);
  if (elements > MOST_SAMPLE) return undefined;
  return Object.fromEntries(
    Object.entries(feeds).map(([name, { type, dims, data }]) => [
      name,
      { type, dims, data: Array.from(data as ArrayLike<number>, Number) },
    ]),
  );
}

async function writeAll(folder: string, files: Readonly<Record<string, string | Uint8Array>>): Promise<string[]> {
  // What an earlier run wrote and this one does not is of another cut, and sample.json is one of the user's images.
  for (const name of [...RESULTS, ...Object.keys(programs())])
    if (!(name in files)) rmSync(join(folder, name), { force: true });
  for (const name of ["client", "server"]) mkdirSync(join(folder, name), { recursive: true });
  for (const [name, content] of Object.entries(files))
    await writeOutput(join(folder, name), typeof content === "string" ? new TextEncoder().encode(content) : content);
  return Object.keys(files).sort();
}
