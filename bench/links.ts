import type { Format } from "./pictures.js";

/** A link as links.json describes it: the uplink's rate and the time for there and back. */
export interface Link {
  readonly name: string;
  readonly mbitPerSecond: number;
  readonly rttMs: number;
}

/** Where the milliseconds of one image go. */
export type EndToEnd = Readonly<ReturnType<typeof endToEnd>>;

/** Arithmetic, not a measurement of a link: no packet loss, no protocol's headers, no waiting for the channel. */
export function endToEnd(link: Link, bytes: number, senderMs: number, receiverMs: number) {
  const transferMs = (bytes * 8) / (link.mbitPerSecond * 1000);
  const { rttMs } = link;
  return { senderMs, transferMs, rttMs, receiverMs, totalMs: senderMs + transferMs + rttMs + receiverMs };
}

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
