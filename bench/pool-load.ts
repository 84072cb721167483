import type { Codec } from "latentwire";
import type { Pool, PoolPrior } from "latentwire/pool";
import type { Workload } from "./workloads.js";

/** How memory passes: `copied` is the default; `in place` decodes into arrays that go back and forth, and encodes from shared memory. */
const WAYS = ["copied", "in place"] as const;
export type Way = (typeof WAYS)[number];

/** Something done over and over, by a pool or by the main thread. */
export interface Load {
  readonly workload: string;
  readonly op: "encode" | "decode";
  readonly way: Way;
  /** One item in the main thread; `lane` has a buffer of its own. */
  direct(lane: number): void;
  /** One item in a pool. */
  pooled(pool: Pool, lane: number): Promise<void>;
}

function shared(data: Float32Array): Float32Array {
  const copy = new Float32Array(new SharedArrayBuffer(data.byteLength));
  copy.set(data);
  return copy;
}

/** The loads of a workload; `priorOf` gives the pool's form of its prior. */
export function loads(codec: Codec, workload: Workload, priorOf: (pool: Pool) => PoolPrior): Load[] {
  const { name } = workload;
  const { latent, symbols, dims } = workload.items[0];
  const prior = workload.prior(codec);
  const packet = codec.encode(latent, prior);
  const tensors = { copied: latent, "in place": { ...latent, data: shared(latent.data as Float32Array) } };
  const arrays: Float32Array[] = [];
  const arrayOf = (lane: number) => (arrays[lane] ??= new Float32Array(symbols.length));
  const scratch = new Uint8Array(packet.length);

  return WAYS.flatMap((way): Load[] => [
    {
      workload: name,
      op: "encode",
      way,
      direct: () => void codec.encode(latent, prior, way === "copied" ? {} : { out: scratch }),
      async pooled(pool) {
        await pool.encode(tensors[way], priorOf(pool));
      },
    },
    {
      workload: name,
      op: "decode",
      way,
      direct: (lane) => void codec.decode(packet, prior, way === "copied" ? {} : { out: arrayOf(lane) }),
      async pooled(pool, lane) {
        const out = way === "copied" ? undefined : arrayOf(lane);
        const { data, dims: shape } = await pool.decode(packet, priorOf(pool), { out });
        if (shape.length !== dims.length) throw new Error("a result of another shape");
        if (out) arrays[lane] = data;
      },
    },
  ]);
}

/** What a stretch of work came to. */
export interface Rate {
  readonly perSecond: number;
  /** Of all threads, per item. */
  readonly cpuMs: number;
}

function since(started: number, cpu: NodeJS.CpuUsage, done: number): Rate {
  const seconds = (performance.now() - started) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  return { perSecond: done / seconds, cpuMs: (user + system) / 1000 / done };
}

export function runDirect(load: Load, ms: number): Rate {
  const [started, cpu] = [performance.now(), process.cpuUsage()];
  let done = 0;
  while (performance.now() - started < ms) {
    load.direct(0);
    done++;
  }
  return since(started, cpu, done);
}

/** Keeps `lanes` items under way. */
export async function runPooled(load: Load, pool: Pool, lanes: number, ms: number): Promise<Rate> {
  const [started, cpu] = [performance.now(), process.cpuUsage()];
  let done = 0;
  const lane = async (i: number) => {
    while (performance.now() - started < ms) {
      await load.pooled(pool, i);
      done++;
    }
  };
  await Promise.all(Array.from({ length: lanes }, (_, i) => lane(i)));
  return since(started, cpu, done);
}
