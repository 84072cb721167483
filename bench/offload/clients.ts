import type { Picture } from "../images.js";
import { bar } from "../terminal.js";
import { type Cache, hashOf, keyOf } from "./cache.js";
import { type ClientMs, nameOf, type Way } from "./way.js";

/** Images on which the clients are timed. */
const TIMED_IMAGES = 40;
/** Work before that: V8 has compiled what is called often. */
const WARM_UP_MS = 500;

/**
 * Times every way's client as a device works that sends a stream of frames: image after image, and nothing of the server in between, whose networks
 * would take the caches from it. What the cache knows is not done again.
 */
export async function timeClients(
  pictures: readonly Picture[],
  ways: readonly Way[],
  cache: Cache,
  stop: AbortSignal,
): Promise<Map<Way, ClientMs[]>> {
  const frames = pictures.slice(0, TIMED_IMAGES).map((picture) => ({ picture, hash: hashOf(picture) }));
  const progress = bar("clients", ways.length, false);
  const times = new Map<Way, ClientMs[]>();
  for (const way of ways) {
    progress.step(nameOf(way));
    const missing = frames.filter(({ hash }) => cache.clientMs(keyOf(hash, way)) === undefined);
    const start = performance.now();
    for (let i = 0; missing.length > 0 && performance.now() < start + WARM_UP_MS && !stop.aborted; i++)
      await way.client(missing[i % missing.length].picture);
    for (const { picture, hash } of missing) {
      if (stop.aborted) break;
      cache.addClientMs(keyOf(hash, way), (await way.client(picture)).ms);
    }
    if (stop.aborted) break;
    times.set(
      way,
      frames.map(({ hash }) => cache.clientMs(keyOf(hash, way))!),
    );
  }
  progress.stop();
  return times;
}
