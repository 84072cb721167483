// An implementation of docs/format.md in plain TypeScript, written from that document alone: the measure for the package,
// and a start for whoever ports the format. Clarity over speed.
export { pmfToQuantizedCdf } from "./reference/cdf.js";
export { decodeCompressai, encodeCompressai } from "./reference/compressai.js";
export { correctedRow, guardedPositions, indexCheck, type ReferenceGuard } from "./reference/corrections.js";
export { FormatError } from "./reference/errors.js";
export { erfc, exp } from "./reference/exp.js";
export { xxh32, xxh64 } from "./reference/hash.js";
export type { Layout } from "./reference/lanes.js";
export {
  type Component,
  guardedParameters,
  type Mixture,
  type MixtureKind,
  mixtureKinds,
  mixtureRow,
  quantizeMixture,
} from "./reference/mixture.js";
export {
  decodeBare,
  decodePacket,
  encodeBare,
  encodePacket,
  type Header,
  type PacketOptions,
  parsePacket,
  type StreamKind,
} from "./reference/packet.js";
export { type PartsHeader, parseParts, writeParts } from "./reference/part-header.js";
export { decodeParts, encodeParts, type PartsOptions, type ReferencePart } from "./reference/parts.js";
export type { PartPrior } from "./reference/prior.js";
export { dequantize, nearest, quantize } from "./reference/quantize.js";
export { rowsOfAxis, rowsOfScales } from "./reference/rows.js";
export { decodeNative, encodeNative, type LaneCount, type StreamForm } from "./reference/stream.js";
export { type Coding, entryOf, idealBits } from "./reference/symbol.js";
export {
  fingerprint,
  type ReferenceTable,
  type ReferenceTableJson,
  type Row,
  tableFromBytes,
  tableFromJson,
  tableToBytes,
  tableToJson,
} from "./reference/table.js";
