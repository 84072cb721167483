/** What the options of `encode` and `decode` make of one latent or one packet: the same for a single file and for many. */
import { type Codec, create, type Latent, type Prior } from "latentwire";
import { Pieces } from "../bindings/tensor.js";
import type { ByteSource } from "./byte-source.js";
import { choice, flag, list, typed, UsageError, type Values, whole } from "./cli-arguments.js";
import { affineOf, ELEMENT_TYPES, readLatent } from "./cli-latent.js";
import { makePrior, refuseIdleAxis } from "./cli-prior.js";
import { arrange, naming } from "./layout.js";

const STREAMS = ["native", "compressai"] as const;
const HEADERS = ["packet", "compact", "none"] as const;

/** Encodes latents one after the other. */
export interface Encoder {
  readonly codec: Codec;
  readonly prior: Prior;
  /** The packet of the latent that a source holds, and its shape. Throws a CodecError that names it. */
  encode(source: ByteSource, name: string): { packet: Uint8Array; dims: number[] };
}

/** The encoder of a command's options. `isMany`: without `--dims` its files are .npy files. Throws UsageError. */
export async function makeEncoder(values: Values, isMany = false): Promise<Encoder> {
  refuseIdleAxis(values);
  const lanes = choice(values, "lanes", ["auto", "1", "8", "16", "32"]) ?? "auto";
  const options = {
    stream: choice(values, "stream", STREAMS) ?? "native",
    header: choice(values, "header", HEADERS) ?? "packet",
    lanes: lanes === "auto" ? lanes : (Number(lanes) as 1 | 8 | 16 | 32),
    checksum: !flag(values, "no-checksum"),
    fingerprint: !flag(values, "no-fingerprint"),
  } as const;
  const codec = await create();
  const { prior, layout } = await makePrior(codec, values);
  const affine = affineOf(values, prior);
  const described = isMany && values.dims === undefined ? undefined : values;
  return {
    codec,
    prior,
    encode(source, name) {
      const latent = readLatent(source, described, name);
      const dims = layout ? arrange(latent.dims, layout, name).dims : latent.dims;
      const pieces = () => codec.encode(new Pieces(latent.type, dims, latent.read), prior, { ...options, affine });
      return { packet: naming(name, () => typed(pieces)), dims };
    },
  };
}

/** Decodes packets one after the other. */
export interface Decoder {
  /** The latent of a packet. Throws a CodecError that names it. */
  decode(packet: Uint8Array, name: string): Latent;
}

/** The decoder of a command's options. Throws UsageError. */
export async function makeDecoder(values: Values): Promise<Decoder> {
  refuseIdleAxis(values);
  const type = choice(values, "type", ELEMENT_TYPES) ?? "float32";
  const stream = choice(values, "stream", STREAMS) ?? "native";
  const header = choice(values, "header", HEADERS) ?? "packet";
  const given = list(values, "dims");
  if (header !== "packet" && given === undefined) throw new UsageError(`--header ${header} needs --dims`);
  const maxElements = whole(values, "max-elements", 0, 2 ** 31 - 1);
  const maxContextElements = whole(values, "max-context-elements", 0, 2 ** 31 - 1);
  const checksum = !flag(values, "no-checksum");
  const codec = await create();
  const { prior, layout } = await makePrior(codec, values);
  const affine = affineOf(values, prior);
  const decoded = (packet: Uint8Array, name: string): Latent => {
    // A whole packet says how many dimensions its latent has.
    const shape = given && header === "packet" ? codec.inspect(packet).dims : layout?.shape;
    const dims = given && layout ? arrange(given, { ...layout, shape }, name).dims : given;
    const options = { type, stream, header, affine, checksum, dims, maxElements, maxContextElements };
    return typed(() => codec.decode(packet, prior, options));
  };
  return { decode: (packet, name) => naming(name, () => decoded(packet, name)) };
}
