import { type Codec, create, type Prior } from "latentwire";
import { mean, median } from "../numbers.js";
import { canEncode, centre, DIMS, decodePlanes, Network, planesOf } from "./device.js";

/** What the server tells the page: where things are. */
export interface BrowserSetup {
  readonly images: readonly { readonly name: string; readonly url: string; readonly label: number | null }[];
  /** Folders of encoder.onnx, decoder.onnx and tables.json. */
  readonly points: readonly { readonly name: string; readonly url: string }[];
  /** Folder of backbone.onnx and tail.onnx. */
  readonly backbone: string | null;
}

/** A way to send an image, over the images. Milliseconds are medians. */
export interface BrowserRow {
  readonly name: string;
  readonly bytes: number;
  readonly top1: number | null;
  readonly agreement: number | null;
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

async function answerOf(network: Network | undefined, data: Float32Array, dims: readonly number[]) {
  if (network === undefined) return null;
  const { data: logits } = await network.run(data, dims);
  return logits.reduce((best, value, i) => (value > logits[best] ? i : best), 0);
}

async function sendLatent(planes: Float32Array, codec: Codec, point: Point, backbone?: Backbone): Promise<Sample> {
  const t0 = performance.now();
  const latent = await point.encoder.run(planes, DIMS);
  const t1 = performance.now();
  const packet = codec.encode({ type: "float32", ...latent }, point.prior);
  const t2 = performance.now();
  const restored = codec.decode(packet, point.prior);
  const features = await point.decoder.run(restored.data, restored.dims);
  const answer = await answerOf(backbone?.tail, features.data, features.dims);
  const server = performance.now() - t2;
  return { bytes: packet.length, answer, encoder: t1 - t0, codec: t2 - t1, image: 0, server };
}

async function sendPicture(
  canvas: OffscreenCanvas,
  type: string,
  quality: number,
  backbone?: Backbone,
): Promise<Sample> {
  const t0 = performance.now();
  const blob = await canvas.convertToBlob({ type, quality });
  const t1 = performance.now();
  const answer = await answerOf(backbone?.whole, await decodePlanes(blob), DIMS);
  return { bytes: blob.size, answer, encoder: 0, codec: 0, image: t1 - t0, server: performance.now() - t1 };
}

type Classes = readonly (number | null)[];

/** The samples of one way: `passes` for each image, one image after the other. */
function row(name: string, samples: readonly Sample[], labels: Classes, truth: Classes): BrowserRow {
  const passes = samples.length / truth.length;
  const share = (expected: Classes) =>
    samples.some(({ answer }) => answer === null) || expected.includes(null)
      ? null
      : mean(samples.map(({ answer }, i) => Number(answer === expected[Math.floor(i / passes)])));
  const middle = (part: "encoder" | "codec" | "image" | "server") => median(samples.map((sample) => sample[part]));
  return {
    name,
    bytes: mean(samples.map(({ bytes }) => bytes)),
    top1: share(labels),
    agreement: share(truth),
    encoderMs: middle("encoder"),
    codecMs: middle("codec"),
    imageMs: middle("image"),
    serverMs: middle("server"),
  };
}

async function openPoint(codec: Codec, { name, url }: BrowserSetup["points"][number]): Promise<Point> {
  const prior = codec.factorized(await (await fetch(`${url}/tables.json`)).json());
  const [encoder, decoder] = [await Network.open(`${url}/encoder.onnx`), await Network.open(`${url}/decoder.onnx`)];
  return { name, prior, encoder, decoder };
}

async function openBackbone(url: string): Promise<Backbone> {
  return { whole: await Network.open(`${url}/backbone.onnx`), tail: await Network.open(`${url}/tail.onnx`) };
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
  const backbone = setup.backbone === null ? undefined : await openBackbone(setup.backbone);
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
      answer = await answerOf(backbone.whole, planes, DIMS);
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
  return {
    agent: navigator.userAgent,
    images: truth.length,
    backboneMs: backbone === undefined ? null : median(backboneMs),
    backboneTop1:
      backbone === undefined || labels.includes(null)
        ? null
        : mean(truth.map((answer, i) => Number(answer === labels[i]))),
    skipped,
    rows: [...ways].map(([name, samples]) => row(name, samples, labels, truth)),
  };
}
