import { readFileSync } from "node:fs";
import type { Format } from "./pictures.js";

/** A link as links.json describes it: the uplink's rate and the time for there and back. */
export interface Link {
  readonly name: string;
  readonly mbitPerSecond: number;
  readonly rttMs: number;
}

export function readLinks(file: string): Link[] {
  let links: unknown;
  try {
    links = JSON.parse(readFileSync(file, "utf8"));
  } catch (error) {
    throw new Error(`cannot read the links in ${file}: ${(error as Error).message}`);
  }
  const usable = (link: Link) =>
    typeof link?.name === "string" &&
    link.name.trim() !== "" &&
    Number.isFinite(link.mbitPerSecond) &&
    link.mbitPerSecond > 0 &&
    Number.isFinite(link.rttMs) &&
    link.rttMs >= 0;
  if (!Array.isArray(links) || links.length === 0 || !links.every(usable))
    throw new Error(`${file}: a list of {"name", "mbitPerSecond" > 0, "rttMs" >= 0} is wanted`);
  const names = links.map(({ name }: Link) => name);
  const twice = names.find((name, i) => names.indexOf(name) < i);
  if (twice !== undefined) throw new Error(`${file}: two links are called ${twice}`);
  return links;
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
