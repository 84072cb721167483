// ONNX float16 data is a Uint16Array of raw bits where the engine has no Float16Array.

type Float16ArrayConstructor = new (buffer: ArrayBufferLike, byteOffset?: number, length?: number) => ArrayBufferView;

const bits = new Uint32Array(1);
const float = new Float32Array(bits.buffer);

/** float16 -> float32, to `out` or a new array. Exact. */
export function widen(data: ArrayBufferView, out: Float32Array = new Float32Array(data.byteLength >> 1)): Float32Array {
  const half = new Uint16Array(data.buffer, data.byteOffset, data.byteLength >> 1);
  const word = new Uint32Array(out.buffer, out.byteOffset, half.length);
  for (let i = 0; i < half.length; i++) {
    const h = half[i]!;
    const exponent = h & 0x7c00;
    const sign = (h & 0x8000) << 16;
    // The exponent's bias grows from 15 to 127; that of infinities and NaN is the largest in both.
    if (exponent !== 0) word[i] = sign | (((h & 0x7fff) << 13) + (exponent === 0x7c00 ? 0x70000000 : 0x38000000));
    else out[i] = (sign ? -1 : 1) * (h & 0x3ff) * 2 ** -24;
  }
  return out;
}

/** float32 -> the bits of float16, to nearest, ties to even; beyond 65504 to infinity, as ONNX Cast does. */
export function narrow(data: Float32Array, half: Uint16Array = new Uint16Array(data.length)): Uint16Array {
  for (let i = 0; i < data.length; i++) {
    float[0] = data[i]!;
    const sign = (bits[0]! >>> 16) & 0x8000;
    const magnitude = bits[0]! & 0x7fffffff;
    half[i] = sign | (magnitude > 0x7f800000 ? 0x7e00 : nearest(magnitude));
  }
  return half;
}

/** Bits as a Float16Array where the engine has it: ONNX runtimes then take nothing else. */
export function float16Array({ buffer, byteOffset, byteLength }: ArrayBufferView): ArrayBufferView {
  const Class = (globalThis as { Float16Array?: Float16ArrayConstructor }).Float16Array ?? Uint16Array;
  return new Class(buffer, byteOffset, byteLength >> 1);
}

function nearest(magnitude: number): number {
  if (magnitude >= 0x477ff000) return 0x7c00;
  if (magnitude < 0x38800000) {
    // Below 2^-14 the result is a multiple of 2^-24. After adding 0.5 the last bit of a float32 is worth exactly 2^-24,
    // so float32 does the rounding.
    bits[0] = magnitude;
    float[0]! += 0.5;
    return bits[0]! - 0x3f000000;
  }
  // 13 bits are dropped. Rounding up may carry into the exponent, which gives the right result.
  return (magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13;
}
