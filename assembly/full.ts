// Exports of the full build: those of index.ts and what packets of several parts, guards, rows made at run time and rates need.

export * from "./index";
export { laplacePmf, logisticPmf, tailedCenter } from "./families";
export { correctedRow, guardRows, hashRows } from "./guard";
export { idealEscapeBytes, idealEscapes, idealExponent, idealMantissa } from "./ideal";
export { correctedParameters, guardMixture, mixtureBegin, mixtureEntries, quantizeMixture } from "./mixture";
export { BLOCK_BYTES, partsDecode, partsDecodeBegin, partsDecodeEnd, partsDecodeMixture, partsEncode, partsEncodeBegin, partsEncodeEnd, partsEncodeEntries, partsTailLength } from "./parts";
export { parts64Decode, parts64DecodeBegin, parts64DecodeEnd, parts64DecodeMixture, parts64Encode, parts64EncodeBegin, parts64EncodeEnd, parts64EncodeEntries } from "./parts64";
