/** The device's end of the page: photograph -> latent -> packet; and the pictures that it is compared with. */
import { type Codec, create, type Prior } from "latentwire";
import { canEncode, DIMS, decodePlanes, Network, USUAL_QUALITY } from "../../bench/browser/device.js";
import { type Answer, type Ladder, loadLadder, type PointSetup, type Request, type Setup } from "./setup.js";

/** A latent in a packet, and what it costs. */
export interface Sent {
  readonly point: PointSetup;
  /** Coarser than the point that was asked for, so that the packet has few enough bytes. */
  readonly coarser: boolean;
  readonly packet: Uint8Array;
  /** The same symbols without the context, or with it where the packet has none. */
  readonly other: Uint8Array;
  /** Bits of each channel, without and with the context. */
  readonly bits: { readonly fixed: Float64Array; readonly context: Float64Array };
  readonly latent: { readonly dims: readonly number[]; readonly symbols: Int32Array };
  /** Does it once more, and says the milliseconds of the encoder network and of the codec, for `packet` and for `other`. */
  time(): Promise<{ readonly encoderMs: number; readonly encodeMs: number; readonly otherMs: number }>;
}

interface Point {
  readonly ladder: Ladder;
  readonly encoder: Network;
}

/** No prior of any point makes a packet that is small enough: the smallest has `bytes` bytes. */
export class TooSmall extends Error {
  constructor(readonly bytes: number) {
    super(`the smallest packet has ${bytes} bytes`);
  }
}

export class Sender {
  private readonly opened = new Map<string, Promise<Point>>();

  private constructor(
    readonly codec: Codec,
    private readonly setup: Setup,
  ) {}

  static async open(setup: Setup): Promise<Sender> {
    const sender = new Sender(await create(), setup);
    await sender.point(setup.points.find(({ name }) => name === setup.first)!);
    return sender;
  }

  private point(setup: PointSetup): Promise<Point> {
    const open = async () => {
      const [ladder, encoder] = await Promise.all([loadLadder(this.codec, setup), Network.open(setup.encoder)]);
      return { ladder, encoder };
    };
    const opening = this.opened.get(setup.name) ?? open();
    this.opened.set(setup.name, opening);
    opening.catch(() => this.opened.delete(setup.name));
    return opening;
  }

  /** The finest packet of at most `maxBytes` that the chosen point, or one with fewer bytes, can make. Throws `TooSmall`. */
  async send(planes: Float32Array, name: string, withContext: boolean, maxBytes: number): Promise<Sent> {
    const from = this.setup.points.findIndex((point) => point.name === name);
    let smallest = Number.POSITIVE_INFINITY;
    for (const setup of this.setup.points.slice(from)) {
      const { ladder, encoder } = await this.point(setup);
      const latent = { type: "float32", ...(await encoder.run(planes, DIMS)) };
      const [own, other] = withContext ? [ladder.context, ladder.fixed] : [ladder.fixed, ladder.context];
      let packet = this.codec.encode(latent, own[0]!);
      let rung = 0;
      while (packet.length > maxBytes && ++rung < own.length) packet = this.codec.encode(latent, own[rung]!);
      smallest = Math.min(smallest, packet.length);
      if (packet.length > maxBytes) continue;
      const bits = (prior: Prior) => this.codec.rate(latent, prior, { axis: 1 }).channels.bits;
      return {
        point: setup,
        coarser: setup.name !== name || rung > 0,
        packet,
        other: this.codec.encode(latent, other[rung]!),
        bits: { fixed: bits(ladder.fixed[rung]!), context: bits(ladder.context[rung]!) },
        latent: { dims: latent.dims, symbols: this.codec.quantize(latent, own[rung]!).data as Int32Array },
        time: async () => {
          const start = performance.now();
          await encoder.run(planes, DIMS);
          const network = performance.now();
          this.codec.encode(latent, own[rung]!);
          const encoded = performance.now();
          this.codec.encode(latent, other[rung]!);
          const all = performance.now();
          return { encoderMs: network - start, encodeMs: encoded - network, otherMs: all - encoded };
        },
      };
    }
    throw new TooSmall(smallest);
  }
}

/** A picture as it would be sent. */
export interface Picture {
  readonly blob: Blob;
  /** 0 .. 1, as a canvas takes it. */
  readonly quality: number;
  /** Even the lowest quality takes more bytes than were asked for. */
  readonly larger: boolean;
  readonly encodeMs: number;
}

async function pictureOf(canvas: OffscreenCanvas, type: string, quality: number): Promise<Picture> {
  const start = performance.now();
  const blob = await canvas.convertToBlob({ type, quality });
  return { blob, quality, larger: false, encodeMs: performance.now() - start };
}

/** The best picture of at most `bytes` bytes, or the smallest one; undefined where this browser does not write the format. */
export async function pictureWithin(
  canvas: OffscreenCanvas,
  type: string,
  bytes: number,
): Promise<Picture | undefined> {
  if (!(await canEncode(type))) return undefined;
  let best = await pictureOf(canvas, type, 0);
  if (best.blob.size > bytes) return { ...best, larger: true };
  let [low, high] = [0, 100];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    const picture = await pictureOf(canvas, type, middle / 100);
    if (picture.blob.size <= bytes) [best, low] = [picture, middle];
    else high = middle;
  }
  return best;
}

/** What one sends today. */
export async function usualPicture(canvas: OffscreenCanvas, type: string): Promise<Picture | undefined> {
  return (await canEncode(type)) ? pictureOf(canvas, type, USUAL_QUALITY) : undefined;
}

/** The Worker that plays the server. It is told bytes, and nothing else. */
export class Receiver {
  private readonly waiting = new Map<number, { done: (answer: Answer) => void; failed: (error: Error) => void }>();
  private count = 0;
  readonly ready: Promise<void>;

  constructor(private readonly worker: Worker) {
    this.ready = new Promise((done, failed) => {
      worker.addEventListener("message", ({ data }) => {
        if (data.ready) done();
        else if (data.failed) failed(new Error(data.failed));
        else {
          const waiting = this.waiting.get(data.id);
          this.waiting.delete(data.id);
          if (data.error === undefined) waiting?.done(data.answer);
          else waiting?.failed(new Error(data.error));
        }
      });
      worker.addEventListener("error", ({ message }) => failed(new Error(message || "the worker cannot be loaded")));
    });
  }

  answer(request: Request): Promise<Answer> {
    const id = this.count++;
    return new Promise((done, failed) => {
      this.waiting.set(id, { done, failed });
      this.worker.postMessage({ id, request });
    });
  }

  async answerPicture(blob: Blob): Promise<Answer> {
    const start = performance.now();
    const planes = await decodePlanes(blob);
    const decodeMs = performance.now() - start;
    return { ...(await this.answer({ planes })), decodeMs };
  }
}
