/** The server of the page: a Worker that gets bytes and answers with labels. */
import { type Codec, CodecError, create } from "latentwire";
import { DIMS, Network } from "../../bench/browser/device.js";
import { strengths } from "../../bench/numbers.js";
import { type Answer, type Guess, type Ladder, loadLadder, loadSetup, type PointSetup, type Request } from "./setup.js";

const SHOWN = 5;

/** A network is loaded once, when it is first needed. */
const networks = new Map<string, Promise<Network>>();
function network(url: string): Promise<Network> {
  const loading = networks.get(url) ?? Network.open(url);
  networks.set(url, loading);
  loading.catch(() => networks.delete(url));
  return loading;
}

async function open() {
  const [setup, codec] = await Promise.all([loadSetup(), create()]);
  const labels = (await (await fetch(setup.labels)).text()).trim().split("\n").slice(1);
  // The first packet will need these.
  const first = setup.points.find(({ name }) => name === setup.first)!;
  await Promise.all([setup.tail, ...(first.decoder ? [first.decoder] : [])].map(network));
  const points = [first, ...setup.points.filter((point) => point !== first)];
  return { codec, setup, points, labels: labels.map((line) => line.split(",")[0]!) };
}

const opened = open();

const ladders = new Map<string, Promise<Ladder>>();
function ladder(codec: Codec, point: PointSetup): Promise<Ladder> {
  const loading = ladders.get(point.name) ?? loadLadder(codec, point);
  ladders.set(point.name, loading);
  loading.catch(() => ladders.delete(point.name));
  return loading;
}

/** Which prior a packet was coded under: the packet says so by its fingerprint. */
async function decode(codec: Codec, packet: Uint8Array, points: readonly PointSetup[]) {
  for (const point of points) {
    const { context, fixed } = await ladder(codec, point);
    const start = performance.now();
    try {
      const latent = codec.decode(packet, [...context, ...fixed]);
      return { point, latent, decodeMs: performance.now() - start };
    } catch (error) {
      const foreign = error instanceof CodecError && (error.code === "WRONG_PRIOR" || error.code === "SHAPE_MISMATCH");
      if (!foreign) throw error;
    }
  }
  throw new CodecError("WRONG_PRIOR", "this packet was coded under none of the page's priors");
}

function guessesOf(logits: Float32Array, labels: readonly string[]): Guess[] {
  const highest = Math.max(...logits);
  const weights = Array.from(logits, (logit) => Math.exp(logit - highest));
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return weights
    .map((weight, i) => ({ class: i, label: labels[i] ?? String(i), probability: weight / sum }))
    .sort((a, b) => b.probability - a.probability)
    .slice(0, SHOWN);
}

async function answer(request: Request): Promise<Answer> {
  const { codec, setup, points, labels } = await opened;
  const tail = await network(setup.tail);
  if ("planes" in request) {
    const head = await network(setup.head);
    const start = performance.now();
    const features = await head.run(request.planes, DIMS);
    const guesses = guessesOf((await tail.run(features.data, features.dims)).data, labels);
    return { guesses, decodeMs: 0, networkMs: performance.now() - start };
  }
  const { point, latent, decodeMs } = await decode(codec, request.packet, points);
  const decoder = point.decoder === undefined ? undefined : await network(point.decoder);
  const start = performance.now();
  const features = decoder === undefined ? latent : await decoder.run(latent.data, latent.dims);
  const guesses = guessesOf((await tail.run(features.data, features.dims)).data, labels);
  const networkMs = performance.now() - start;
  return { guesses, point: point.name, strength: strengths(features), decodeMs, networkMs };
}

// One request after another, as they came.
let queue: Promise<unknown> = opened.then(
  () => postMessage({ ready: true }),
  (error: unknown) => postMessage({ failed: String(error) }),
);

addEventListener("message", ({ data }: MessageEvent<{ id: number; request: Request }>) => {
  queue = queue
    .then(() => answer(data.request))
    .then(
      (found) => postMessage({ id: data.id, answer: found }),
      (error: unknown) => {
        const { code, message } = error as { code?: string; message?: string };
        postMessage({ id: data.id, error: code === undefined ? String(message ?? error) : `${code}: ${message}` });
      },
    );
});
