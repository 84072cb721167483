// An implementation of docs/format.md in plain TypeScript, written from that document alone: the measure for the package,
// and a start for whoever ports the format. Clarity over speed.
export { FormatError } from "./reference/bytes.js";
export { decodeCompressai, encodeCompressai } from "./reference/compressai.js";
export { contextRow, logistic } from "./reference/context.js";
export {
  type ContextChannel,
  type ContextParameters,
  contextFromBytes,
  contextToBytes,
  sealContext,
  type WeightRow,
} from "./reference/context-parameters.js";
export { erfc, exp } from "./reference/exp.js";
export {
  type FileRecord,
  isGoodPacket,
  readFrames,
  readPacketFile,
  recoverFrames,
  writeFrames,
  writePacketFile,
} from "./reference/frames.js";
export { xxh32, xxh64 } from "./reference/hash.js";
export {
  type Agreement,
  type CheckSize,
  type FileHash,
  type Header,
  type PacketForm,
  parsePacket,
  type StreamKind,
} from "./reference/header.js";
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
  decodePacket,
  encodePacket,
  type PacketOptions,
  type ReadOptions,
  type ReferencePart,
} from "./reference/packet.js";
export {
  type Centre,
  compactSeed,
  contextBits,
  type PartPrior,
  packetFingerprint,
  partFingerprint,
} from "./reference/part.js";
export {
  compressaiScales,
  correctedRow,
  guardedPositions,
  indexCheck,
  type ReferenceGuard,
  rowsOfAxis,
  rowsOfScales,
} from "./reference/rows.js";
export {
  type CodedPart,
  decodeNative,
  encodeNative,
  type LaneCount,
  type StreamForm,
} from "./reference/stream.js";
export { type Coding, dequantize, entryOf, idealBits, nearest, quantize } from "./reference/symbol.js";
export {
  fingerprint,
  pmfToQuantizedCdf,
  type ReferenceTable,
  type ReferenceTableJson,
  type Row,
  tableFromBytes,
  tableFromJson,
  tableToBytes,
  tableToJson,
} from "./reference/table.js";
