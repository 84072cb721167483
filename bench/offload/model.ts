import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import type { Codec, Prior, TableJson } from "latentwire";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { SIDE } from "../images.js";
import { coarser } from "./coarser.js";
import { fingerprint } from "./fingerprint.js";

const FILES = ["encoder.onnx", "decoder.onnx", "tables.json"];

const isPoint = (folder: string) => FILES.every((name) => existsSync(join(folder, name)));

/** The folder itself where it holds a model, else those of its folders that do. */
export function pointFolders(folder: string): string[] {
  if (!existsSync(folder)) throw new Error(`there is no folder ${folder}`);
  if (isPoint(folder)) return [folder];
  const inside = readdirSync(folder)
    .map((name) => join(folder, name))
    .filter(isPoint);
  if (inside.length === 0) throw new Error(`neither ${folder} nor a folder in it holds ${FILES.join(", ")}`);
  return inside;
}

/** One operating point of the split model. */
export class Model {
  /** Of a latent; packets carry their shape, raw latents do not. */
  latentDims: readonly number[] = [];

  private constructor(
    readonly name: string,
    readonly identity: string,
    private readonly tables: TableJson,
    private readonly encoder: InferenceSession,
    private readonly decoder: InferenceSession,
  ) {}

  static async open(folder: string, threads: number): Promise<Model> {
    const files = FILES.map((name) => join(folder, name));
    const options = { intraOpNumThreads: threads, interOpNumThreads: 1 };
    const [encoder, decoder] = await Promise.all(
      files.slice(0, 2).map((file) => InferenceSession.create(file, options)),
    );
    const tables = JSON.parse(readFileSync(files[2], "utf8"));
    const model = new Model(basename(resolve(folder)), fingerprint(files), tables, encoder, decoder);
    model.latentDims = (await model.latent(new Float32Array(3 * SIDE * SIDE))).dims;
    return model;
  }

  /** The factorized prior at a quantization step, its rows made for that step. */
  prior(codec: Codec, step: number): Prior {
    return codec.factorized(step === 1 ? this.tables : coarser(codec, this.tables, step), { step });
  }

  async latent(planes: Float32Array): Promise<Tensor> {
    const image = new Tensor("float32", planes, [1, 3, SIDE, SIDE]);
    return (await this.encoder.run({ [this.encoder.inputNames[0]]: image }))[this.encoder.outputNames[0]] as Tensor;
  }

  async features(data: Float32Array, dims: readonly number[]): Promise<Tensor> {
    const feeds = { [this.decoder.inputNames[0]]: new Tensor("float32", data, dims) };
    return (await this.decoder.run(feeds))[this.decoder.outputNames[0]] as Tensor;
  }
}
