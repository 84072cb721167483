import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { type Codec, create, type Prior } from "latentwire";
import sharp from "sharp";
import { subgraph } from "./backbone/subgraph.js";
import { contextsOf } from "./contexts.js";
import { type Picture, toPlanes } from "./images.js";
import { IMAGE, Network } from "./offload/networks.js";
import { encodePicture, type Format, pictureNear } from "./pictures.js";
import { quantize as plainQuantize } from "./plain.js";

/** The operating points of bench/model. */
export const POINTS = ["low", "mid", "high"];
/** The tensor of backbone.onnx that the decoder network restores. */
export const SPLIT = "v71";
/** Passes that are timed, after one that is not. */
export const PASSES = 15;
/** Calls after which V8 has compiled the codec for good; the first image would pay for it otherwise. */
const WARM_UP_CALLS = 40;

/** What the bytes of a packet are, in the words of the terminal and of the reports. */
export const BYTE_RULE =
  "bytes: the packet as it would be sent: header with shape and table fingerprint, stream and checksum";

/** Every step from the photograph to the label, in order. A picture needs neither the encoder network nor the decoder network. */
export const STEPS = ["encoder", "encode", "decode", "decoder", "network"] as const;
type Step = (typeof STEPS)[number];
export type Milliseconds = Readonly<Record<Step, number>>;
export const eachStep = (time: (step: Step) => number) =>
  Object.fromEntries(STEPS.map((step) => [step, time(step)])) as unknown as Milliseconds;

export interface Answer {
  /** 0..999. Two classes can have one name. */
  readonly class: number;
  readonly label: string;
  readonly probability: number;
}

export interface PacketResult {
  readonly bytes: number;
  readonly answer: Answer;
  /** Of each step the fastest pass. */
  readonly ms: Milliseconds;
  readonly dims: readonly number[];
  readonly symbols: number;
  readonly lanes: number;
  /** What its probabilities allow (`codec.rate`), values of escapes included. */
  readonly ideal: { readonly bytes: number; readonly escapes: number };
  /** The decoded symbols are those of the quantized latent, and the decoded latent is its dequantized form, bit for bit. */
  readonly exact: boolean;
  /** The decoder network's output. */
  readonly features: { readonly dims: readonly number[]; readonly data: Float32Array };
}

export interface Quality {
  readonly format: Format;
  readonly quality: number;
}

export interface PictureResult extends Quality {
  readonly file: Buffer;
  readonly answer: Answer;
  readonly ms: Milliseconds;
}

/** One image on every way to its label. */
export interface ImageResult {
  readonly name: string;
  /** Of the whole network, on what the encoder network sees. */
  readonly original: Answer;
  readonly packet: PacketResult;
  /** The same latent in a packet without the context. */
  readonly staticRows: { readonly bytes: number; readonly ms: Milliseconds };
  /** JPEG and WebP of about the packet's bytes; timed once. */
  readonly sameBytes: readonly PictureResult[];
  /** At the qualities that were asked for. */
  readonly pictures: readonly PictureResult[];
}

const here = (name: string) => new URL(name, import.meta.url);
const bytesOf = (name: string) => new Uint8Array(readFileSync(here(name)));

interface Priors {
  readonly context: Prior;
  /** The same rows without the context. */
  readonly fixed: Prior;
}

export class Pipeline {
  private warm = false;

  private constructor(
    readonly codec: Codec,
    private readonly priors: Priors,
    private readonly labels: readonly string[],
    private readonly networks: Readonly<Record<"encoder" | "decoder" | "rest" | "whole", Network>>,
  ) {}

  static async open(point: string, threads: number): Promise<Pipeline> {
    const codec = await create();
    const folder = `model/points/${point}`;
    const [{ prior, fixed }] = contextsOf(codec, fileURLToPath(here(folder)), /^context-default\.lwb$/);
    // Line 1 is the background class, which the network does not have; of several names the first is enough.
    const lines = readFileSync(here("backbone/labels.txt"), "utf8").trim().split("\n").slice(1);
    const labels = lines.map((line) => line.split(",")[0]!);
    const whole = bytesOf("backbone/backbone.onnx");
    const open = (model: Uint8Array) => Network.open(model, threads);
    return new Pipeline(codec, { context: prior, fixed }, labels, {
      encoder: await open(bytesOf(`${folder}/encoder.onnx`)),
      decoder: await open(bytesOf(`${folder}/decoder.onnx`)),
      rest: await open(subgraph(whole, SPLIT, "logits")),
      whole: await open(whole),
    });
  }

  /** One image as it is, as a packet with and without the context, as JPEG and WebP of the packet's bytes, and as pictures of the given qualities. */
  async run(picture: Picture, qualities: readonly Quality[]): Promise<ImageResult> {
    const { codec, priors } = this;
    const { context, fixed } = priors;
    const first = await this.sendPacket(picture, context);
    if (!this.warm) {
      for (const prior of [context, fixed])
        for (let call = 0; call < WARM_UP_CALLS; call++) codec.decode(codec.encode(first.latent, prior), prior);
      this.warm = true;
    }
    const sameBytes: PictureResult[] = [];
    for (const format of ["JPEG", "WebP"] as const) {
      const { quality } = await pictureNear(picture.rgb, format, first.packet.length);
      sameBytes.push(await this.sendPicture(picture, { format, quality }));
    }
    const pictures: PictureResult[] = [];
    for (const quality of qualities) pictures.push(await this.sendPicture(picture, quality));
    // The ways take turns, and the fastest pass counts: other work on the machine only adds time, and not to all ways alike.
    const ways = [
      () => this.sendPacket(picture, context),
      () => this.sendPacket(picture, fixed),
      ...qualities.map((quality) => () => this.sendPicture(picture, quality)),
    ].map((send) => ({ send, passes: [] as Milliseconds[] }));
    for (let pass = 0; pass < PASSES; pass++) for (const { send, passes } of ways) passes.push((await send()).ms);
    const fastest = ways.map(({ passes }) => eachStep((step) => Math.min(...passes.map((ms) => ms[step]))));
    return {
      name: picture.name,
      original: this.answer(await this.networks.whole.run(picture.planes, IMAGE)),
      packet: { ...this.judge(first), ms: fastest[0]! },
      staticRows: { bytes: codec.encode(first.latent, fixed).length, ms: fastest[1]! },
      sameBytes,
      pictures: pictures.map((one, p) => ({ ...one, ms: fastest[p + 2]! })),
    };
  }

  private async sendPacket(picture: Picture, prior: Prior) {
    const { codec, networks } = this;
    const t0 = performance.now();
    const latent = await networks.encoder.run(picture.planes, IMAGE);
    const t1 = performance.now();
    const packet = codec.encode(latent, prior);
    const t2 = performance.now();
    const restored = codec.decode(packet, prior);
    const t3 = performance.now();
    const features = await networks.decoder.run(restored.data, restored.dims);
    const t4 = performance.now();
    const answer = this.answer(await networks.rest.run(features.data, features.dims));
    const t5 = performance.now();
    const ms = { encoder: t1 - t0, encode: t2 - t1, decode: t3 - t2, decoder: t4 - t3, network: t5 - t4 };
    return { latent, packet, restored: restored.data, features, answer, ms };
  }

  private async sendPicture({ rgb }: Picture, { format, quality }: Quality): Promise<PictureResult> {
    const t0 = performance.now();
    const file = await encodePicture(rgb, format, quality);
    const t1 = performance.now();
    const planes = toPlanes(await sharp(file).toColourspace("srgb").removeAlpha().raw().toBuffer());
    const t2 = performance.now();
    const answer = this.answer(await this.networks.whole.run(planes, IMAGE));
    const ms = { encoder: 0, encode: t1 - t0, decode: t2 - t1, decoder: 0, network: performance.now() - t2 };
    return { format, quality, file, answer, ms };
  }

  private answer({ data: logits }: { data: Float32Array }): Answer {
    const highest = Math.max(...logits);
    const found = logits.indexOf(highest);
    const sum = logits.reduce((total, logit) => total + Math.exp(logit - highest), 0);
    return { class: found, label: this.labels[found] ?? String(found), probability: 1 / sum };
  }

  /** Sizes of a packet, and whether it decodes to what went in. */
  private judge({ latent, packet, restored, features, answer }: Awaited<ReturnType<Pipeline["sendPacket"]>>) {
    const { codec } = this;
    const prior = this.priors.context;
    const { medians, rows } = prior.table;
    const plane = latent.data.length / rows;
    // Quantized by the plain TypeScript of this bench, so that the codec is not checked by itself.
    const symbols = new Int32Array(latent.data.length);
    plainQuantize(latent.data, medians ?? new Float32Array(rows), plane, symbols);
    const decoded = codec.decode(packet, prior, { type: "int32" }).data;
    const rate = codec.rate(latent, prior);
    const exact = symbols.every((symbol, i) => {
      const value = Math.fround(symbol + (medians?.[Math.floor(i / plane)] ?? 0));
      return decoded[i] === symbol && restored[i] === value;
    });
    return {
      bytes: packet.length,
      answer,
      dims: latent.dims,
      symbols: symbols.length,
      lanes: codec.inspect(packet).lanes,
      ideal: { bytes: rate.bits / 8, escapes: rate.escapes },
      exact: exact && decoded.length === symbols.length,
      features,
    };
  }
}
