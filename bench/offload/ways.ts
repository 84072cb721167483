import { readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { init as zstdInit } from "@bokuweb/zstd-wasm";
import { create } from "latentwire";
import sharp from "sharp";
import { Backbone } from "./backbone.js";
import { fingerprint } from "./fingerprint.js";
import { Model, pointFolders } from "./model.js";
import { pictureWays } from "./picture-ways.js";
import { splitWays } from "./split-ways.js";
import type { Way } from "./way.js";

/** What decides which ways there are: the same on both ends of the link. */
export interface Setup {
  readonly model: string;
  readonly backbone: string | undefined;
  readonly threads: number;
}

const STEPS = [1, 1.25, 1.5, 2];

const require = createRequire(import.meta.url);

/** What answers and milliseconds depend on beside the model: the runtimes, the build of the codec, the threads. */
function engineOf(threads: number): string {
  const built = dirname(require.resolve("latentwire"));
  const scripts = readdirSync(built).filter((name) => name.endsWith(".js"));
  const codec = fingerprint(scripts.sort().map((name) => join(built, name)));
  const runtime = require("onnxruntime-node/package.json").version;
  return `${codec}-node ${process.version}-ort ${runtime}-threads ${threads}`;
}

export async function openWays({ model, backbone: folder, threads }: Setup) {
  sharp.concurrency(threads);
  await zstdInit();
  const codec = await create();
  const engine = engineOf(threads);
  const backbone = folder === undefined ? undefined : await Backbone.open(folder, threads);
  const models: Model[] = [];
  for (const point of pointFolders(model)) models.push(await Model.open(point, threads));
  const split = models.flatMap((point) => splitWays(codec, point, backbone, STEPS, engine));
  const ways: Way[] = [...split, ...pictureWays(backbone, engine)];
  return { codec, models, backbone, ways };
}
