import { PASSES } from "./pipeline.js";

// What the figures mean: said in the same words by the terminal and by the report.

export const BYTE_RULE =
  "bytes: the packet as it would be sent: header with shape and table fingerprint, stream and checksum";

export const TIME_RULE =
  `milliseconds: medians of ${PASSES} passes after a warm-up, on this machine for both ends; ` +
  "encoder and decoder are the networks, encode and decode the codec";

export const LINK_RULE =
  "end to end: arithmetic, not a measured link: sender + bytes x 8 / rate + round trip + receiver; " +
  "the answer's own bytes and the rest of the network are left out for all alike";
