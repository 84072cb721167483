// CompressAI's get_scale_table(): exp(linspace(ln 0.11, ln 256, 64)) as torch computes it in float32 (2.13, CPU): from both ends to the middle, each
// point rounded once. A scale between two versions would choose another row; every exponential is 6 million float64 steps or more away
// from where it would round to another float32, so no engine's Math.exp makes a difference (test/built-tables.test.ts has the bits).
const LOWEST = -2.207274913787842;
const HIGHEST = 5.545177459716797;
const STEP = 0.12305480241775513;

export const stockScales = Float32Array.from({ length: 64 }, (_, i) =>
  Math.exp(Math.fround(i < 32 ? LOWEST + i * STEP : HIGHEST - (63 - i) * STEP)),
);
