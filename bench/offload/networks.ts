/** The networks of a run: the points of a split model, and the backbone behind them. */
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import type { Codec, Prior, TableJson } from "latentwire";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { subgraph } from "../backbone/subgraph.js";
import { SIDE } from "../images.js";

export const IMAGE = [1, 3, SIDE, SIDE];
const POINT_FILES = ["encoder.onnx", "decoder.onnx", "tables.json"];

/** 16 hex digits that change when a byte of these files changes. */
export function fingerprint(files: readonly string[]): string {
  const hash = createHash("sha256");
  for (const file of files) hash.update(readFileSync(file));
  return hash.digest("hex").slice(0, 16);
}

/** A network with one input and one output. */
export class Network {
  private constructor(private readonly session: InferenceSession) {}

  /** `model`: a file or its bytes. */
  static async open(model: string | Uint8Array, threads: number): Promise<Network> {
    const options = { intraOpNumThreads: threads, interOpNumThreads: 1 };
    return new Network(await InferenceSession.create(model as string, options));
  }

  // One image at a time: batches of 8 and 16 took 1.2 to 1.7 times as long per image (activations leave the cache).
  async run(data: Float32Array, dims: readonly number[]): Promise<Tensor & { readonly data: Float32Array }> {
    const { inputNames, outputNames } = this.session;
    const outputs = await this.session.run({ [inputNames[0]]: new Tensor("float32", data, dims) });
    return outputs[outputNames[0]] as Tensor & { readonly data: Float32Array };
  }
}

/** The folder itself where it holds a model, else those of its folders that do. */
export function pointFolders(folder: string): string[] {
  const isPoint = (place: string) => POINT_FILES.every((name) => existsSync(join(place, name)));
  if (!existsSync(folder)) throw new Error(`there is no folder ${folder}`);
  if (isPoint(folder)) return [folder];
  const inside = readdirSync(folder)
    .map((name) => join(folder, name))
    .filter(isPoint);
  if (inside.length === 0) throw new Error(`neither ${folder} nor a folder in it holds ${POINT_FILES.join(", ")}`);
  return inside;
}

/** One operating point of the split model, or a backbone's own tensor in the place of a trained latent. */
export class Model {
  private constructor(
    readonly name: string,
    readonly folder: string,
    readonly identity: string,
    private readonly tables: TableJson,
    private readonly encoder: Network,
    /** From the latent to the backbone's features; undefined where these are the latent. */
    private readonly decoder: Network | undefined,
    /** Of a latent; packets carry their shape, raw latents do not. */
    readonly latentDims: readonly number[],
    /** The rest of the backbone, where it is not its tail. */
    private readonly rest?: Network,
  ) {}

  static async open(folder: string, threads: number): Promise<Model> {
    const files = POINT_FILES.map((name) => join(folder, name));
    const [encoder, decoder] = await Promise.all(files.slice(0, 2).map((file) => Network.open(file, threads)));
    const tables = JSON.parse(readFileSync(files[2], "utf8"));
    const { dims } = await encoder.run(new Float32Array(3 * SIDE * SIDE), IMAGE);
    return new Model(basename(resolve(folder)), folder, fingerprint(files), tables, encoder, decoder, dims);
  }

  /** The backbone cut at a tensor that nobody trained for it. `bundle` says how the tensor is quantized. */
  static async cut(backbone: Backbone, tensor: string, bundle: string, threads: number): Promise<Model> {
    const { bytes } = backbone;
    const [encoder, rest] = await Promise.all(
      [subgraph(bytes, "image", tensor), subgraph(bytes, tensor, "logits")].map((part) => Network.open(part, threads)),
    );
    const { dims } = await encoder.run(new Float32Array(3 * SIDE * SIDE), IMAGE);
    const none = { offsets: [], cdfs: [] };
    return new Model(tensor, "", fingerprint([bundle]), none, encoder, undefined, dims, rest);
  }

  /** The factorized prior at a quantization step, its rows made for that step. */
  prior(codec: Codec, step: number): Prior {
    return codec.factorized(step === 1 ? this.tables : coarser(codec, this.tables, step), { step });
  }

  latent(planes: Float32Array) {
    return this.encoder.run(planes, IMAGE);
  }

  async features(data: Float32Array, dims: readonly number[]) {
    return this.decoder === undefined ? { data, dims } : this.decoder.run(data, dims);
  }

  async answer(backbone: Backbone, { data, dims }: { readonly data: Float32Array; readonly dims: readonly number[] }) {
    return this.rest === undefined ? backbone.tail(data, dims) : highest((await this.rest.run(data, dims)).data);
  }
}

/** The cumulative mass below `x`, in units of the finer step, with each cell's mass spread evenly over it. */
function below(cdf: readonly number[], offset: number, x: number): number {
  const cells = cdf.length - 2;
  const at = Math.min(Math.max(x + 0.5 - offset, 0), cells);
  const cell = Math.min(Math.floor(at), cells - 1);
  return cdf[cell] + (at - cell) * (cdf[cell + 1] - cdf[cell]);
}

/**
 * Rows for a coarser quantization step, from those of step 1: a cell of the new step takes the mass that the old cells
 * have where it lies. No training image is needed, and none was seen.
 */
export function coarser(codec: Codec, tables: TableJson, step: number): TableJson {
  const offsets: number[] = [];
  const cdfs = tables.cdfs.map((cdf, row) => {
    const first = tables.offsets[row];
    const cells = cdf.length - 2;
    const low = Math.floor((first - 0.5) / step + 0.5);
    const high = Math.max(low, Math.ceil((first + cells - 0.5) / step - 0.5));
    const edge = (k: number) => below(cdf, first, (k - 0.5) * step);
    const pmf: number[] = [];
    // The outermost cells reach as far as the old rows did.
    for (let k = low; k <= high; k++) {
      const from = k === low ? 0 : edge(k);
      pmf.push(Math.max((k === high ? cdf[cells] : edge(k + 1)) - from, 0) / 65536);
    }
    pmf.push((65536 - cdf[cells]) / 65536);
    offsets.push(low);
    return Array.from(codec.quantizedCdf(Float32Array.from(pmf)));
  });
  const { medians } = tables;
  return { offsets, cdfs, ...(medians && { medians }) };
}

/** The two networks of a backbone's folder. */
export function backboneFiles(folder: string): string[] {
  const files = ["backbone.onnx", "tail.onnx"].map((name) => join(folder, name));
  for (const file of files) if (!existsSync(file)) throw new Error(`--backbone: there is no ${file}`);
  return files;
}

const highest = (logits: Float32Array): number =>
  logits.reduce((best, value, i) => (value > logits[best] ? i : best), 0);

/** The network that the answers come from, whole and behind the split. */
export class Backbone {
  private constructor(
    private readonly network: Network,
    private readonly behind: Network,
    readonly identity: string,
    /** The whole network's file. */
    readonly bytes: Uint8Array,
  ) {}

  static async open(folder: string, threads: number): Promise<Backbone> {
    const files = backboneFiles(folder);
    const [network, behind] = await Promise.all(files.map((file) => Network.open(file, threads)));
    return new Backbone(network, behind, fingerprint(files), readFileSync(files[0]));
  }

  /** Whether it is the network of bench/backbone, for which the untrained cuts have their tables. */
  get isBundled(): boolean {
    return readFileSync(new URL("../backbone/backbone.onnx", import.meta.url)).equals(this.bytes);
  }

  async whole(planes: Float32Array): Promise<number> {
    return highest((await this.network.run(planes, IMAGE)).data);
  }

  async tail(data: Float32Array, dims: readonly number[]): Promise<number> {
    return highest((await this.behind.run(data, dims)).data);
  }
}
