// ONNX float16 data is a Uint16Array of raw bits where the engine has no Float16Array.

type Float16ArrayConstructor = new (buffer: ArrayBufferLike, byteOffset?: number, length?: number) => ArrayBufferView;

const bits = new Uint32Array(1);
const float = new Float32Array(bits.buffer);

/** float16 -> float32. Exact. */
export function widen(data: ArrayBufferView): Float32Array {
  const half = new Uint16Array(data.buffer, data.byteOffset, data.byteLength >> 1);
  const out = new Float32Array(half.length);
  for (let i = 0; i < half.length; i++) {
    const h = half[i]!;
    const exponent = (h >> 10) & 31;
    const mantissa = h & 0x3ff;
    const magnitude =
      exponent === 0
        ? mantissa * 2 ** -24
        : exponent < 31
          ? (1024 + mantissa) * 2 ** (exponent - 25)
          : mantissa === 0
            ? Number.POSITIVE_INFINITY
            : Number.NaN;
    out[i] = h & 0x8000 ? -magnitude : magnitude;
  }
  return out;
}

/**
 * float32 -> float16, to nearest, ties to even; beyond 65504 to infinity, as ONNX Cast does. A Float16Array if the
 * engine has it, otherwise raw bits.
 */
export function narrow(data: Float32Array): ArrayBufferView {
  const half = new Uint16Array(data.length);
  for (let i = 0; i < data.length; i++) {
    float[0] = data[i]!;
    const sign = (bits[0]! >>> 16) & 0x8000;
    const magnitude = bits[0]! & 0x7fffffff;
    half[i] = sign | (magnitude > 0x7f800000 ? 0x7e00 : nearest(magnitude));
  }
  const Float16 = (globalThis as { Float16Array?: Float16ArrayConstructor }).Float16Array;
  return Float16 === undefined ? half : new Float16(half.buffer);
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
