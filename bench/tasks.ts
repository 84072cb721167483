import type { Codec } from "latentwire";
import { type Choice, type Coder, quantizers } from "./contenders.js";
import { medianMs } from "./timing.js";
import type { Workload } from "./workloads.js";

export const OPS = ["encode", "decode", "quantize", "dequantize"] as const;
export type Op = (typeof OPS)[number];

/** One figure to be taken. Everything a task calls has already given back what it was given. */
export interface Task {
  readonly workload: Workload;
  readonly op: Op;
  readonly codec: string;
  readonly lanes: number | null;
  /** Of all items of the workload; null for quantize and dequantize, which write no stream. */
  readonly bytes: number | null;
  /** What the rows allow, values of escapes included (`codec.rate`). */
  readonly idealBytes: number | null;
  readonly call: (i: number) => unknown;
}

export interface Result {
  readonly workload: string;
  readonly op: Op;
  readonly codec: string;
  readonly lanes: number | null;
  readonly msymPerSecond: number;
  readonly nsPerSymbol: number;
  readonly bytes: number | null;
  readonly idealBytes: number | null;
}

/** A workload's tasks, and lines to say about it. */
export interface Prepared {
  readonly tasks: Task[];
  readonly notes: string[];
}

/** Timing more of a large batch would repeat itself; bytes are of every item all the same. */
const TIMED_ITEMS = 16;

function same(a: ArrayLike<number>, b: ArrayLike<number>): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

function total<T>(of: readonly T[], pick: (one: T) => number): number {
  return of.reduce((sum, one) => sum + pick(one), 0);
}

export function prepare(
  workload: Workload,
  all: readonly Choice[],
  wanted: (codec: string) => boolean,
  simd: Codec,
  scalar: Codec,
): Prepared {
  const { name, items, rows } = workload;
  const prior = workload.prior(simd);
  const rates = items.map((item) => simd.rate(item.latent, prior));
  const idealBytes = total(rates, ({ bits }) => bits) / 8;
  const symbols = items.length * rows.length;
  const notes = [
    `${name}: ${items.length} x ${rows.length} symbols, ideal ${idealBytes.toFixed(1)} bytes ` +
      `(${((idealBytes * 8) / symbols).toFixed(3)} bits per symbol), ${total(rates, ({ escapes }) => escapes)} escapes`,
  ];
  const tasks: Task[] = [];

  const ready: Coder[] = [];
  for (const { name: codec, make } of all) {
    if (!wanted(codec)) continue;
    try {
      ready.push(make(workload));
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      notes.push(`${codec} leaves out ${name}: ${error.message}`);
    }
  }
  for (const coder of ready) {
    // A copy each: a coder writes every packet into the same buffer.
    const packets = items.map((_, i) => coder.encode(i).slice());
    items.forEach((item, i) => {
      if (!same(coder.decode(packets[i]), item.symbols))
        throw new Error(`${coder.name} does not give back item ${i} of ${name}`);
    });
    const shared = {
      workload,
      codec: coder.name,
      lanes: coder.lanes(packets[0]),
      bytes: total(packets, (packet) => packet.length),
      idealBytes,
    };
    tasks.push({ ...shared, op: "encode", call: (i) => coder.encode(i) });
    tasks.push({ ...shared, op: "decode", call: (i) => coder.decode(packets[i]) });
  }

  // Beyond 2^22 a float32 cannot hold a symbol and a median exactly, so there is nothing to compare with.
  const exact = items.every((item) => item.symbols.every((symbol) => Math.abs(symbol) < 2 ** 22));
  if (!exact) notes.push(`${name}: symbols too large for float32, so quantize and dequantize are left out`);
  for (const quantizer of exact ? quantizers(workload, simd, scalar) : []) {
    if (!wanted(quantizer.name)) continue;
    items.forEach((item, i) => {
      if (!same(quantizer.quantize(i), item.symbols))
        throw new Error(`${quantizer.name} quantizes item ${i} of ${name} differently`);
    });
    const shared = { workload, codec: quantizer.name, lanes: null, bytes: null, idealBytes: null };
    tasks.push({ ...shared, op: "quantize", call: (i) => quantizer.quantize(i) });
    tasks.push({ ...shared, op: "dequantize", call: (i) => quantizer.dequantize(i) });
  }
  return { tasks, notes };
}

export async function measure(task: Task, timeMs: number): Promise<Result> {
  const { workload, op, codec, lanes, bytes, idealBytes, call } = task;
  const count = Math.min(workload.items.length, TIMED_ITEMS);
  const ms = await medianMs(() => {
    for (let i = 0; i < count; i++) call(i);
  }, timeMs);
  const symbols = count * workload.rows.length;
  return {
    workload: workload.name,
    op,
    codec,
    lanes,
    msymPerSecond: symbols / ms / 1e3,
    nsPerSymbol: (ms * 1e6) / symbols,
    bytes,
    idealBytes,
  };
}
