import { init as zstdInit } from "@bokuweb/zstd-wasm";
import { create } from "latentwire";
import sharp from "sharp";
import { Backbone } from "./backbone.js";
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

export async function openWays({ model, backbone: folder, threads }: Setup) {
  sharp.concurrency(threads);
  await zstdInit();
  const codec = await create();
  const backbone = folder === undefined ? undefined : await Backbone.open(folder, threads);
  const models: Model[] = [];
  for (const point of pointFolders(model)) models.push(await Model.open(point, threads));
  const split = models.flatMap((point) => splitWays(codec, point, backbone, STEPS));
  const ways: Way[] = [...split, ...pictureWays(backbone)];
  return { codec, models, backbone, ways };
}
