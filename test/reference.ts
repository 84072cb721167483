// An implementation of docs/format.md in plain TypeScript, written from that document alone: the measure for the package,
// and a start for whoever ports the format. Clarity over speed.
export { pmfToQuantizedCdf } from "./reference/cdf.js";
export { decodeCompressai, encodeCompressai } from "./reference/compressai.js";
export { FormatError } from "./reference/errors.js";
export { xxh32, xxh64 } from "./reference/hash.js";
export type { Layout } from "./reference/lanes.js";
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
