/** Ways to send an image, over links. */
import type { EndToEnd, Link } from "../tables/links.js";
import type { Format } from "./pictures.js";

/** A way to send an image, averaged over the images. */
export interface Sender {
  /** `latentwire`, `JPEG 20`, .. */
  readonly name: string;
  readonly family: "latentwire" | "latent" | Format;
  readonly bytes: number;
  /** Milliseconds before the first byte can leave, and after the last has come. */
  readonly senderMs: number;
  readonly receiverMs: number;
}

export interface LinkRow {
  readonly link: Link;
  readonly ways: readonly { readonly sender: Sender; readonly time: EndToEnd }[];
}
