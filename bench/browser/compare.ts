/** The comparison of `bench:browser`: every way on every image, with the networks of onnxruntime-web. */
import { type Codec, create, type Prior } from "latentwire";
import type { Sender } from "../links.js";
import { mean, median } from "../numbers.js";
import { canEncode, centre, DIMS, decodePlanes, FORMATS, Network, planesOf, USUAL_QUALITY } from "./device.js";

/** What the server tells the page: where things are. */
export interface BrowserSetup {
  readonly images: readonly { readonly name: string; readonly url: string }[];
  /** Folders of encoder.onnx, decoder.onnx and tables.json. */
  readonly points: readonly { readonly name: string; readonly url: string }[];
  /** Folder of backbone.onnx and tail.onnx. */
  readonly backbone: string;
}

export type BrowserResults = Awaited<ReturnType<typeof compare>>;

const QUALITIES = [0.1, 0.2, 0.5, USUAL_QUALITY];

/** A way to send an image: the packet of a point, or a picture of a quality. */
type Way = Pick<Sender, "name" | "family"> & { readonly quality?: number };

interface Sample {
  readonly bytes: number;
  /** Whether the answer is the backbone's. */
  readonly agrees: boolean;
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

async function answerOf(network: Network, data: Float32Array, dims: readonly number[]): Promise<number> {
  const { data: logits } = await network.run(data, dims);
  return logits.reduce((best, value, i) => (value > logits[best] ? i : best), 0);
}

async function openPoint(codec: Codec, { name, url }: BrowserSetup["points"][number]): Promise<Point> {
  const prior = codec.factorized(await (await fetch(`${url}/tables.json`)).json());
  return {
    name,
    prior,
    encoder: await Network.open(`${url}/encoder.onnx`),
    decoder: await Network.open(`${url}/decoder.onnx`),
  };
}

/** One way, over the images; milliseconds are medians. */
function row(way: Way, samples: readonly Sample[]) {
  const middle = (time: (sample: Sample) => number) => median(samples.map(time));
  return {
    ...way,
    bytes: mean(samples.map(({ bytes }) => bytes)),
    // Share of the images answered as the backbone answers the image itself.
    agreement: mean(samples.map(({ agrees }) => Number(agrees))),
    encoderMs: middle(({ encoder }) => encoder),
    codecMs: middle(({ codec }) => codec),
    imageMs: middle(({ image }) => image),
    senderMs: middle(({ encoder, codec, image }) => encoder + codec + image),
    receiverMs: middle(({ server }) => server),
  };
}

/** Every way on every image, in this browser for both ends. */
export async function compare(setup: BrowserSetup, passes: number, doing: (what: string) => void) {
  const codec = await create();
  const points: Point[] = [];
  for (const point of setup.points) points.push(await openPoint(codec, point));
  const whole = await Network.open(`${setup.backbone}/backbone.onnx`);
  const tail = await Network.open(`${setup.backbone}/tail.onnx`);

  async function sendLatent(planes: Float32Array, truth: number, point: Point): Promise<Sample> {
    const t0 = performance.now();
    const latent = await point.encoder.run(planes, DIMS);
    const t1 = performance.now();
    const packet = codec.encode({ type: "float32", ...latent }, point.prior);
    const t2 = performance.now();
    const restored = codec.decode(packet, point.prior);
    const features = await point.decoder.run(restored.data, restored.dims);
    const agrees = (await answerOf(tail, features.data, features.dims)) === truth;
    const server = performance.now() - t2;
    return { bytes: packet.length, agrees, encoder: t1 - t0, codec: t2 - t1, image: 0, server };
  }

  async function sendPicture(canvas: OffscreenCanvas, truth: number, options: ImageEncodeOptions): Promise<Sample> {
    const t0 = performance.now();
    const blob = await canvas.convertToBlob(options);
    const t1 = performance.now();
    const agrees = (await answerOf(whole, await decodePlanes(blob), DIMS)) === truth;
    return { bytes: blob.size, agrees, encoder: 0, codec: 0, image: t1 - t0, server: performance.now() - t1 };
  }

  const skipped: string[] = [];
  const formats: (typeof FORMATS)[number][] = [];
  for (const format of FORMATS) {
    if (await canEncode(format.type)) formats.push(format);
    else skipped.push(`${format.name}: this browser writes none from a canvas`);
  }
  const sent = new Map<string, { readonly way: Way; readonly samples: Sample[] }>();
  const send = async (way: Way, once: () => Promise<Sample>) => {
    // The first call of a session is not like the others.
    if (!sent.has(way.name)) await once();
    const samples: Sample[] = sent.get(way.name)?.samples ?? [];
    sent.set(way.name, { way, samples });
    for (let pass = 0; pass < passes; pass++) samples.push(await once());
  };
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
    const planes = planesOf(canvas);
    const truth = await answerOf(whole, planes, DIMS);
    for (let pass = 0; pass < passes; pass++) {
      const start = performance.now();
      await answerOf(whole, planes, DIMS);
      backboneMs.push(performance.now() - start);
    }
    for (const point of points)
      await send({ name: `latentwire ${point.name}`, family: "latentwire" }, () => sendLatent(planes, truth, point));
    for (const { name: family, type } of formats)
      for (const quality of QUALITIES)
        await send({ name: `${family} quality ${100 * quality}`, family, quality }, () =>
          sendPicture(canvas, truth, { type, quality }),
        );
  }
  if (backboneMs.length === 0) throw new Error(`no image could be read: ${skipped.join("; ")}`);
  return {
    agent: navigator.userAgent,
    images: backboneMs.length / passes,
    /** The whole backbone here, on the device. */
    backboneMs: median(backboneMs),
    /** What was left out, and why. */
    skipped,
    rows: [...sent.values()].map(({ way, samples }) => row(way, samples)),
  };
}
