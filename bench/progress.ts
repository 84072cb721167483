import { Presets, SingleBar } from "cli-progress";

export interface Progress {
  step(doing: string): void;
  stop(): void;
}

/** Between lines where no bar can be drawn: often enough to see that it goes on, few enough for a log. */
const LINE_MS = 15_000;

/** 42 s, 3:05 min, 1:20 h; "?" as long as nothing is known. */
export function duration(seconds: number): string {
  if (!Number.isFinite(seconds)) return "?";
  const whole = Math.round(seconds);
  const parts = (large: number, small: number) => `${large}:${String(small).padStart(2, "0")}`;
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${parts(Math.floor(whole / 60), whole % 60)} min`;
  return `${parts(Math.floor(whole / 3600), Math.floor((whole % 3600) / 60))} h`;
}

/** For a file or a pipe: a line now and then, its estimate from what was done since the one before. */
function lines(title: string, steps: number): Progress {
  let done = 0;
  let last = { done: 0, time: performance.now() };
  return {
    step(doing) {
      const time = performance.now();
      if (time - last.time > LINE_MS) {
        const left = ((time - last.time) / (done - last.done) / 1000) * (steps - done);
        console.error(`${title} ${done}/${steps}, ${duration(left)} left, ${doing}`);
        last = { done, time };
      }
      done++;
    },
    stop() {},
  };
}

/** A bar on standard error, or a line now and then where that is no terminal; nothing where `quiet` is set. */
export function bar(title: string, steps: number, quiet: boolean): Progress {
  if (quiet) return { step() {}, stop() {} };
  if (!process.stderr.isTTY) return lines(title, steps);
  const single = new SingleBar(
    {
      format: `${title} {bar} {value}/{total}  {eta_formatted} left  {doing}`,
      formatTime: duration,
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
