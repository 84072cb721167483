// The module's exports, and nothing else. Addresses and lengths are the caller's (bindings/core*.ts) responsibility.
import { initLanes } from "./lanes";

export { expandRows, buildScaleBins, scaleToRow } from "./rows";
export { factorizedPmf, gaussianCenter, gaussianPmf, quantizedCdf } from "./cdf";
export { dequantize, narrow, quantize, widen } from "./quantize";
export { loadTable, preparedBound, prepareDecode, prepareEncode } from "./table";
export { decode64, encode64 } from "./rans64";
export { refusedAt, refusedValue, setElements } from "./tile";
export { decodeBegin, decodeEnd, decodeUp, encodeBegin, encodeDown, encodeEnd, tailLength } from "./rans";
export { escapeWriter, startEscapeReader, startEscapeWriter } from "./escape";
export { xxh32, xxh64 } from "./checksum";

/** First address behind the module's static data. */
export function heapBase(): usize {
  return __heap_base;
}

/** Must be called once before anything else. */
export function init(): void {
  if (ASC_FEATURE_SIMD) initLanes();
}

export function simdBuild(): bool {
  return ASC_FEATURE_SIMD;
}
