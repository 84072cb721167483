export { decode } from "./decode.js";
export { encode } from "./encode.js";
export { dequantize, quantize } from "./quantize.js";
export { plainTable } from "./table.js";
export { LANES } from "./wire.js";
