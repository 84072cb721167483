import * as ort from "onnxruntime-web/wasm";

ort.env.wasm.wasmPaths = "/ort/";
// One thread: more need a page that is isolated from other origins, and a phone's encoder should not take its cores.
ort.env.wasm.numThreads = 1;

/** A network with one input and one output. */
export class Network {
  private constructor(private readonly session: ort.InferenceSession) {}

  static async open(url: string): Promise<Network> {
    return new Network(await ort.InferenceSession.create(url, { executionProviders: ["wasm"] }));
  }

  async run(data: Float32Array, dims: readonly number[]): Promise<ort.Tensor> {
    const { inputNames, outputNames } = this.session;
    const outputs = await this.session.run({ [inputNames[0]]: new ort.Tensor("float32", data, dims) });
    return outputs[outputNames[0]];
  }
}
