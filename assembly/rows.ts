// From a scale to a row (docs/format.md section 7), and rows spread over symbols.

// A positive float32's upper 13 bits below the sign: exponent and 4 mantissa bits, 16 steps an octave.
const LUT_SHIFT: u32 = 19;

/** Fills `lut` (4096 u16): for each upper part of a float32, the number of scales below its smallest member. */
export function buildScaleLut(scales: usize, count: u32, lut: usize): void {
  let row: u32 = 0;
  for (let b: u32 = 0; b < 4096; b++) {
    // Beyond infinity the bits are NaN; the comparison is false there and the entries are never read.
    while (row + 1 < count && load<f32>(scales + (<usize>row << 2)) < reinterpret<f32>(b << LUT_SHIFT)) row++;
    store<u16>(lut + (<usize>b << 1), <u16>row);
  }
}

/** rows[i] (u16) = #{ j < count - 1 : scales[j] < sigma[i] }. Returns -1, or the position of a NaN. */
export function scaleToRow(sigmas: usize, n: i32, scales: usize, count: u32, lut: usize, rows: usize): i32 {
  const last = count - 1;
  for (let i = 0; i < n; i++) {
    const sigma = load<f32>(sigmas + (<usize>i << 2));
    const bits = reinterpret<u32>(sigma);
    let row: u32 = 0;
    if (bits < 0x80000000) {
      if (bits > 0x7f800000) return i;
      row = load<u16>(lut + (<usize>(bits >> LUT_SHIFT) << 1));
      // No branch: whether the one scale within a bin lies below is a toss-up (encode of W1 by scales 123 -> 244 Msym/s,
      // bench latentwire-gaussian). The loop is for tables with more scales in a bin.
      row += u32(row < last) & u32(load<f32>(scales + (<usize>row << 2)) < sigma);
      while (row < last && load<f32>(scales + (<usize>row << 2)) < sigma) row++;
    } else if (bits > 0xff800000) {
      return i;
    }
    store<u16>(rows + (<usize>i << 1), <u16>row);
  }
  return -1;
}

/** out[i] (u16) = rows[i / run] for i < n. */
export function expandRows(rows: usize, run: u32, n: u32, out: usize): void {
  for (let i: u32 = 0; i < n; rows += 2) {
    const row = load<u16>(rows);
    for (let j: u32 = 0; j < run; j++, i++) store<u16>(out + (<usize>i << 1), row);
  }
}
