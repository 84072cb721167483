/** What every way makes of every image, and how long its client takes; kept on the disk, so that a run that was cut off goes on. */
import { createHash } from "node:crypto";
import { appendFileSync, mkdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { bar } from "../command.js";
import { loadPrepared, type Picture } from "../images.js";
import { type ClientMs, nameOf, type ServerMs, type Way } from "./ways.js";

/** Images on which the clients are timed, and on which the server runs even where its answer is known. */
export const TIMED_IMAGES = 40;
/** Work before a client is timed: V8 has compiled what is called often. */
const WARM_UP_MS = 500;

/** What one way made of one image. */
export interface Outcome {
  readonly bytes: number;
  readonly answer: number | null;
  /** Squared difference of the features to those without quantization, over their square; null where it was not computed. */
  readonly featureError: number | null;
  /** Null where the answer is another way's and the server did not have to run. */
  readonly server: ServerMs | null;
}

export const hashOf = ({ rgb }: Picture) => createHash("sha256").update(rgb).digest("hex").slice(0, 16);

export const keyOf = (image: string, way: Way) => [image, way.identity, way.codec, way.setting].join("|");

/** Outcomes and client times, one JSON line each. */
export class Cache {
  private readonly outcomes = new Map<string, Outcome>();
  private readonly clients = new Map<string, ClientMs>();

  private constructor(private readonly file: string) {}

  static open(folder: string): Cache {
    const cache = new Cache(join(folder, "outcomes.jsonl"));
    let lines: string[];
    try {
      mkdirSync(folder, { recursive: true });
      // Whether anything can be kept is known now, not after the first image.
      appendFileSync(cache.file, "");
      lines = readFileSync(cache.file, "utf8").split("\n");
      // The last line is empty, or was cut off: it is done again, behind a line end of its own.
      if (lines.pop() !== "") appendFileSync(cache.file, "\n");
    } catch (error) {
      throw new Error(`--cache DIR has to be a folder that can be written: ${(error as Error).message}`);
    }
    for (const line of lines) {
      try {
        const { key, client, ...outcome } = JSON.parse(line);
        if ("bytes" in outcome) cache.outcomes.set(key, outcome);
        else cache.clients.set(key, client);
      } catch {}
    }
    return cache;
  }

  get(key: string): Outcome | undefined {
    return this.outcomes.get(key);
  }

  add(key: string, outcome: Outcome): void {
    this.outcomes.set(key, outcome);
    appendFileSync(this.file, `${JSON.stringify({ key, ...outcome })}\n`);
  }

  clientMs(key: string): ClientMs | undefined {
    return this.clients.get(key);
  }

  addClientMs(key: string, client: ClientMs): void {
    this.clients.set(key, client);
    appendFileSync(this.file, `${JSON.stringify({ key, client })}\n`);
  }
}

/** Per way, an outcome per image; shorter than the images where the way takes only the first of them. A way that cannot take the model's latents is not there. */
export interface Evaluation {
  readonly images: string[];
  readonly outcomes: Map<Way, Outcome[]>;
  readonly skipped: string[];
}

function relativeError(features: Float32Array, reference: Float32Array): number {
  let difference = 0;
  let square = 0;
  for (let i = 0; i < features.length; i++) {
    difference += (features[i] - reference[i]) ** 2;
    square += reference[i] ** 2;
  }
  return square === 0 ? 0 : difference / square;
}

async function measure(way: Way, picture: Picture, runServer: boolean, known: Outcome | undefined): Promise<Outcome> {
  const { message } = await way.client(picture);
  const { length: bytes } = message;
  if (!runServer && known !== undefined) return { ...known, bytes, server: null };
  const { answer, features, ms: server } = await way.server(message);
  // The answer says more than the error, and costs no second pass of the decoder.
  const wanted = answer === null && features !== null && way.unquantized !== undefined;
  const featureError = wanted ? relativeError(features, await way.unquantized!(picture)) : null;
  return { bytes, answer, featureError, server };
}

/** Every way on every image, image by image; what the cache knows is not done again. */
export async function evaluate(files: readonly string[], ways: readonly Way[], cache: Cache): Promise<Evaluation> {
  const images: string[] = [];
  const skipped: string[] = [];
  const outcomes = new Map<Way, Outcome[]>(ways.map((way) => [way, []]));
  const progress = bar("images", files.length);
  const warm = new Set<Way>();
  for (const file of files) {
    progress.step(basename(file));
    let picture: Picture;
    try {
      picture = await loadPrepared(file);
    } catch (error) {
      skipped.push(`${file}: ${(error as Error).message}`);
      continue;
    }
    const hash = hashOf(picture);
    const place = images.length;
    for (const way of ways) {
      if (place >= way.images || !outcomes.has(way)) continue;
      const key = keyOf(hash, way);
      const timed = place < TIMED_IMAGES;
      let outcome = cache.get(key);
      // In another list of images this one may have come later, where the server did not run.
      if (outcome === undefined || (timed && outcome.server === null)) {
        try {
          // The first call of a network or an encoder is not like the others.
          if (!warm.has(way)) await way.server((await way.client(picture)).message);
          warm.add(way);
          const known = way.answersAs && cache.get(keyOf(hash, way.answersAs));
          outcome = await measure(way, picture, timed, known);
        } catch (error) {
          // An own model's symbols may not fit the int8 that others send; its packets carry them all the same.
          if (way.family !== "latent") throw error;
          outcomes.delete(way);
          skipped.push(`${nameOf(way)}: ${(error as Error).message} (${picture.name})`);
          continue;
        }
        cache.add(key, outcome);
      }
      outcomes.get(way)?.push(outcome);
    }
    images.push(picture.name);
  }
  progress.stop();
  return { images, outcomes, skipped };
}

/**
 * Times every way's client as a device works that sends a stream of frames: image after image, and nothing of the server in between, whose networks
 * would take the caches from it. What the cache knows is not done again.
 */
export async function timeClients(
  pictures: readonly Picture[],
  ways: readonly Way[],
  cache: Cache,
): Promise<Map<Way, ClientMs[]>> {
  const frames = pictures.map((picture) => ({ picture, hash: hashOf(picture) }));
  const progress = bar("clients", ways.length);
  const times = new Map<Way, ClientMs[]>();
  for (const way of ways) {
    progress.step(nameOf(way));
    const known = (hash: string) => cache.clientMs(keyOf(hash, way));
    const missing = frames.filter(({ hash }) => known(hash) === undefined);
    const start = performance.now();
    for (let i = 0; missing.length > 0 && performance.now() < start + WARM_UP_MS; i++)
      await way.client(missing[i % missing.length].picture);
    for (const { picture, hash } of missing) {
      cache.addClientMs(keyOf(hash, way), (await way.client(picture)).ms);
    }
    times.set(
      way,
      frames.map(({ hash }) => known(hash)!),
    );
  }
  progress.stop();
  return times;
}
