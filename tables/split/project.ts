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
import { CLIENT, NODE_SERVER, PAGE, PYTHON_SERVER } from "./programs.js";
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

/** This file marks a folder that may be written again. */
const MARK = "split.json";

/** Refuses a folder with other things in it. Throws UsageError. */
export function checkFolder(folder: string): void {
  if (!existsSync(folder)) return;
  const names = readdirSync(folder);
  if (names.length === 0 || existsSync(join(folder, "client", MARK))) return;
  throw new UsageError(`-o ${folder} has other files in it: name a new folder, or one that split has written`);
}

/** Writes both folders, and package.json beside them. Returns the files, largest first. */
export async function writeProject(
  folder: string,
  version: string,
  runtime: Runtime,
  opened: Opened,
  feeds: Feeds,
  row: Row,
  image: ImageFacts | undefined,
): Promise<string[]> {
  const { candidate, setting, made } = row;
  const { cut, tensors } = candidate;
  const { head, tail, sent } = halvesOf(opened, cut, tensors, setting, await fixedOf(runtime, opened, feeds, cut));
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
  const facts = {
    cut: cut.tensors,
    latents,
    maxElements: tensors.reduce((sum, tensor) => sum + mostElements(tensor), 0),
    ...(image && { image }),
  };
  const sample = sampleOf(feeds);
  return writeAll(folder, {
    "client/head.onnx": head,
    "client/bundle.lwb": bundle,
    "client/split.json": json(facts),
    "client/index.html": PAGE,
    "client/client.mjs": CLIENT,
    ...(sample && { "client/sample.json": JSON.stringify(sample) }),
    "server/tail.onnx": tail,
    "server/bundle.lwb": bundle,
    "server/split.json": json(facts),
    "server/server.mjs": NODE_SERVER,
    "server/server.py": PYTHON_SERVER,
    "package.json": json(packageOf(version)),
  });
}

/** The two halves alone, as they are, where there are no samples to make rows of. */
export async function writeHalves(
  folder: string,
  runtime: Runtime,
  opened: Opened,
  feeds: Feeds,
  cut: Cut,
): Promise<string[]> {
  const types = new Map<string, number>();
  const { head, tail } = opened.writer.plain(cut, types, await fixedOf(runtime, opened, feeds, cut));
  return writeAll(folder, {
    "client/head.onnx": head,
    "server/tail.onnx": tail,
    "client/split.json": json({ cut: cut.tensors }),
  });
}

/** Shapes that the tail needs, as constants. */
function fixedOf(runtime: Runtime, opened: Opened, feeds: Feeds, cut: Cut) {
  const outputs = opened.graph.model.outputs.map(({ name }) => name);
  return fixedTensors(runtime, opened, feeds, opened.writer.nodesBetween(cut.tensors, outputs).fixed);
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

const packageOf = (version: string) => ({
  name: "split-model",
  private: true,
  type: "module",
  scripts: { start: "node server/server.mjs" },
  dependencies: { latentwire: version, "onnxruntime-node": "^1.20.0", "onnxruntime-web": "^1.20.0" },
});

async function writeAll(folder: string, files: Readonly<Record<string, string | Uint8Array>>): Promise<string[]> {
  // An older one is of another study, and may be one of the user's images.
  rmSync(join(folder, "client/sample.json"), { force: true });
  for (const name of ["client", "server"]) mkdirSync(join(folder, name), { recursive: true });
  for (const [name, content] of Object.entries(files))
    await writeOutput(join(folder, name), typeof content === "string" ? new TextEncoder().encode(content) : content);
  return Object.keys(files);
}

/** The version of this package, which the written one asks for. */
export const ownVersion = (): string =>
  JSON.parse(readFileSync(new URL("../../../package.json", import.meta.url), "utf8")).version;
