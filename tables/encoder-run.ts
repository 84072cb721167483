/**
 * Latents of images: an encoder's ONNX file run by the user's own onnxruntime-node, its images read by the user's own
 * sharp.
 */
import { readFileSync } from "node:fs";
import { CodecError, type LatentData } from "latentwire";
import { UsageError } from "./cli-arguments.js";
import { ImageReader, type Normalization, normalized, RANGES } from "./images.js";
import { inMemory, type ReadLatent } from "./layout.js";
import {
  loadAll,
  loadRuntime,
  loadSharp,
  MissingPackage,
  type Runtime,
  refusedAs,
  type Session,
  type Sharp,
} from "./packages.js";
import { checkInputs, openModel } from "./split/network.js";
import { type Found, GUESS, rangeOfGraph } from "./split/normalize.js";
import { FLOAT_TYPE, loadProtobuf } from "./split/onnx-file.js";

/** How an image becomes the encoder's input: [1, 3, height, width], RGB. */
export interface ImageOptions {
  /** Default: what the encoder's graph says, or 0 to 1. */
  normalization?: Normalization;
  /** The files and folders that the user named: of folders, files that cannot be read are skipped. Default: all files. */
  named?: readonly string[];
  /** Is told which range was found, and why, and what was skipped. */
  say(text: string): void;
  /** Height and width; default: what the encoder declares. */
  size?: readonly [number, number];
  /** Which output is the latent; default: the first. */
  output?: string;
}

const WHY = "to run an encoder over images";

/**
 * Runs the encoder over each image.
 *
 * @throws MissingPackage; UsageError for an encoder of any size or without such an output; CodecError `MODEL` where the
 * runtime refuses the file or the input, `INVALID_FILE` for a named image that cannot be read, or where none can
 */
export async function encodeImages(
  encoder: string,
  images: readonly string[],
  options: ImageOptions,
  progress: (done: number) => void,
): Promise<{ name: string; latent: ReadLatent<LatentData> }[]> {
  const [{ InferenceSession, Tensor }, sharp] = await loadAll<[Runtime, Sharp]>(WHY, [
    loadRuntime(WHY),
    loadSharp(WHY),
  ]);
  const session = await refusedAs("MODEL", encoder, InferenceSession.create(encoder));
  const [input] = session.inputNames;
  const output = options.output ?? session.outputNames[0];
  if (input === undefined || output === undefined || !session.outputNames.includes(output))
    throw new UsageError(`the encoder has the outputs ${session.outputNames.join(", ")}, not ${output}`);
  const [height, width] = options.size ?? declaredSize(session);
  checkInputs([[{ name: input, type: FLOAT_TYPE }, [1, 3, height, width]]], "say a smaller --size HEIGHTxWIDTH");
  const range = options.normalization ? undefined : await rangeFound(encoder);
  const normalization = options.normalization ?? RANGES[range!.range];
  const found: { name: string; latent: ReadLatent<LatentData> }[] = [];
  const reader = new ImageReader(sharp, height, width, options.named ?? images);
  for (const [i, path] of images.entries()) {
    const pixels = await reader.read(path);
    if (pixels === undefined) continue;
    const planes = normalized(pixels, normalization);
    const feeds = { [input]: new Tensor("float32", planes, [1, 3, height, width]) };
    const { dims, data } = (await refusedAs("MODEL", `${encoder}, given ${path}`, session.run(feeds)))[output]!;
    if (!(data instanceof Float32Array))
      throw new CodecError("MODEL", `${encoder}: its output ${output} is not float32`);
    found.push({ name: path, latent: inMemory("float32", [...dims], data) });
    progress(i + 1);
    // Not before an image could be read and was taken: an error is one line.
    if (found.length === 1 && range) options.say(`--normalize ${range.range}: ${range.reason}`);
  }
  reader.finish(images.length, options.say);
  return found;
}

/** The range that an encoder takes, as far as its graph says it. */
async function rangeFound(encoder: string): Promise<Found> {
  try {
    const opened = openModel(await loadProtobuf(), encoder, readFileSync(encoder));
    const [input] = opened.graph.model.inputs;
    return (input && (await rangeOfGraph(await loadRuntime(WHY), opened, input))) ?? GUESS;
  } catch (error) {
    // Without protobufjs, and in a file that only the runtime can read, nothing is found.
    if (error instanceof MissingPackage || error instanceof CodecError) return GUESS;
    throw error;
  }
}

function declaredSize({ inputMetadata }: Session): [number, number] {
  const [, , height, width] = inputMetadata?.[0]?.shape ?? [];
  if (typeof height === "number" && typeof width === "number" && height > 0 && width > 0) return [height, width];
  throw new UsageError("the encoder takes any size of image: say which with --size HEIGHTxWIDTH");
}
