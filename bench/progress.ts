import { Presets, SingleBar } from "cli-progress";

export interface Progress {
  step(doing: string): void;
  stop(): void;
}

/** A bar on standard error; silent where that is no terminal or `quiet` is set. */
export function bar(title: string, steps: number, quiet: boolean): Progress {
  if (quiet || !process.stderr.isTTY) return { step() {}, stop() {} };
  const single = new SingleBar(
    {
      format: `${title} {bar} {value}/{total}  {eta_formatted} left  {doing}`,
      stream: process.stderr,
      // Work that a cache spares is over at once; a short memory would take its speed for that of the rest.
      etaBuffer: 50,
      clearOnComplete: true,
      hideCursor: true,
    },
    Presets.shades_classic,
  );
  single.start(steps, 0, { doing: "" });
  let done = 0;
  return {
    // Called before the work, so the bar shows what is going on now.
    step(doing) {
      single.update(done++, { doing });
    },
    stop() {
      single.stop();
    },
  };
}
