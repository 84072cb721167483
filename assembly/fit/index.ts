// The fit of a context prior: dist/context-fit.wasm, which only the command line loads. Threads share one memory. A step has two
// halves: chunks of positions go through the network, then strips of weights are updated. What a task computes depends on
// neither the thread nor the order, so any number of threads gives the same weights.
import { log2Of } from "./arithmetic";
import {
  CHUNK,
  channelBytes,
  channels,
  configure as layOut,
  control,
  scaleOf,
  strips,
  sums as sumPlace,
  weights as weightPlace,
} from "./layout";
import { backward, forward } from "./network";
import { choose } from "./samples";
import { addLosses, update, writeSigned } from "./update";


export { prepare, runBytes, symbolBytes, symbolPlace } from "./samples";
export { log2Of };
export { initialize } from "./update";

const CHUNKS: i32 = 256 / CHUNK;
/** How often a thread looks before it sleeps: some 20 microseconds. */
const SPINS: i32 = 4000;

/** Lays out the memory from `start` on. Returns where samples may begin. */
export function configure(start: usize, channels: i32, hidden: i32, second: i32, taps: i32, threads: i32, given: bool): usize {
  return layOut(start, channels, hidden, second, taps, threads, given);
}

/** To be called for each channel before samples are prepared. `shared`: the mass that is the logistic's. */
export function describe(channel: i32, sd: f32, shared: f32): void {
  store<f32>(scaleOf(channel, 0), <f32>1 / sd);
  store<f32>(scaleOf(channel, 1), sd);
  store<f32>(scaleOf(channel, 2), log2Of(sd));
  store<f32>(scaleOf(channel, 3), shared);
}

/** Where the sums of code lengths are: f64 per channel. */
export function sums(): usize {
  return sumPlace;
}

export function weights(): usize {
  return weightPlace;
}

export function weightBytes(): usize {
  return channelBytes;
}

/** To be called after weights were written. */
export function refresh(): void {
  for (let k = 0; k < channels; k++) for (let s = 0; s < strips; s++) writeSigned(k, s);
}

/** To be called before threads {@link work}: no ticket is taken, no task done, the sums are 0. */
export function begin(): void {
  store<u64>(control, 0);
  memory.fill(sumPlace, 0, <usize>channels << 3);
}

/**
 * Does a share of `steps` steps from `first` on, of `total` in all. Every thread calls it with the same arguments but its own
 * number. `total` 0 measures code lengths and changes nothing.
 */
export function work(
  thread: i32,
  first: i32,
  steps: i32,
  total: i32,
  rate: f32,
  seed: u32,
  visits: usize,
  visitCount: i32,
  samples: usize,
  perVisit: i32,
): void {
  const perStep = CHUNKS + channels * strips;
  const all = steps * perStep;
  const isTraining = total > 0;
  for (;;) {
    const ticket = atomic.add<i32>(control, 1);
    if (ticket >= all) return;
    const step = ticket / perStep;
    const task = ticket - step * perStep;
    const start = step * perStep + (task < CHUNKS ? 0 : CHUNKS);
    await_(start);
    if (task < CHUNKS) {
      choose(seed, first + step, task, visits, visitCount, samples, perVisit);
      forward(task, isTraining);
      if (isTraining) backward(task);
    } else {
      const k = (task - CHUNKS) / strips;
      const strip = (task - CHUNKS) - k * strips;
      if (strip === 0) addLosses(k);
      if (isTraining) update(k, strip, thread, first + step, total, rate);
    }
    const done = atomic.add<i32>(control + 4, 1) + 1;
    // The last task of this half: others may wait for it.
    if (done === step * perStep + CHUNKS || done === (step + 1) * perStep) atomic.notify(control + 4, -1);
  }
}

/** Waits until `count` tasks are done. */
function await_(count: i32): void {
  for (let spin = 0; ; spin++) {
    const done = atomic.load<i32>(control + 4);
    if (done >= count) return;
    if (spin >= SPINS) atomic.wait<i32>(control + 4, done, -1);
  }
}
