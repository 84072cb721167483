import type { Picture } from "../images.js";
import type { Format } from "../pictures.js";

/** Milliseconds before the first byte can leave. */
export interface ClientMs {
  readonly encoder: number;
  /** The entropy codec, or the general-purpose compressor in its place. */
  readonly codec: number;
  readonly image: number;
}

/** Milliseconds after the last byte has come. */
export interface ServerMs {
  readonly codec: number;
  readonly image: number;
  readonly decoder: number;
  /** The tail behind the split, or the whole backbone. */
  readonly network: number;
}

export interface Received {
  /** The class of the highest logit; null where there is no backbone. */
  readonly answer: number | null;
  /** The decoder's output; null where a picture was sent. */
  readonly features: Float32Array | null;
  readonly ms: ServerMs;
}

/** One way to send an image: what the device does with it and what the server does with the message. */
export interface Way {
  readonly codec: string;
  readonly setting: string;
  readonly family: "latentwire" | "latent" | Format;
  /** The files and versions that its results depend on, beside the image. */
  readonly identity: string;
  /** At most so many images, because its encoder is slow; Infinity where it is not. */
  readonly images: number;
  /** The way whose message carries the same symbols, so that its answers are this one's too. */
  readonly answersAs?: Way;
  client(picture: Picture): Promise<{ message: Uint8Array; ms: ClientMs }>;
  server(message: Uint8Array): Promise<Received>;
  /** The decoder's output from the latent before it was quantized; absent where a picture is sent. */
  unquantized?(picture: Picture): Promise<Float32Array>;
}

export const nameOf = ({ codec, setting }: { codec: string; setting: string }) => `${codec} ${setting}`.trim();
