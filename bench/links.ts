import { readFileSync } from "node:fs";

/** A link as links.json describes it: the uplink's rate and the time for there and back. */
export interface Link {
  readonly name: string;
  readonly mbitPerSecond: number;
  readonly rttMs: number;
}

/** Where the milliseconds of one image go. */
export interface EndToEnd {
  readonly senderMs: number;
  readonly transferMs: number;
  readonly rttMs: number;
  readonly receiverMs: number;
  readonly totalMs: number;
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

/** Arithmetic, not a measurement of a link: no packet loss, no protocol's headers, no waiting for the channel. */
export function endToEnd(link: Link, bytes: number, senderMs: number, receiverMs: number): EndToEnd {
  const transferMs = (bytes * 8) / (link.mbitPerSecond * 1000);
  const { rttMs } = link;
  return { senderMs, transferMs, rttMs, receiverMs, totalMs: senderMs + transferMs + rttMs + receiverMs };
}

/** What the times over links mean, in the words of the terminal and of the reports. */
export const LINK_RULE =
  "end to end: arithmetic, not a measured link: sender + bytes x 8 / rate + round trip + receiver; " +
  "the answer's own bytes and the rest of the network are left out for all alike";
