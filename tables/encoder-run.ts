/**
 * Latents of images: an encoder's ONNX file run by the user's own onnxruntime-node, its images read by the user's own
 * sharp.
 */
import type { LatentData } from "latentwire";
import { type Normalization, normalized, readImage } from "./images.js";
import { inMemory, type ReadLatent } from "./layout.js";
import { loadRuntime, loadSharp, refusedAs, type Session } from "./packages.js";

/** How an image becomes the encoder's input: [1, 3, height, width], RGB, (value / 255 - mean) / std. */
export interface ImageOptions extends Normalization {
  /** Height and width; default: what the encoder declares. */
  size?: readonly [number, number];
  /** Which output is the latent; default: the first. */
  output?: string;
}

const WHY = "to run an encoder over images";

/**
 * Runs the encoder over each image.
 *
 * @throws MissingPackage; TypeError for an encoder that does not take images or has no such output; CodecError `MODEL` where the
 * runtime refuses the file or the input, `INVALID_FILE` for an image that cannot be read
 */
export async function encodeImages(
  encoder: string,
  images: readonly string[],
  options: ImageOptions,
  progress: (done: number) => void,
): Promise<{ name: string; latent: ReadLatent<LatentData> }[]> {
  const { InferenceSession, Tensor } = await loadRuntime(WHY);
  const sharp = await loadSharp(WHY);
  const session = await refusedAs("MODEL", encoder, InferenceSession.create(encoder));
  const [input] = session.inputNames;
  const output = options.output ?? session.outputNames[0];
  if (input === undefined || output === undefined || !session.outputNames.includes(output))
    throw new TypeError(`the encoder has the outputs ${session.outputNames.join(", ")}, not ${output}`);
  const [height, width] = options.size ?? declaredSize(session);
  const found: { name: string; latent: ReadLatent<LatentData> }[] = [];
  for (const [i, path] of images.entries()) {
    const planes = normalized(await readImage(sharp, path, height, width), options);
    const feeds = { [input]: new Tensor("float32", planes, [1, 3, height, width]) };
    const { dims, data } = (await refusedAs("MODEL", `${encoder}, given ${path}`, session.run(feeds)))[output]!;
    if (!(data instanceof Float32Array)) throw new TypeError(`the encoder's output ${output} is not float32`);
    found.push({ name: path, latent: inMemory("float32", [...dims], data) });
    progress(i + 1);
  }
  return found;
}

function declaredSize({ inputMetadata }: Session): [number, number] {
  const [, , height, width] = inputMetadata?.[0]?.shape ?? [];
  if (typeof height === "number" && typeof width === "number" && height > 0 && width > 0) return [height, width];
  throw new TypeError("the encoder takes any size of image: say which with --size HEIGHTxWIDTH");
}
