/**
 * Latents of images: an encoder's ONNX file run by the user's own onnxruntime-node, its images read by the user's own
 * sharp.
 */
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { CodecError } from "latentwire";
import { inMemory, type ReadLatent } from "./layout.js";

/** How an image becomes the encoder's input: [1, 3, height, width], RGB, (value / 255 - mean) / std. */
export interface ImageOptions {
  /** Height and width; default: what the encoder declares. */
  size?: readonly [number, number];
  mean: readonly number[];
  std: readonly number[];
  /** Which output is the latent; default: the first. */
  output?: string;
}

/** A package that is needed here and is not among our dependencies. */
export class MissingPackage extends Error {
  readonly code = "MISSING_PACKAGE";
}

/** Looks beside this package, as in a project, then in the folder where the command runs, as with npx. */
async function load<T>(name: string): Promise<T> {
  // What is there and cannot be loaded is not missing.
  const judge = (error: NodeJS.ErrnoException) => {
    if (!/^(ERR_)?MODULE_NOT_FOUND$/.test(error.code ?? ""))
      throw new MissingPackage(`${name} is installed, but cannot be loaded: ${error.message.replace(/\s+/g, " ")}`);
  };
  const found = await import(name).catch(async (error) => {
    judge(error);
    try {
      const resolved = createRequire(join(process.cwd(), "package.json")).resolve(name);
      return await import(pathToFileURL(resolved).href);
    } catch (error) {
      judge(error as NodeJS.ErrnoException);
      throw new MissingPackage(`${name} is needed to run an encoder over images: npm install ${name}`);
    }
  });
  return (found.default ?? found) as T;
}

/** The parts of onnxruntime-node that are used. */
interface Runtime {
  InferenceSession: {
    create(path: string): Promise<Session>;
  };
  Tensor: new (type: "float32", data: Float32Array, dims: readonly number[]) => unknown;
}
interface Session {
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  /** Not in every version. */
  readonly inputMetadata?: readonly { readonly shape?: readonly (number | string)[] }[];
  run(feeds: Record<string, unknown>): Promise<Record<string, { dims: readonly number[]; data: unknown }>>;
}
/** The part of sharp that is used. */
type Sharp = (path: string) => {
  resize(options: { width: number; height: number; fit: "cover" }): ReturnType<Sharp>;
  removeAlpha(): ReturnType<Sharp>;
  toColourspace(space: "srgb"): ReturnType<Sharp>;
  raw(): ReturnType<Sharp>;
  toBuffer(): Promise<Uint8Array>;
};

/**
 * Runs the encoder over each image.
 *
 * @throws {@link MissingPackage}; TypeError for an encoder that does not take images or has no such output; CodecError `MODEL` where the
 * runtime refuses the file or the input, `INVALID_FILE` for an image that cannot be read
 */
export async function encodeImages(
  encoder: string,
  images: readonly string[],
  options: ImageOptions,
  progress: (done: number) => void,
): Promise<{ name: string; latent: ReadLatent }[]> {
  const { InferenceSession, Tensor } = await load<Runtime>("onnxruntime-node");
  const sharp = await load<Sharp>("sharp");
  const session = await refusedAs("MODEL", encoder, InferenceSession.create(encoder));
  const [input] = session.inputNames;
  const output = options.output ?? session.outputNames[0];
  if (input === undefined || output === undefined || !session.outputNames.includes(output))
    throw new TypeError(`the encoder has the outputs ${session.outputNames.join(", ")}, not ${output}`);
  const [height, width] = options.size ?? declaredSize(session);
  const found: { name: string; latent: ReadLatent }[] = [];
  for (const [i, path] of images.entries()) {
    const pixels = await refusedAs(
      "INVALID_FILE",
      path,
      sharp(path).resize({ width, height, fit: "cover" }).removeAlpha().toColourspace("srgb").raw().toBuffer(),
    );
    const planes = toPlanes(pixels, height * width, options);
    const feeds = { [input]: new Tensor("float32", planes, [1, 3, height, width]) };
    const { dims, data } = (await refusedAs("MODEL", `${encoder}, given ${path}`, session.run(feeds)))[output]!;
    if (!(data instanceof Float32Array)) throw new TypeError(`the encoder's output ${output} is not float32`);
    found.push({ name: path, latent: inMemory("float32", [...dims], data) });
    progress(i + 1);
  }
  return found;
}

/** Turns what other packages throw into one line with a code. */
async function refusedAs<T>(code: "MODEL" | "INVALID_FILE", what: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw new CodecError(code, `${what}: ${(error as Error).message.replace(/\s+/g, " ").trim()}`);
  }
}

function declaredSize({ inputMetadata }: Session): [number, number] {
  const [, , height, width] = inputMetadata?.[0]?.shape ?? [];
  if (typeof height === "number" && typeof width === "number" && height > 0 && width > 0) return [height, width];
  throw new TypeError("the encoder takes any size of image: say which with --size HEIGHTxWIDTH");
}

/** RGB pixels to planes, normalized. */
function toPlanes(pixels: Uint8Array, count: number, { mean, std }: ImageOptions): Float32Array {
  const planes = new Float32Array(3 * count);
  for (let c = 0; c < 3; c++)
    for (let i = 0; i < count; i++) planes[c * count + i] = (pixels[3 * i + c]! / 255 - mean[c]!) / std[c]!;
  return planes;
}
