import { basename } from "node:path";
import { loadPrepared, type Picture } from "../images.js";
import { bar } from "../terminal.js";
import { type Cache, hashOf, keyOf, type Outcome } from "./cache.js";
import { nameOf, type Way } from "./way.js";

/** Images on which the server runs even where its answer is known, so that it is timed. */
const TIMED_IMAGES = 40;

/** Per way, an outcome per image; shorter than the images where the way takes only the first of them. A way that cannot take the model's latents is not there. */
export interface Evaluation {
  readonly images: string[];
  readonly outcomes: Map<Way, Outcome[]>;
  readonly skipped: string[];
  readonly stopped: boolean;
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
  if (!runServer && known !== undefined)
    return { bytes, answer: known.answer, featureError: known.featureError, server: null };
  const { answer, features, ms: server } = await way.server(message);
  // The answer says more than the error, and costs no second pass of the decoder.
  const wanted = answer === null && features !== null && way.unquantized !== undefined;
  const featureError = wanted ? relativeError(features, await way.unquantized!(picture)) : null;
  return { bytes, answer, featureError, server };
}

/** Every way on every image, image by image; what the cache knows is not done again. */
export async function evaluate(
  files: readonly string[],
  ways: readonly Way[],
  cache: Cache,
  stop: AbortSignal,
): Promise<Evaluation> {
  const images: string[] = [];
  const skipped: string[] = [];
  const outcomes = new Map<Way, Outcome[]>(ways.map((way) => [way, []]));
  const progress = bar("images", files.length, false);
  const warm = new Set<Way>();
  for (const file of files) {
    if (stop.aborted) break;
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
      if (place >= way.images || stop.aborted || !outcomes.has(way)) continue;
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
    if (!stop.aborted) images.push(picture.name);
  }
  progress.stop();
  return { images, outcomes, skipped, stopped: stop.aborted };
}
