import type { Codec, LatentType, Prior, TensorLike } from "latentwire";
import { median } from "./numbers.js";
import { columns, type Progress } from "./terminal.js";
import { inTurns, medianMs, medianRatio } from "./timing.js";
import { type Workload, w1, w2 } from "./workloads.js";

const LANES = [1, 8, 16, 32] as const;
const TYPES = ["int32", "int16", "int8", "float32"] as const;
const ARRAYS = { int32: Int32Array, int16: Int16Array, int8: Int8Array, float32: Float32Array };

/** One figure of the table: a stream of so many lanes between symbols and elements of a type. */
export interface KernelFigure {
  readonly workload: string;
  readonly lanes: number;
  readonly type: LatentType;
  readonly op: "encode" | "decode";
  readonly msymPerSecond: number;
}

/** The share of W1's rate that 14 of them in one tensor reach. */
export interface LongFigure {
  readonly op: "encode" | "decode";
  readonly msymPerSecond: number;
  readonly ofW1: number;
}

interface Case {
  readonly name: string;
  readonly dims: number[];
  readonly symbols: Int32Array;
  readonly latent: Float32Array;
  readonly prior: Prior;
}

/** W2's symbols as planes of other sizes: what a run of one row costs when it is short. */
function runs(codec: Codec, workload: Workload, side: number): Case {
  const { symbols, latent } = workload.items[0];
  const channels = workload.table.rows;
  return {
    name: `runs of ${side * side}`,
    dims: [symbols.length / channels / side / side, channels, side, side],
    symbols,
    latent: Float32Array.from(latent.data),
    prior: codec.factorized(workload.table),
  };
}

function each(codec: Codec, workload: Workload, times: number): Case {
  const { dims, symbols, latent } = workload.items[0];
  const repeat = <T extends Uint16Array | Int32Array | Float32Array>(of: T, Type: new (n: number) => T): T => {
    const all = new Type(of.length * times);
    for (let t = 0; t < times; t++) all.set(of, t * of.length);
    return all;
  };
  return {
    name: times === 1 ? "a row each (W1)" : `W1 x ${times}`,
    dims: [times, ...dims.slice(1)],
    symbols: repeat(symbols, Int32Array),
    latent: repeat(latent.data as Float32Array, Float32Array),
    prior: codec.indexed(workload.table, repeat(workload.rows, Uint16Array)),
  };
}

function calls(codec: Codec, { dims, symbols, latent, prior }: Case, type: LatentType, lanes?: 1 | 8 | 16 | 32) {
  const data = type === "float32" ? latent : new ARRAYS[type](symbols);
  const tensor: TensorLike = { type, dims, data };
  const encodeOptions = { ...(lanes && { lanes }), out: new Uint8Array(symbols.length * 4 + 1024) };
  const packet = codec.encode(tensor, prior, encodeOptions).slice();
  const decodeOptions = { type, out: new ARRAYS[type](symbols.length) };
  return {
    encode: () => void codec.encode(tensor, prior, encodeOptions),
    decode: () => void codec.decode(packet, prior, decodeOptions),
  };
}

/** Every lane count, element type and kind of run. */
export async function kernels(codec: Codec, timeMs: number, progress: Progress): Promise<KernelFigure[]> {
  const second = w2(codec);
  const cases = [each(codec, w1(codec), 1), ...[28, 14, 7].map((side) => runs(codec, second, side))];
  const figures: KernelFigure[] = [];
  for (const one of cases)
    for (const lanes of LANES) {
      progress.step(`${one.name}, ${lanes} lanes`);
      for (const type of TYPES) {
        // W1 has symbols that int8 cannot hold.
        if (type === "int8" && one.symbols.some((symbol) => (symbol << 24) >> 24 !== symbol)) continue;
        const { encode, decode } = calls(codec, one, type, lanes);
        const rate = async (call: () => void) => one.symbols.length / (await medianMs(call, timeMs)) / 1e3;
        const of = { workload: one.name, lanes, type };
        figures.push({ ...of, op: "encode", msymPerSecond: await rate(encode) });
        figures.push({ ...of, op: "decode", msymPerSecond: await rate(decode) });
      }
    }
  return figures;
}

export const KERNEL_STEPS = 4 * LANES.length;

/** 4 million symbols in one tensor beside W1, in turns. */
export async function longTensor(codec: Codec, timeMs: number): Promise<LongFigure[]> {
  const times = 14;
  const workload = w1(codec);
  const [one, long] = [each(codec, workload, 1), each(codec, workload, times)];
  const [short, many] = [calls(codec, one, "int32"), calls(codec, long, "int32")];
  const figures: LongFigure[] = [];
  for (const op of ["encode", "decode"] as const) {
    const [shortMs, longMs] = await inTurns([short[op], many[op]], timeMs, 5);
    figures.push({
      op,
      msymPerSecond: long.symbols.length / median(longMs) / 1e3,
      ofW1: times * medianRatio(shortMs, longMs),
    });
  }
  return figures;
}

export function printKernels(figures: readonly KernelFigure[], long: readonly LongFigure[]): void {
  const ops = ["encode", "decode"] as const;
  const head = ["Msym/s", "lanes", ...ops.flatMap((op) => TYPES.map((type) => `${op} ${type}`))];
  const rows = [...new Set(figures.map((figure) => figure.workload))].flatMap((workload) =>
    LANES.map((lanes) => [
      workload,
      String(lanes),
      ...ops.flatMap((op) =>
        TYPES.map((type) => {
          const one = figures.find(
            (f) => f.workload === workload && f.lanes === lanes && f.op === op && f.type === type,
          );
          return one ? one.msymPerSecond.toFixed(0) : "-";
        }),
      ),
    ]),
  );
  console.log(columns(head, rows).join("\n"));
  for (const { op, msymPerSecond, ofW1 } of long)
    console.log(
      `W1 x 14 in one tensor, ${op}: ${msymPerSecond.toFixed(0)} Msym/s, ${(100 * ofW1).toFixed(0)} % of W1's rate`,
    );
}
