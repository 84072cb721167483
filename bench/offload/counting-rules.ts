import type { Codec } from "latentwire";
import type { Picture } from "../images.js";
import { mean } from "../numbers.js";
import type { Model } from "./model.js";

/** The same latents, counted as three groups of people count. */
export interface CountingRules {
  readonly images: number;
  /** Ours: the packet as sent. */
  readonly packet: number;
  /** FrankenSplit's: CompressAI's string, with no header, shape or checksum. */
  readonly strings: number;
  /** SC2's: that string and the shape as a Python pickle. */
  readonly pickled: number;
}

/** pickle.dumps({"strings": [[string]], "shape": torch.Size([h, w])}, protocol=4), in Python's order, around a string of 256 to 65,000 bytes. */
const BEFORE = "\x80\x04\x95........}\x94(\x8c\x07strings\x94]\x94]\x94B....";
const AFTER = "\x94aa\x8c\x05shape\x94\x8c\x05torch\x94\x8c\x04Size\x94\x93\x94K.K.\x86\x94\x85\x94R\x94u.";
const PICKLE_BYTES = BEFORE.length + AFTER.length;

export async function countingRules(codec: Codec, model: Model, pictures: readonly Picture[]): Promise<CountingRules> {
  const prior = model.prior(codec, 1);
  const packets: number[] = [];
  const strings: number[] = [];
  for (const picture of pictures) {
    const latent = await model.latent(picture.planes);
    packets.push(codec.encode(latent, prior).length);
    strings.push(codec.encode(latent, prior, { stream: "compressai", header: "none" }).length);
  }
  const string = mean(strings);
  return { images: pictures.length, packet: mean(packets), strings: string, pickled: string + PICKLE_BYTES };
}
