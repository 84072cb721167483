import { existsSync } from "node:fs";
import { join } from "node:path";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { SIDE } from "../images.js";
import { fingerprint } from "./fingerprint.js";

function highest(logits: Float32Array): number {
  let best = 0;
  for (let i = 1; i < logits.length; i++) if (logits[i] > logits[best]) best = i;
  return best;
}

/** The two networks of a backbone's folder. */
export function backboneFiles(folder: string): string[] {
  const files = ["backbone.onnx", "tail.onnx"].map((name) => join(folder, name));
  for (const file of files) if (!existsSync(file)) throw new Error(`--backbone: there is no ${file}`);
  return files;
}

/** The network that the answers come from, whole and behind the split. */
export class Backbone {
  private constructor(
    private readonly network: InferenceSession,
    private readonly behind: InferenceSession,
    readonly identity: string,
  ) {}

  static async open(folder: string, threads: number): Promise<Backbone> {
    const files = backboneFiles(folder);
    const options = { intraOpNumThreads: threads, interOpNumThreads: 1 };
    const [network, behind] = await Promise.all(files.map((file) => InferenceSession.create(file, options)));
    return new Backbone(network, behind, fingerprint(files));
  }

  whole(planes: Float32Array): Promise<number> {
    return this.answer(this.network, new Tensor("float32", planes, [1, 3, SIDE, SIDE]));
  }

  tail(features: Tensor): Promise<number> {
    return this.answer(this.behind, features);
  }

  // One image at a time: batches of 8 and 16 took 1.2 to 1.7 times as long per image (activations leave the cache).
  private async answer(session: InferenceSession, input: Tensor): Promise<number> {
    const outputs = await session.run({ [session.inputNames[0]]: input });
    return highest(outputs[session.outputNames[0]].data as Float32Array);
  }
}
