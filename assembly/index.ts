// The exported functions: docs/abi.md. A host copies bytes in, calls, copies bytes out and turns codes into its own
// errors; it is responsible for the addresses and lengths that it hands over.

import { ABI_VERSION, fault } from "./codes";
import { scratch as scratch64 } from "./memory";

export { contextSource, loadContext } from "./context-parameters";
export { factorizedPmf, halfWidth, quantizedCdf, scalePmf } from "./cdf";
export { copyGrid, pieceAddress, release, trim } from "./memory";
export { freeReader, judgePacket, newReader, nextShape, openReader } from "./packet-header";
export { beginPart, endPart, finishReader, readPart, stageRead } from "./packet-reader";
export {
  beginEncode, closePart, dropPart, encodeChunk, endEncode, finishWriter, freeWriter, newWriter, openPart, stagePart,
  writePart,
} from "./packet-writer";
export { newPart } from "./part";
export { buildScales, newScales } from "./rows";
export { loadTable, prepareTable, sealTable, tableSource } from "./table";

export function abiVersion(): u32 {
  return ABI_VERSION;
}

export function simdBuild(): bool {
  return ASC_FEATURE_SIMD;
}

/** Where the last call that failed says what failed: docs/abi.md. */
export function faultAddress(): usize {
  return fault;
}

/** `scratch` of memory.ts for hosts: a number of 32 bits, because not every host has 64. */
export function scratch(bytes: u32): usize {
  return scratch64(bytes);
}
