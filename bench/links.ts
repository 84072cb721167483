/** Ways to send an image, over links. Pages use this file too. */
import { type EndToEnd, endToEnd, type Link } from "../tables/links.js";
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

export function overLink(link: Link, senders: readonly Sender[]): LinkRow {
  const time = ({ bytes, senderMs, receiverMs }: Sender) => endToEnd(link, bytes, senderMs, receiverMs);
  return { link, ways: senders.map((sender) => ({ sender, time: time(sender) })) };
}
