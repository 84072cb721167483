// The program of every project: the same packets from the codec, from a pool, and from the builds that are loaded when asked for.
import { create, type TableJson, type TensorLike } from "latentwire";
import type { createPool, PoolOptions } from "latentwire/pool";

/** A digest of packets and of what they decode to, by who made them: `simd`, `pool`, `scalar`, `javascript`. */
export type Digests = Record<string, string>;

/** What a codec and a pool have in common. */
interface Coder<Prior> {
  factorized(table: TableJson): Prior;
  gaussian(scales: Float32Array): Prior;
  encode(latent: TensorLike, prior: Prior): Uint8Array | Promise<Uint8Array>;
  decode(packet: Uint8Array, prior: Prior): { data: Float32Array } | Promise<{ data: Float32Array }>;
}

// The last value of the latent lies outside the table, which makes an escape.
const latent = { type: "float32", dims: [1, 2, 16, 16], data: new Float32Array(512).map((_, i) => ((i * i) % 13) - 6) };
latent.data[511] = 1000;
const row = [...Array.from({ length: 14 }, (_, i) => 4000 * i), 65536];
const table = { offsets: [-6, -6], cdfs: [row, row] };
const scales = new Float32Array(512).map((_, i) => 0.25 + (i % 40) / 8);

async function digest<Prior>(coder: Coder<Prior>): Promise<string> {
  // All at once, so that both workers of a pool have something to do.
  const priors = [coder.factorized(table), coder.gaussian(scales), coder.factorized(table), coder.gaussian(scales)];
  const bytes = await Promise.all(
    priors.map(async (prior) => {
      const packet = await coder.encode(latent, prior);
      const { data } = await coder.decode(packet, prior);
      if (data.join() !== latent.data.join()) throw new Error("the decoded latent is not the one that was encoded");
      return [...packet];
    }),
  );
  // FNV-1a
  const hash = bytes.flat().reduce((state, byte) => Math.imul(state ^ byte, 0x01000193) >>> 0, 0x811c9dc5);
  return hash.toString(16);
}

/** The build that this engine gets, and a pool of two workers where `pool` is given. */
export async function first(pool?: typeof createPool, worker?: PoolOptions["worker"]): Promise<Digests> {
  const codec = await create();
  const digests = { [codec.build]: await digest(codec) };
  if (pool !== undefined) {
    const two = await pool({ size: 2, worker });
    digests.pool = await digest(two);
    await two.close();
  }
  return digests;
}

/** The builds that `create` loads only where they are needed. */
export async function later(names: ("scalar" | "javascript")[] = ["scalar", "javascript"]): Promise<Digests> {
  const digests: Digests = {};
  for (const build of names) {
    const codec = await create({ build });
    digests[codec.build] = await digest(codec);
  }
  return digests;
}
