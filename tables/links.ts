/** Links between a device and a server, and what a message takes over them. */

/** The uplink's rate and the time for there and back. */
export interface Link {
  readonly name: string;
  readonly mbitPerSecond: number;
  readonly rttMs: number;
}

/** Usual links. They are assumptions: yours has figures of its own. */
export const LINKS: readonly Link[] = [
  { name: "BLE", mbitPerSecond: 0.27, rttMs: 60 },
  { name: "4G/LTE", mbitPerSecond: 12, rttMs: 50 },
  { name: "Wi-Fi", mbitPerSecond: 54, rttMs: 5 },
  { name: "5G", mbitPerSecond: 67, rttMs: 15 },
];

/** Where the milliseconds of one image go. */
export type EndToEnd = Readonly<ReturnType<typeof endToEnd>>;

/** Arithmetic, not a measurement of a link: no packet loss, no protocol's headers, no waiting for the channel. */
export function endToEnd(link: Link, bytes: number, senderMs: number, receiverMs: number) {
  const transferMs = (bytes * 8) / (link.mbitPerSecond * 1000);
  const { rttMs } = link;
  return { senderMs, transferMs, rttMs, receiverMs, totalMs: senderMs + transferMs + rttMs + receiverMs };
}
