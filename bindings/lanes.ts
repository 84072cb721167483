/** How many lanes a stream gets: every lane costs bytes and brings speed. */
import { SIMD_ROWS } from "./kernels.js";
import { LANES } from "./packet.js";
import type { Lanes } from "./types.js";

/** Throws RangeError. */
export function checkLanes(lanes: Lanes | "auto"): void {
  if (lanes !== "auto" && !LANES.includes(lanes))
    throw new RangeError(`lanes must be "auto", 1, 8, 16 or 32, not ${lanes}`);
}

/** A way to code a stream. */
export interface StreamChoice {
  compressai: boolean;
  lanes: Lanes;
  layout: 0 | 1;
  /** A stream of fewer bytes than this is coded as the next choice. */
  least: number;
}

/**
 * Ways to code n symbols whose rows come in runs of `run` from a table of `rows`, best first. Measured (docs/math.md 5): 8, 16 and 32 lanes
 * cost 5, 6 and 12 bytes, one lane 3; one lane decodes at about a fifth of the speed.
 */
export function laneChoices(n: number, wanted: Lanes | "auto", run: number, rows: number): StreamChoice[] {
  const most = wanted !== "auto" ? wanted : n < 2048 ? 1 : n < 8192 ? 8 : n < 65536 ? 16 : 32;
  const choices: StreamChoice[] = [];
  for (let i = LANES.length; i-- > 0; ) {
    const lanes = LANES[i]!;
    if (lanes > most || (wanted !== "auto" && lanes > 1 && lanes < most)) continue;
    choices.push({
      compressai: false,
      lanes,
      // Shorter runs leave too many lanes idle in their last round, unless there are too many rows for a kernel with a row per symbol.
      layout: lanes > 1 && run > 1 && run >= (rows > SIMD_ROWS ? lanes : 2 * lanes) ? 1 : 0,
      // A stream much shorter than that pays too large a share for its lanes.
      least: wanted === "auto" && lanes > 1 ? 40 * lanes : 0,
    });
  }
  return choices;
}

/**
 * For packets of parts, best first: a packet with fewer bytes than `least` is coded with fewer. With 8, 16 and 32 lanes a packet of 4,361
 * bytes has 11, 13 and 17 more (measured); the header takes 20 to 24. So all of it stays below 0.3 % and 24 bytes.
 */
const PARTS: readonly { lanes: Lanes; least: number }[] = [
  { lanes: 32, least: 12000 },
  { lanes: 16, least: 5000 },
  { lanes: 8, least: 3500 },
  { lanes: 1, least: 0 },
];
/** Fewer symbols than that are not worth the lanes. */
const PARTS_SYMBOLS = { 32: 65536, 16: 8192, 8: 2048, 1: 0 };

/** Ways to code the n symbols of all parts, best first; the last one always does. */
export function partsLaneChoices(n: number, wanted: Lanes | "auto"): readonly { lanes: Lanes; least: number }[] {
  if (wanted === "auto") return PARTS.filter(({ lanes }) => n >= PARTS_SYMBOLS[lanes]);
  return [
    { lanes: wanted, least: 0 },
    { lanes: 1, least: 0 },
  ];
}
