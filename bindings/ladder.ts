/** A ladder: several priors for one latent, from fine to coarse, so that a packet fits a number of bytes. */
import { CodecError, shown } from "./errors.js";
import type { Bytes, Codec, DecodeOptions, EncodeOptions, Latent, Prior, TensorLike, TensorView } from "./types.js";

type Ladder = readonly Prior[];

export const isLadder = (prior: Prior | Ladder): prior is Ladder => Array.isArray(prior);

/** A compact packet says its prior by a byte in front; a full one by its fingerprint. */
function checkLadder({ length }: Ladder, { header, fingerprint }: Pick<EncodeOptions, "header" | "fingerprint">): void {
  if (length === 0 || length > 256) throw new RangeError(`a ladder has 1 to 256 priors, not ${length}`);
  if (header === "none" || (header !== "compact" && fingerprint === false))
    throw new TypeError('a ladder needs a fingerprint, or header: "compact"');
}

/**
 * Codes a latent under the first prior whose packet has at most `maxBytes`.
 *
 * @throws CodecError `LIMIT_EXCEEDED` where none has; the message names the smallest packet.
 */
export function encodeWithin(
  codec: Codec,
  latent: TensorLike | TensorView,
  prior: Prior | Ladder,
  { maxBytes = Number.POSITIVE_INFINITY, ...options }: EncodeOptions,
  out: Uint8Array | undefined,
): Bytes {
  // Not "< 0": NaN would switch the limit off.
  if (!(typeof maxBytes === "number" && maxBytes >= 0))
    throw new RangeError(`maxBytes must be a number of bytes, not ${shown(maxBytes)}`);
  const ladder = isLadder(prior) ? prior : [prior];
  if (ladder === prior) checkLadder(ladder, options);
  const front = ladder === prior && options.header === "compact" ? 1 : 0;
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < ladder.length; i++) {
    const packet = codec.encode(latent, ladder[i]!, options);
    const length = packet.length + front;
    least = Math.min(least, length);
    if (length > maxBytes) continue;
    const target = out?.subarray(0, length) ?? new Uint8Array(length);
    if (target.length < length) throw new RangeError(`out has ${target.length} bytes, the packet needs ${length}`);
    if (front) target[0] = i;
    target.set(packet, front);
    return target as Bytes;
  }
  throw new CodecError(
    "LIMIT_EXCEEDED",
    `the smallest packet has ${least} bytes, maxBytes is ${maxBytes}: add a prior with a larger step`,
  );
}

/** Decodes a packet with that prior of a ladder under which it was coded. */
export function decodeOf(codec: Codec, packet: Uint8Array, ladder: Ladder, options: DecodeOptions): Latent {
  checkLadder(ladder, { header: options.header });
  if (options.header === "compact") {
    if (packet.length === 0) throw new CodecError("TRUNCATED", "the packet is empty");
    const rung = ladder[packet[0]!];
    if (rung) return codec.decode(packet.subarray(1), rung, options);
  } else if (codec.inspect(packet).fingerprint !== undefined) {
    for (const rung of ladder) {
      try {
        return codec.decode(packet, rung, options);
      } catch (error) {
        if (!(error instanceof CodecError && error.code === "WRONG_PRIOR")) throw error;
      }
    }
  }
  throw new CodecError("WRONG_PRIOR", "the packet was coded under none of the ladder's priors, or does not say which");
}
