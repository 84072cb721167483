const MB = 2 ** 20;
const EVERY_MS = 10_000;

const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;

/** Works for about `ms`, the `turn`-th time; resolves to the items done. */
export type Stretch = (turn: number, ms: number) => Promise<number>;

/** A line on memory every 10 seconds and a verdict: the last third against the first. */
export async function soak(work: Stretch, minutes: number): Promise<void> {
  const until = performance.now() + minutes * 60_000;
  const started = performance.now();
  const samples: number[] = [];
  let items = 0;
  let turn = 0;
  for (let next = performance.now() + EVERY_MS; performance.now() < until; next += EVERY_MS) {
    while (performance.now() < next) items += await work(turn++, Math.min(500, Math.max(1, next - performance.now())));
    const { rss, arrayBuffers, heapUsed } = process.memoryUsage();
    samples.push(rss / MB);
    const parts = [rss, heapUsed, arrayBuffers].map((bytes) => (bytes / MB).toFixed(0));
    const seconds = ((performance.now() - started) / 1000).toFixed(0);
    console.log(
      `${seconds.padStart(5)} s of ${minutes * 60}: RSS ${parts[0]} MB, heap ${parts[1]} MB, array buffers ${parts[2]} MB, ${items.toFixed(0)} items`,
    );
  }
  const third = Math.max(1, Math.floor(samples.length / 3));
  const [first, last] = [mean(samples.slice(0, third)), mean(samples.slice(-third))];
  const flat = last <= first * 1.05 + 5;
  console.log(
    `${flat ? "flat" : "GROWING"}: RSS ${first.toFixed(1)} MB in the first third, ${last.toFixed(1)} MB in the last ` +
      `(${((100 * (last - first)) / first).toFixed(1)} %), highest ${Math.max(...samples).toFixed(0)} MB, ${items.toFixed(0)} items`,
  );
  if (!flat) process.exitCode = 1;
}
