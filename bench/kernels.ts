import type { Codec, DecodeOptions, EncodeOptions, LatentType, TensorLike } from "latentwire";
import { median } from "./numbers.js";
import { columns, type Progress } from "./terminal.js";
import { inTurns, medianMs, medianRatio } from "./timing.js";
import { planes, repeated, type Workload, w1 } from "./workloads.js";

export const OPS = ["encode", "decode"] as const;
const LANES = [1, 8, 16, 32] as const;
const TYPES = ["int32", "int16", "int8", "float32"] as const;
const ARRAYS = { int32: Int32Array, int16: Int16Array, int8: Int8Array, float32: Float32Array };
/** How many times W1 is in the long tensor: 4.1 million symbols. */
const TIMES = 14;

/** Symbols of the first item as elements of a type; as float32, its latent. */
export function tensorOf({ items }: Workload, type: LatentType): TensorLike {
  const [{ dims, symbols, latent }] = items;
  return type === "float32" ? latent : { type, dims, data: new ARRAYS[type](symbols) };
}

/** Both directions of a whole call, into buffers of the caller's. */
export function wholeCalls(codec: Codec, workload: Workload, type: LatentType, options: EncodeOptions) {
  const prior = workload.prior(codec);
  const tensor = tensorOf(workload, type);
  const n = workload.rows.length;
  const packet = codec.encode(tensor, prior, options);
  const into = { ...options, out: new Uint8Array(8 * n + 1024) };
  const { stream, header } = options;
  const back: DecodeOptions<LatentType> = { type, out: new ARRAYS[type](n) };
  if (header === "none") Object.assign(back, { header, stream, dims: tensor.dims });
  return {
    encode: () => void codec.encode(tensor, prior, into),
    decode: () => void codec.decode(packet, prior, back),
  };
}

/** Speed of a stream of so many lanes between symbols and elements of a type. */
export interface KernelFigure {
  readonly workload: string;
  readonly lanes: number;
  readonly type: LatentType;
  readonly op: (typeof OPS)[number];
  readonly msymPerSecond: number;
}

export const KERNEL_STEPS = 4 * LANES.length;

/** Every lane count, element type and kind of run. */
export async function kernels(codec: Codec, timeMs: number, progress: Progress): Promise<KernelFigure[]> {
  const figures: KernelFigure[] = [];
  for (const workload of [w1(codec), ...[28, 14, 7].map((side) => planes(codec, side))])
    for (const lanes of LANES) {
      progress.step(`${workload.name}, ${lanes} lanes`);
      for (const type of TYPES) {
        // W1 has symbols that int8 cannot hold.
        if (type === "int8" && workload.items[0].symbols.some((symbol) => (symbol << 24) >> 24 !== symbol)) continue;
        const calls = wholeCalls(codec, workload, type, { lanes });
        for (const op of OPS) {
          const msymPerSecond = workload.rows.length / (await medianMs(calls[op], timeMs)) / 1e3;
          figures.push({ workload: workload.name, lanes, type, op, msymPerSecond });
        }
      }
    }
  return figures;
}

/** The share of W1's speed that many of them in one tensor reach, measured in turns. */
export async function longTensor(codec: Codec, timeMs: number) {
  const workload = repeated(codec, TIMES);
  const [short, long] = [w1(codec), workload].map((of) => wholeCalls(codec, of, "int32", {}));
  const figures = [];
  for (const op of OPS) {
    const [shortMs, longMs] = await inTurns([short[op], long[op]], timeMs, 5);
    const msymPerSecond = workload.rows.length / median(longMs) / 1e3;
    figures.push({ op, msymPerSecond, ofW1: TIMES * medianRatio(shortMs, longMs) });
  }
  return figures;
}

export function printKernels(figures: readonly KernelFigure[], long: Awaited<ReturnType<typeof longTensor>>): void {
  const cells = OPS.flatMap((op) => TYPES.map((type) => ({ op, type })));
  const rows = [...new Set(figures.map(({ workload }) => workload))].flatMap((workload) =>
    LANES.map((lanes) => {
      const own = figures.filter((figure) => figure.workload === workload && figure.lanes === lanes);
      const speed = ({ op, type }: (typeof cells)[number]) =>
        own.find((figure) => figure.op === op && figure.type === type)?.msymPerSecond.toFixed(0) ?? "-";
      return [workload, String(lanes), ...cells.map(speed)];
    }),
  );
  console.log(columns(["Msym/s", "lanes", ...cells.map(({ op, type }) => `${op} ${type}`)], rows).join("\n"));
  for (const { op, msymPerSecond, ofW1 } of long)
    console.log(
      `W1 x ${TIMES} in one tensor, ${op}: ${msymPerSecond.toFixed(0)} Msym/s, ${(100 * ofW1).toFixed(0)} % of W1's rate`,
    );
}
