/** Writes a cut as two folders that run: client/ for the device, server/ for the other end. */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type BundleInput, writeBundle } from "latentwire/bundle";
import { UsageError } from "../cli-arguments.js";
import { remark, writeOutput } from "../cli-files.js";
import { type Normalization, PREPARATION } from "../images.js";
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
  /** From a picture file to its pixels. */
  readonly preparation: typeof PREPARATION;
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
  preparation: PREPARATION,
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

/** Lists what split has written into a folder, with hashes. So a new run knows the folder, and what was changed in it. */
const MANIFEST = "written.json";
/** Without these no program runs. They go first and come last: what is between is of two runs. */
const FACTS = ["client/split.json", "server/split.json"];
const HALVES = ["client/head.onnx", "server/tail.onnx", "client/split.json"];
/** Everything that a run may write, in the order of the list that is printed. */
const ALL = [
  ...["client/bundle.lwb", "client/client.mjs", "client/head.onnx", "client/index.html", "client/sample.json"],
  ...["client/split.json", "package.json", "server/bundle.lwb", "server/server.mjs", "server/server.py"],
  ...["server/split.json", "server/tail.onnx"],
];
/** New files, until they take the place of those of an earlier run. */
const STAGED = ".split-new";

const hashOf = (content: string | Uint8Array): string => createHash("sha256").update(content).digest("hex");

/** Hashes of what an earlier run has written, by name; undefined where there was none. */
function writtenBefore(folder: string): ReadonlyMap<string, unknown> | undefined {
  try {
    const { sha256 } = JSON.parse(readFileSync(join(folder, MANIFEST), "utf8"));
    // No other name counts, whatever the file says: what is listed may be removed.
    return new Map(Object.entries(sha256).filter(([name]) => ALL.includes(name)));
  } catch {
    return undefined;
  }
}

/**
 * Refuses a folder with other things in it, and unless `isForced` one where the user has changed what is to be replaced: all files with
 * programs, or the halves alone (`isWhole` false). Throws UsageError.
 */
export function checkFolder(folder: string, isWhole: boolean, isForced: boolean): void {
  if (!existsSync(folder) || readdirSync(folder).every((name) => name === STAGED)) return;
  const before = writtenBefore(folder);
  if (before === undefined)
    throw new UsageError(`-o ${folder} has other files in it: name a new folder, or one that split has written`);
  const replaced = ALL.filter((name) => isWhole || HALVES.includes(name) || before.has(name));
  const changed = replaced
    .filter((name) => existsSync(join(folder, name)) && hashOf(readFileSync(join(folder, name))) !== before.get(name))
    .map((name) => join(folder, name));
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

/** Writes files, and removes those of an earlier run that this one does not have: they are of another cut, or a sample of the user's. */
async function writeAll(folder: string, files: Readonly<Record<string, string | Uint8Array>>): Promise<string[]> {
  const names = Object.keys(files).sort((a, b) => Number(FACTS.includes(a)) - Number(FACTS.includes(b)));
  const sha256 = Object.fromEntries(ALL.flatMap((name) => (files[name] ? [[name, hashOf(files[name])]] : [])));
  const manifest = json({ note: "written by latentwire split, which finds by it what was changed since", sha256 });
  const staged = join(folder, STAGED);
  const gone = [...(writtenBefore(folder)?.keys() ?? [])].filter(
    (name) => !(name in files) && existsSync(join(folder, name)),
  );
  try {
    for (const name of ["client", "server"]) mkdirSync(join(staged, name), { recursive: true });
    for (const [name, content] of Object.entries({ ...files, [MANIFEST]: manifest }))
      await writeOutput(join(staged, name), typeof content === "string" ? new TextEncoder().encode(content) : content);
    for (const name of [...FACTS, ...gone]) rmSync(join(folder, name), { force: true });
    for (const name of ["client", "server"]) mkdirSync(join(folder, name), { recursive: true });
    for (const name of [MANIFEST, ...names]) renameSync(join(staged, name), join(folder, name));
  } finally {
    rmSync(staged, { recursive: true, force: true });
  }
  if (gone.length > 0) remark(`removed, of an earlier run: ${gone.join(", ")}`);
  return names.sort();
}
