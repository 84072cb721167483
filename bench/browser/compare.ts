import { type Codec, create, type Prior } from "latentwire";
import { mean, median } from "../numbers.js";
import { canEncode, centre, DIMS, decodePlanes, encodeCanvas, planesOf } from "./canvas.js";
import { Network } from "./runtime.js";
import type { BrowserSetup } from "./setup.js";

/** A way to send an image, over the images. */
export interface BrowserRow {
  readonly name: string;
  readonly bytes: number;
  readonly top1: number | null;
  readonly agreement: number | null;
  /** Medians. */
  readonly encoderMs: number;
  readonly codecMs: number;
  readonly imageMs: number;
  readonly serverMs: number;
}

export interface BrowserResults {
  readonly agent: string;
  readonly images: number;
  /** The whole backbone here, on the device; null where there is none. */
  readonly backboneMs: number | null;
  readonly backboneTop1: number | null;
  readonly rows: BrowserRow[];
  /** What was left out, and why. */
  readonly skipped: string[];
}

const QUALITIES = [0.1, 0.2, 0.5, 0.75];
const FORMATS = [
  { name: "JPEG", type: "image/jpeg" },
  { name: "WebP", type: "image/webp" },
];

interface Sample {
  readonly bytes: number;
  readonly answer: number | null;
  readonly encoder: number;
  readonly codec: number;
  readonly image: number;
  readonly server: number;
}

interface Point {
  readonly name: string;
  readonly prior: Prior;
  readonly encoder: Network;
  readonly decoder: Network;
}

interface Backbone {
  readonly whole: Network;
  readonly tail: Network;
}

const highest = (logits: ArrayLike<number>) =>
  Array.from(logits).reduce((best, value, i) => (value > logits[best] ? i : best), 0);

async function sendLatent(planes: Float32Array, codec: Codec, point: Point, backbone?: Backbone): Promise<Sample> {
  const t0 = performance.now();
  const latent = await point.encoder.run(planes, DIMS);
  const t1 = performance.now();
  const packet = codec.encode(latent, point.prior);
  const t2 = performance.now();
  const restored = codec.decode(packet, point.prior);
  const features = await point.decoder.run(restored.data, restored.dims);
  const logits = await backbone?.tail.run(features.data as Float32Array, features.dims);
  const server = performance.now() - t2;
  const answer = logits === undefined ? null : highest(logits.data as Float32Array);
  return { bytes: packet.length, answer, encoder: t1 - t0, codec: t2 - t1, image: 0, server };
}

async function sendPicture(
  canvas: OffscreenCanvas,
  type: string,
  quality: number,
  backbone?: Backbone,
): Promise<Sample> {
  const t0 = performance.now();
  const blob = await encodeCanvas(canvas, type, quality);
  const t1 = performance.now();
  const planes = await decodePlanes(blob);
  const logits = await backbone?.whole.run(planes, DIMS);
  const server = performance.now() - t1;
  const answer = logits === undefined ? null : highest(logits.data as Float32Array);
  return { bytes: blob.size, answer, encoder: 0, codec: 0, image: t1 - t0, server };
}

/** The samples of one way: `passes` for each image, one image after the other. */
function row(
  name: string,
  samples: readonly Sample[],
  labels: readonly (number | null)[],
  truth: readonly (number | null)[],
): BrowserRow {
  const passes = samples.length / truth.length;
  const share = (expected: readonly (number | null)[]) =>
    samples.some(({ answer }) => answer === null) || expected.includes(null)
      ? null
      : mean(samples.map(({ answer }, i) => Number(answer === expected[Math.floor(i / passes)])));
  return {
    name,
    bytes: mean(samples.map(({ bytes }) => bytes)),
    top1: share(labels),
    agreement: share(truth),
    encoderMs: median(samples.map(({ encoder }) => encoder)),
    codecMs: median(samples.map(({ codec }) => codec)),
    imageMs: median(samples.map(({ image }) => image)),
    serverMs: median(samples.map(({ server }) => server)),
  };
}

async function openPoint(codec: Codec, { name, url }: BrowserSetup["points"][number]): Promise<Point> {
  const prior = codec.factorized(await (await fetch(`${url}/tables.json`)).json());
  const [encoder, decoder] = [await Network.open(`${url}/encoder.onnx`), await Network.open(`${url}/decoder.onnx`)];
  return { name, prior, encoder, decoder };
}

/** Every way on every image, in this browser for both ends. */
export async function compare(
  setup: BrowserSetup,
  passes: number,
  doing: (what: string) => void,
): Promise<BrowserResults> {
  const codec = await create();
  const points: Point[] = [];
  for (const point of setup.points) points.push(await openPoint(codec, point));
  const backbone =
    setup.backbone === null
      ? undefined
      : {
          whole: await Network.open(`${setup.backbone}/backbone.onnx`),
          tail: await Network.open(`${setup.backbone}/tail.onnx`),
        };
  const ways = new Map<string, Sample[]>();
  const truth: (number | null)[] = [];
  const labels: (number | null)[] = [];
  const skipped: string[] = [];
  const formats = [];
  for (const format of FORMATS) {
    if (await canEncode(format.type)) formats.push(format);
    else skipped.push(`${format.name}: this browser writes none from a canvas`);
  }
  const backboneMs: number[] = [];
  for (const [i, image] of setup.images.entries()) {
    doing(`${image.name}, ${i + 1} of ${setup.images.length}`);
    let canvas: OffscreenCanvas;
    try {
      canvas = await centre(await (await fetch(image.url)).blob());
    } catch (error) {
      skipped.push(`${image.name}: ${(error as Error).message}`);
      continue;
    }
    labels.push(image.label);
    const planes = planesOf(canvas);
    const send = async (name: string, once: () => Promise<Sample>) => {
      // The first call of a session is not like the others.
      if (!ways.has(name)) await once();
      const samples = ways.get(name) ?? [];
      ways.set(name, samples);
      for (let pass = 0; pass < passes; pass++) samples.push(await once());
    };
    let answer: number | null = null;
    for (let pass = 0; backbone !== undefined && pass <= passes; pass++) {
      const start = performance.now();
      answer = highest((await backbone.whole.run(planes, DIMS)).data as Float32Array);
      if (pass > 0) backboneMs.push(performance.now() - start);
    }
    truth.push(answer);
    for (const point of points)
      await send(`latentwire ${point.name}`, () => sendLatent(planes, codec, point, backbone));
    for (const { name, type } of formats)
      for (const quality of QUALITIES)
        await send(`${name} ${quality}`, () => sendPicture(canvas, type, quality, backbone));
  }
  if (truth.length === 0) throw new Error(`no image could be read: ${skipped.join("; ")}`);
  const right = truth.map((answer, i) => Number(answer === labels[i]));
  return {
    agent: navigator.userAgent,
    images: truth.length,
    backboneMs: backbone === undefined ? null : median(backboneMs),
    backboneTop1: backbone === undefined || labels.includes(null) ? null : mean(right),
    skipped,
    rows: [...ways].map(([name, samples]) => row(name, samples, labels, truth)),
  };
}
