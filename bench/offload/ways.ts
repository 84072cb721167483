/** Every way to send an image: a packet of a split model, its latent without an entropy codec, a picture. */
import { readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { init as zstdInit } from "@bokuweb/zstd-wasm";
import { type Codec, create, type Prior, type TensorLike } from "latentwire";
import sharp from "sharp";
import { narrow, widen } from "../../bindings/float16.js";
import { COMPRESSORS, type Squeeze } from "../contenders.js";
import { contextsOf } from "../contexts.js";
import { type Picture, toPlanes } from "../images.js";
import { encodePicture, type Format } from "../pictures.js";
import { Backbone, fingerprint, Model, pointFolders } from "./networks.js";

/** Milliseconds before the first byte can leave. */
export interface ClientMs {
  readonly encoder: number;
  /** The entropy codec, or the general-purpose compressor in its place. */
  readonly codec: number;
  readonly image: number;
}

/** Milliseconds after the last byte has come. */
export interface ServerMs {
  readonly codec: number;
  readonly image: number;
  readonly decoder: number;
  /** The tail behind the split, or the whole backbone. */
  readonly network: number;
}

export const totalMs = (parts: ClientMs | ServerMs): number =>
  Object.values(parts).reduce((sum, part) => sum + part, 0);

export interface Received {
  /** The class of the highest logit; null where there is no backbone. */
  readonly answer: number | null;
  /** The decoder's output; null where a picture was sent. */
  readonly features: Float32Array | null;
  readonly ms: ServerMs;
}

/** One way to send an image: what the device does with it and what the server does with the message. */
export interface Way {
  readonly codec: string;
  readonly setting: string;
  /** `context`: `latentwire` under a context prior; `cut`: the same of a network that is cut without training. */
  readonly family: "latentwire" | "context" | "cut" | "cut context" | "latent" | Format;
  /** The files and versions that its results depend on, beside the image. */
  readonly identity: string;
  /** At most so many images, because its encoder is slow; Infinity where it is not. */
  readonly images: number;
  /** The way whose message carries the same symbols, so that its answers are this one's too. */
  readonly answersAs?: Way;
  client(picture: Picture): Promise<{ message: Uint8Array; ms: ClientMs }>;
  server(message: Uint8Array): Promise<Received>;
  /** The decoder's output from the latent before it was quantized; absent where a picture is sent. */
  unquantized?(picture: Picture): Promise<Float32Array>;
}

export const nameOf = ({ codec, setting }: { codec: string; setting: string }) => `${codec} ${setting}`.trim();

/** What decides which ways there are. */
interface Setup {
  readonly model: string;
  readonly backbone: string | undefined;
  readonly threads: number;
}

const STEPS = [1, 1.25, 1.5, 2];
const CUTS = fileURLToPath(new URL("../backbone/cuts", import.meta.url));
/** Of one size, the default, at any step. */
const CONTEXTS = /^context-default(-step[\d.]+)?\.lwb$/;
/** AVIF's encoder and compressors of the highest levels take several times as long as the others. */
const SLOW_IMAGES = 100;
const QUALITIES: readonly (readonly [Format, readonly number[]])[] = [
  // PNG first: it loses nothing, so its answers are those of the backbone on the image itself.
  ["PNG", [100]],
  ["JPEG", [5, 10, 20, 30, 50, 75, 90]],
  ["mozjpeg", [5, 10, 20, 30, 50, 75, 90]],
  ["WebP", [1, 5, 10, 20, 35, 50, 75, 90]],
  ["AVIF", [10, 25, 40, 60]],
];

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
  const backbone = folder === undefined ? undefined : await Backbone.open(folder, threads);
  const models: Model[] = [];
  for (const point of pointFolders(model)) models.push(await Model.open(point, threads));
  const engine = `${backbone?.identity ?? "no backbone"}-${engineOf(threads)}`;
  const split = models.flatMap((point) => splitWays(codec, point, backbone, engine));
  const cut = backbone?.isBundled ? await cutWays(codec, backbone, engine, threads) : [];
  const pictures = QUALITIES.flatMap(([format, qualities]) =>
    qualities.map((quality) => pictureWay(format, quality, backbone, engine)),
  );
  return { codec, ways: [...split, ...cut, ...pictures] };
}

/** From the encoder network's latent to a message and back. */
interface Packer {
  pack(latent: TensorLike): Uint8Array;
  /** `dims` for messages that do not carry their shape. */
  unpack(message: Uint8Array, dims: readonly number[]): { data: Float32Array; dims: readonly number[] };
}

const packet = (codec: Codec, prior: Prior): Packer => ({
  pack: (latent) => codec.encode(latent, prior),
  unpack: (message) => codec.decode(message, prior),
});

/** The latent as it lies in memory. */
const float16: Packer = {
  pack({ data }) {
    const half = narrow(data as Float32Array);
    return new Uint8Array(half.buffer, half.byteOffset, half.byteLength);
  },
  unpack: (message, dims) => ({ data: widen(message), dims }),
};

/** The symbols of step 1 as bytes, under a general-purpose compressor. */
function int8(codec: Codec, prior: Prior, squeeze: Squeeze, expand: Squeeze): Packer {
  return {
    pack(latent) {
      const { data } = codec.quantize(latent, prior, { type: "int8" });
      return squeeze(new Uint8Array(data.buffer, data.byteOffset, data.length));
    },
    unpack(message, dims) {
      const bytes = expand(message);
      const symbols = { type: "int8", dims, data: new Int8Array(bytes.buffer, bytes.byteOffset, bytes.length) };
      return { data: codec.dequantize(symbols, prior).data, dims };
    },
  };
}

/** Makes ways that send a model's latent, each in its own form. */
const senderOf =
  (model: Model, backbone: Backbone | undefined, engine: string) =>
  (codec: string, setting: string, packer: Packer, rest: Partial<Way>): Way => ({
    codec,
    setting,
    family: "latent",
    images: Number.POSITIVE_INFINITY,
    identity: `${model.identity}-${engine}`,
    ...rest,
    async client(picture) {
      const t0 = performance.now();
      const latent = await model.latent(picture.planes);
      const t1 = performance.now();
      const message = packer.pack(latent);
      return { message, ms: { encoder: t1 - t0, codec: performance.now() - t1, image: 0 } };
    },
    async server(message) {
      const t0 = performance.now();
      const { data, dims } = packer.unpack(message, model.latentDims);
      const t1 = performance.now();
      const features = await model.features(data, dims);
      const t2 = performance.now();
      const answer = backbone === undefined ? null : await model.answer(backbone, features);
      const ms = { codec: t1 - t0, image: 0, decoder: t2 - t1, network: performance.now() - t2 };
      return { answer, features: features.data, ms };
    },
    async unquantized(picture) {
      const { data, dims } = await model.latent(picture.planes);
      return (await model.features(data, dims)).data;
    },
  });

/** A model point at several quantization steps, and what people send today instead of a packet. */
function splitWays(codec: Codec, model: Model, backbone: Backbone | undefined, engine: string): Way[] {
  const way = senderOf(model, backbone, engine);
  const settingOf = (step: number) => (step === 1 ? model.name : `${model.name} step ${step}`);
  const priors = STEPS.map((step) => model.prior(codec, step));
  const ours = STEPS.map((step, s) =>
    way("latentwire", settingOf(step), packet(codec, priors[s]), { family: "latentwire" }),
  );
  const contexts = contextsOf(codec, model.folder, CONTEXTS).map(({ file, prior }) => {
    const identity = `${model.identity}-${engine}-${fingerprint([file])}`;
    return way("latentwire", `${settingOf(prior.step)} context`, packet(codec, prior), { family: "context", identity });
  });
  const { deflate, brotli, zstd } = COMPRESSORS;
  const asIs = (bytes: Uint8Array) => bytes;
  const symbols = (name: string, [squeeze, expand]: readonly [Squeeze, Squeeze], images = Number.POSITIVE_INFINITY) =>
    way(name, model.name, int8(codec, priors[0], squeeze, expand), { images, answersAs: ours[0] });
  return [
    ...ours,
    ...contexts,
    way("latent float16", model.name, float16, {}),
    symbols("latent int8", [asIs, asIs]),
    symbols("int8 deflate", deflate),
    symbols("int8 brotli", brotli, SLOW_IMAGES),
    symbols("int8 zstd", zstd, SLOW_IMAGES),
  ];
}

/** The backbone's own tensors where it is cut, quantized as bench/backbone/cuts says: nothing was trained for it but the tables. */
async function cutWays(codec: Codec, backbone: Backbone, engine: string, threads: number): Promise<Way[]> {
  const ways: Way[] = [];
  for (const context of contextsOf(codec, CUTS, /\.lwb$/)) {
    const [tensor, step] = context.name.split("-step");
    const model = await Model.cut(backbone, tensor, context.file, threads);
    const way = senderOf(model, backbone, engine);
    const fixed = way("untrained", `${tensor} step ${step}`, packet(codec, context.fixed), { family: "cut" });
    const rest = { family: "cut context", answersAs: fixed } as const;
    ways.push(fixed, way("untrained", `${fixed.setting} context`, packet(codec, context.prior), rest));
  }
  return ways;
}

const { vips, jpeg, mozjpeg, webp, heif, aom, png } = sharp.versions as Record<string, string | undefined>;
const ENCODERS = [vips, jpeg, mozjpeg, webp, heif, aom, png].filter(Boolean).join(" ");

function pictureWay(format: Format, quality: number, backbone: Backbone | undefined, engine: string): Way {
  return {
    codec: format,
    setting: format === "PNG" ? "" : String(quality),
    family: format,
    identity: `${ENCODERS}-${engine}`,
    images: format === "AVIF" ? SLOW_IMAGES : Number.POSITIVE_INFINITY,
    async client({ rgb }) {
      const t0 = performance.now();
      const message = await encodePicture(rgb, format, quality);
      return { message, ms: { encoder: 0, codec: 0, image: performance.now() - t0 } };
    },
    async server(message) {
      const t0 = performance.now();
      const planes = toPlanes(await sharp(message).toColourspace("srgb").removeAlpha().raw().toBuffer());
      const t1 = performance.now();
      const answer = backbone === undefined ? null : await backbone.whole(planes);
      return { answer, features: null, ms: { codec: 0, image: t1 - t0, decoder: 0, network: performance.now() - t1 } };
    },
  };
}
