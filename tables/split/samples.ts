/** Sample inputs of a model: images, or arrays of .npy files. Which of them are used for what. */
import { basename } from "node:path";
import { CodecError, type LatentData } from "latentwire";
import { FileSource } from "../byte-source.js";
import { coreLatent, readLatent } from "../cli-latent.js";
import { type Normalization, normalized, readImage } from "../images.js";
import { elementsOf, type ReadLatent } from "../layout.js";
import type { Runtime, Sharp } from "../packages.js";
import type { Graph } from "./graph.js";
import { checkInputs, type Feeds, tensorOf, typeOf } from "./network.js";
import type { OnnxValue } from "./onnx-file.js";

/** Sample inputs, each with a batch of one. */
export interface Samples {
  readonly count: number;
  readonly names: readonly string[];
  feeds(i: number): Promise<Feeds>;
  /** Of images; undefined of arrays. */
  readonly images: ImageSamples | undefined;
}

/** What images add: their pixels, and the input of other pixels in their place. */
export interface ImageSamples {
  readonly height: number;
  readonly width: number;
  pixels(i: number): Promise<Uint8Array>;
  feedsOf(pixels: Uint8Array): Feeds;
}

/** Samples of three kinds, as their numbers. */
export interface Uses {
  /** Medians are made from these, and the rows by which cuts are chosen. */
  readonly fit: readonly number[];
  /** Cuts, steps and the recommendation are chosen by these. Then they help to make the rows and weights of the best. */
  readonly choose: readonly number[];
  /** Every figure that is reported is of these. */
  readonly report: readonly number[];
}

/** Fewer samples say nothing. */
export const LEAST_SAMPLES = 12;

/** Of each ten samples one fits, five choose, four are reported on; mixed over the list, so that neighbours differ in use. */
export function usesOf(count: number): Uses {
  const of = (...places: number[]) => Array.from({ length: count }, (_, i) => i).filter((i) => places.includes(i % 10));
  return { fit: of(0), choose: of(1, 3, 5, 6, 8), report: of(2, 4, 7, 9) };
}

/** Where a network takes an image. */
export interface ImageInput {
  readonly value: OnnxValue;
  readonly channels: 1 | 3;
  /** Whether channels are the last dimension. */
  readonly isLast: boolean;
  readonly height: number | undefined;
  readonly width: number | undefined;
}

/** The input that takes images: four dimensions, of which one is 3 channels, or 1. Throws CodecError `MODEL`. */
export function imageInput(inputs: readonly OnnxValue[], path: string): ImageInput {
  const size = (dim: number | string | null | undefined) => (typeof dim === "number" ? dim : undefined);
  const found = inputs.flatMap((value): ImageInput[] => {
    const { dims } = value;
    if (dims?.length !== 4) return [];
    for (const channels of [3, 1] as const) {
      if (dims[1] === channels)
        return [{ value, channels, isLast: false, height: size(dims[2]), width: size(dims[3]) }];
      if (dims[3] === channels) return [{ value, channels, isLast: true, height: size(dims[1]), width: size(dims[2]) }];
    }
    // A file may say nothing but the rank.
    return dims.every((dim) => typeof dim !== "number")
      ? [{ value, channels: 3, isLast: false, height: undefined, width: undefined }]
      : [];
  });
  const [only] = found;
  if (only === undefined || found.length > 1 || inputs.length > 1) {
    const list = inputs.map(({ name, dims }) => `${name} [${dims?.map((d) => d ?? "?").join(", ") ?? ""}]`).join(", ");
    throw new CodecError("MODEL", `${path} does not take one image, but ${list}: give --inputs NAME=FILE.npy`);
  }
  return only;
}

/** The shape of an input of images. Throws CodecError `LIMIT_EXCEEDED`, before any image is read. */
export function imageDims(
  { value, channels, isLast }: ImageInput,
  [height, width]: readonly [number, number],
): number[] {
  const dims = isLast ? [1, height, width, channels] : [1, channels, height, width];
  checkInputs([[value, dims]], "say a smaller --size HEIGHTxWIDTH");
  return dims;
}

/** Images as samples. */
export function imageSamples(
  runtime: Runtime,
  sharp: Sharp,
  input: ImageInput,
  paths: readonly string[],
  [height, width]: readonly [number, number],
  normalization: Normalization,
): Samples {
  const { value, channels, isLast } = input;
  const dims = imageDims(input, [height, width]);
  const type = typeOf(value);
  const pixels = (i: number) => readImage(sharp, paths[i]!, height, width);
  const feedsOf = (rgb: Uint8Array): Feeds => {
    const planes = normalized(rgb, normalization, channels, isLast);
    const data = /^float|^double/.test(type) ? planes : planes.map((value) => Math.round(value));
    return { [value.name]: tensorOf(runtime, type, data, dims, value.name) };
  };
  return {
    count: paths.length,
    names: paths,
    feeds: async (i) => feedsOf(await pixels(i)),
    images: { height, width, pixels, feedsOf },
  };
}

/**
 * Arrays as samples: a file per input that is needed, `NAME=FILE.npy`, or `FILE.npy` where that is one input. The first dimension of each is
 * that of the samples. Throws CodecError `MODEL`, `SHAPE_MISMATCH`, `INVALID_FILE`, `LIMIT_EXCEEDED`.
 */
export function arraySamples(
  runtime: Runtime,
  { inputs, model }: Graph,
  given: readonly string[],
  path: string,
): Samples {
  const files = new Map<string, string>();
  for (const text of given) {
    const [, named, file] = /^([^=]+)=(.+)$/.exec(text) ?? [];
    const name = named ?? (inputs.length === 1 ? inputs[0]!.name : undefined);
    if (name === undefined)
      throw new CodecError("MODEL", `${path} has several inputs: which is ${text}? Say NAME=${text}`);
    if (!model.inputs.some((input) => input.name === name))
      throw new CodecError(
        "MODEL",
        `${path} has no input ${name}; it has ${inputs.map((input) => input.name).join(", ")}`,
      );
    files.set(name, file ?? text);
  }
  const missing = inputs.filter(({ name }) => !files.has(name));
  if (missing.length > 0)
    throw new CodecError(
      "MODEL",
      `${path} needs samples of ${missing.map(({ name }) => name).join(", ")}, too: --inputs NAME=FILE.npy`,
    );
  const arrays = inputs.map((input) => {
    const file = files.get(input.name)!;
    const source = new FileSource(file);
    // Open as long as the command runs: a file may be larger than memory.
    return { input, file, latent: coreLatent(readLatent(source, undefined, file), file) };
  });
  const empty = arrays.find(({ latent }) => elementsOf(latent.dims) === 0);
  if (empty) throw new CodecError("SHAPE_MISMATCH", `${empty.file} has the shape [${empty.latent.dims}]: no samples`);
  const counts = arrays.map(({ latent }) => latent.dims[0] ?? 0);
  const [count] = counts as [number];
  const other = counts.findIndex((one) => one !== count);
  if (other >= 0)
    throw new CodecError(
      "SHAPE_MISMATCH",
      `${arrays[other]!.file} has ${counts[other]} samples, ${arrays[0]!.file} has ${count}`,
    );
  const dimsOf = ({ input, latent }: { input: OnnxValue; latent: ReadLatent<LatentData> }) => {
    // Some inputs have no batch: a state of a recurrent layer, a rate of sampling.
    const hasBatch = input.dims === undefined || input.dims.length >= latent.dims.length;
    return [...(hasBatch ? [1] : []), ...latent.dims.slice(1)];
  };
  const shaped = arrays.map((array) => [array.input, dimsOf(array)] as const);
  checkInputs(shaped, "give smaller samples: the first dimension of a file is that of the samples");
  const feedOf = (i: number, k: number) => {
    const [input, dims] = shaped[k]!;
    const { latent } = arrays[k]!;
    const elements = elementsOf(dims);
    const data = latent.read(i * elements, (i + 1) * elements);
    return [input.name, tensorOf(runtime, typeOf(input), data, dims, input.name)] as const;
  };
  return {
    count,
    names: Array.from({ length: count }, (_, i) => `${basename(arrays[0]!.file)}, sample ${i}`),
    feeds: async (i) => Object.fromEntries(arrays.map((_, k) => feedOf(i, k))),
    images: undefined,
  };
}
