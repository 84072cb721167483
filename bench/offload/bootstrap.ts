/** 95 % of the resampled values lie between these. */
export type Interval = readonly [number, number];

const RESAMPLES = 1000;

/** Numbers in [0, 1) from a fixed seed, so that an interval is the same in every run (mulberry32). */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The interval of a statistic over images drawn with replacement; null where too many draws have no value. */
export function interval(images: number, statistic: (drawn: Uint32Array) => number | null): Interval | null {
  const random = generator(1);
  const drawn = new Uint32Array(images);
  const values: number[] = [];
  for (let sample = 0; sample < RESAMPLES; sample++) {
    for (let i = 0; i < images; i++) drawn[i] = Math.floor(random() * images);
    const value = statistic(drawn);
    if (value !== null) values.push(value);
  }
  // Draws without a value lie beyond the compared curve: a few do not matter, many would shift the interval.
  if (values.length < 0.98 * RESAMPLES) return null;
  values.sort((a, b) => a - b);
  return [values[Math.floor(0.025 * values.length)], values[Math.ceil(0.975 * values.length) - 1]];
}
