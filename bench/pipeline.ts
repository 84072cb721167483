import { readFileSync } from "node:fs";
import { type Codec, create, type Prior } from "latentwire";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { type Ideal, ideal } from "./ideal.js";
import { type Picture, SIDE } from "./images.js";
import { median } from "./numbers.js";
import { quantize as plainQuantize } from "./plain/index.js";

/** Medians over the passes of one image. */
export interface Milliseconds {
  readonly encoder: number;
  readonly encode: number;
  readonly decode: number;
  readonly decoder: number;
}

export interface Passed {
  readonly packet: Uint8Array;
  readonly dims: number[];
  readonly symbols: number;
  readonly lanes: number;
  readonly ideal: Ideal;
  /** The decoded symbols are those of the quantized latent, and the decoded latent is its dequantized form, bit for bit. */
  readonly exact: boolean;
  readonly ms: Milliseconds;
  /** The decoder network's output. */
  readonly features: { readonly dims: readonly number[]; readonly data: Float32Array };
}

/** Passes that are timed, after one that is not. */
export const PASSES = 9;
/** Calls after which V8 has compiled the codec for good; the first image would pay for it otherwise. */
const WARM_UP_CALLS = 40;

// What the figures mean, in the words of the terminal and of the reports.

export const BYTE_RULE =
  "bytes: the packet as it would be sent: header with shape and table fingerprint, stream and checksum";

export const TIME_RULE =
  `milliseconds: medians of ${PASSES} passes after a warm-up, on this machine for both ends; ` +
  "encoder and decoder are the networks, encode and decode the codec";

const model = (name: string) => new URL(`model/points/mid/${name}`, import.meta.url);

export class Pipeline {
  private warm = false;

  private constructor(
    readonly codec: Codec,
    private readonly prior: Prior,
    private readonly encoder: InferenceSession,
    private readonly decoder: InferenceSession,
  ) {}

  static async open(threads: number): Promise<Pipeline> {
    const codec = await create();
    const prior = codec.factorized(JSON.parse(readFileSync(model("tables.json"), "utf8")));
    const options = { intraOpNumThreads: threads, interOpNumThreads: 1 };
    const session = (name: string) => InferenceSession.create(new Uint8Array(readFileSync(model(name))), options);
    return new Pipeline(codec, prior, await session("encoder.onnx"), await session("decoder.onnx"));
  }

  /** Picture -> encoder -> packet -> decoder, several times over. */
  async run(picture: Picture): Promise<Passed> {
    const { codec, prior } = this;
    const times: Milliseconds[] = [];
    let last = await this.pass(picture);
    if (!this.warm) {
      for (let call = 0; call < WARM_UP_CALLS; call++) codec.decode(codec.encode(last.latent, prior), prior);
      this.warm = true;
    }
    for (let pass = 0; pass < PASSES; pass++) {
      last = await this.pass(picture);
      times.push(last.ms);
    }
    const { latent, packet, restored, features } = last;
    const rows = this.rowsOf(latent.dims);
    const symbols = this.quantized(latent.data as Float32Array);
    const middle = (pick: (ms: Milliseconds) => number) => median(times.map(pick));
    return {
      packet,
      dims: [...latent.dims],
      symbols: symbols.length,
      lanes: codec.inspect(packet).lanes,
      ideal: ideal(symbols, rows, prior.table.toJSON()),
      exact: this.isExact(packet, symbols, restored),
      ms: {
        encoder: middle((ms) => ms.encoder),
        encode: middle((ms) => ms.encode),
        decode: middle((ms) => ms.decode),
        decoder: middle((ms) => ms.decoder),
      },
      features: { dims: features.dims, data: features.data as Float32Array },
    };
  }

  private async pass(picture: Picture) {
    const { codec, prior, encoder, decoder } = this;
    const image = new Tensor("float32", picture.planes, [1, 3, SIDE, SIDE]);
    const t0 = performance.now();
    const latent = (await encoder.run({ [encoder.inputNames[0]]: image }))[encoder.outputNames[0]];
    const t1 = performance.now();
    const packet = codec.encode(latent, prior);
    const t2 = performance.now();
    const restored = codec.decode(packet, prior);
    const t3 = performance.now();
    const feeds = { [decoder.inputNames[0]]: new Tensor("float32", restored.data, restored.dims) };
    const features = (await decoder.run(feeds))[decoder.outputNames[0]];
    const t4 = performance.now();
    const ms = { encoder: t1 - t0, encode: t2 - t1, decode: t3 - t2, decoder: t4 - t3 };
    return { latent, packet, restored: restored.data, features, ms };
  }

  /** The row of every symbol: its channel. */
  private rowsOf(dims: readonly number[]): Uint16Array {
    const [batch, channels, height, width] = dims;
    const plane = height * width;
    return Uint16Array.from({ length: batch * channels * plane }, (_, i) => Math.floor(i / plane) % channels);
  }

  /** Quantized by the plain TypeScript of this bench, so that the codec is not checked by itself. */
  private quantized(latent: Float32Array): Int32Array {
    const { medians, rows } = this.prior.table;
    const symbols = new Int32Array(latent.length);
    plainQuantize(latent, medians ?? new Float32Array(rows), latent.length / rows, symbols);
    return symbols;
  }

  private isExact(packet: Uint8Array, symbols: Int32Array, restored: Float32Array): boolean {
    const { medians, rows } = this.prior.table;
    const decoded = this.codec.decode(packet, this.prior, { type: "int32" }).data;
    const plane = symbols.length / rows;
    return (
      decoded.length === symbols.length &&
      symbols.every((symbol, i) => {
        const value = Math.fround(symbol + (medians?.[Math.floor(i / plane)] ?? 0));
        return decoded[i] === symbol && restored[i] === value;
      })
    );
  }
}
