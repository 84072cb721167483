import { number } from "../numbers.js";
import type { CountingRules } from "./counting-rules.js";

// What the figures of this benchmark mean, in the same words in the terminal and in the report.

export const CLIENT_RULE =
  "milliseconds: medians over the images, one pass each, on this machine for both ends; the client frame after frame, without the server in between; " +
  "network is the tail behind the split or, for pictures, the whole backbone; " +
  "energy is not measured";

export const INTERVAL_RULE =
  "Equal top-1: log bytes interpolated linearly over top-1 between a codec's qualities; - where its qualities do not reach. " +
  "In brackets: 95 % of 1,000 bootstrap draws of the images, the same draw for both sides; none where more than 2 % of the draws leave a curve";

export const ARITHMETIC_RULE =
  "end to end: arithmetic: client + bytes x 8 / rate + round trip + server, the rest of the network included; the answer's own bytes are left out for all alike";

export const OBSERVED_RULE =
  "observed: to a second process over HTTP on 127.0.0.1, all bytes that go up, HTTP headers included, through a token bucket of the link's rate, half the round trip each way; " +
  "modelled: sender + bytes x 8 / rate + round trip + receiver, with the sender's and receiver's times of the same passes";

export function ruleLines({ images, packet, strings, pickled }: CountingRules): string[] {
  return [
    `The first ${images} image(s) of the first model, counted by others' rules: packet as sent (ours) ${number(packet, 1)} B; ` +
      `bare CompressAI string without shape or checksum (FrankenSplit) ${number(strings, 1)} B; ` +
      `that string and its shape as a Python pickle (SC2-benchmark) ${number(pickled, 1)} B`,
  ];
}
