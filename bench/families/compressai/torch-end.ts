// The other end: a process of Python with CompressAI and torch (serve.py), and its networks as sessions.
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { basename } from "node:path";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import type { Latent, TensorLike } from "latentwire";
import type { SessionLike } from "latentwire/onnx";

const script = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const hex = (text: string) => new Uint8Array(Buffer.from(text, "hex"));

/** What serve.py says when it is ready. */
interface About {
  readonly family: string;
  readonly level: number | null;
  readonly gains: Record<"gains" | "inverse_gains" | "z_gains" | "inverse_z_gains", number[][]> | null;
  readonly leftOut: Record<string, string>;
  readonly torch: string;
  readonly sizes: string;
}

interface Answer {
  readonly line: Record<string, never>;
  readonly tensors: Latent<Float32Array>[];
}

export class TorchEnd {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #chunks: AsyncIterator<Buffer>;
  #rest = Buffer.alloc(0);
  about!: About;

  private constructor(child: ChildProcessByStdio<Writable, Readable, null>) {
    this.#child = child;
    this.#chunks = child.stdout[Symbol.asyncIterator]();
  }

  /** Starts Python, which takes some seconds to load torch. */
  static start(python: string): TorchEnd {
    const env = { ...process.env, PYTHONDONTWRITEBYTECODE: "1" };
    const child = spawn(python, ["-W", "ignore", script("serve.py")], { env, stdio: ["pipe", "pipe", "inherit"] });
    return new TorchEnd(child);
  }

  /** Names of the models that can be tried here. */
  async names(): Promise<string[]> {
    return (await this.#ask({ do: "names" })).line.names;
  }

  /** Makes, calibrates and exports a model; resolves when the folder is written. The model before it is gone. */
  async load(name: string, folder: string, side: number): Promise<void> {
    this.about = (await this.#ask({ do: "load", name, folder, side })).line as never;
  }

  close(): void {
    this.#child.kill();
  }

  async #read(count: number): Promise<Buffer> {
    while (this.#rest.length < count) await this.#more();
    const bytes = this.#rest.subarray(0, count);
    this.#rest = this.#rest.subarray(count);
    return bytes;
  }

  async #more(): Promise<void> {
    const { value, done } = await this.#chunks.next();
    if (done) throw new Error(`Python has ended with exit code ${this.#child.exitCode}`);
    this.#rest = Buffer.concat([this.#rest, value]);
  }

  async #answer(): Promise<Answer> {
    while (!this.#rest.includes(10)) await this.#more();
    const line = JSON.parse((await this.#read(this.#rest.indexOf(10) + 1)).toString());
    const tensors: Latent<Float32Array>[] = [];
    for (const dims of (line.tensors ?? []) as number[][]) {
      const bytes = await this.#read(4 * dims.reduce((a, b) => a * b, 1));
      const data = new Float32Array(new Uint8Array(bytes).buffer);
      tensors.push({ type: "float32", dims, data, location: "cpu" });
    }
    return { line, tensors };
  }

  async #ask(request: object, tensors: readonly TensorLike[] = []): Promise<Answer> {
    this.#child.stdin.write(`${JSON.stringify({ ...request, tensors: tensors.map(({ dims }) => dims) })}\n`);
    for (const { data } of tensors) {
      const { buffer, byteOffset, byteLength } = data as Float32Array;
      this.#child.stdin.write(Buffer.from(buffer, byteOffset, byteLength));
    }
    const answer = await this.#answer();
    const { error, message } = answer.line as Record<string, string>;
    if (error) throw Object.assign(new Error(message), { code: error });
    return answer;
  }

  /** y of an image, as torch computes it. */
  async latent(k: number): Promise<Latent<Float32Array>> {
    return (await this.#ask({ do: "latent", k })).tensors[0]!;
  }

  /** A packet of y by the package for Python, around torch's networks. */
  async encode(
    y: TensorLike,
    guard: number | undefined,
  ): Promise<{ packet: Uint8Array; latent: Latent<Float32Array> }> {
    const { line, tensors } = await this.#ask({ do: "encode", guard: guard === undefined ? null : [guard, guard] }, [
      y,
    ]);
    return { packet: hex(line.packet), latent: tensors[0]! };
  }

  /** What that package makes of a packet, or its error. */
  async decode(packet: Uint8Array): Promise<Latent<Float32Array> | Error> {
    try {
      return (await this.#ask({ do: "decode", packet: Buffer.from(packet).toString("hex") })).tensors[0]!;
    } catch (error) {
      return error as Error;
    }
  }

  /** CompressAI's own strings of an image. */
  async compress(k: number): Promise<{ strings: Uint8Array[]; shape: number[] }> {
    const { strings, shape } = (await this.#ask({ do: "compress", k })).line as unknown as {
      strings: string[];
      shape: number[];
    };
    return { strings: strings.map(hex), shape };
  }

  /** torch's networks in place of an ONNX runtime. `meta` is the bundle's, which knows the names of inputs and outputs. */
  runtime(meta: Readonly<Record<string, unknown>>) {
    const networks = meta.networks as Record<string, Record<"inputs" | "outputs", object>> | undefined;
    const create = async (path: string): Promise<SessionLike> => {
      const name = basename(path, ".onnx");
      const { inputs, outputs } = networks?.[name] ?? { inputs: {}, outputs: {} };
      const [inputNames, outputNames] = [Object.keys(inputs), Object.keys(outputs)];
      return {
        inputNames,
        outputNames,
        run: async (feeds) => {
          const given = inputNames.map((input) => feeds[input] as TensorLike);
          // A model of several parts names its networks "img.h_s".
          const { tensors } = await this.#ask({ do: "network", name: name.split(".").at(-1) }, given);
          return Object.fromEntries(outputNames.map((output, i) => [output, tensors[i]!]));
        },
      };
    };
    return { create: create as never };
  }
}
