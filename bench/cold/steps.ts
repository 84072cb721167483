type Package = typeof import("latentwire");

export type Op = "encode" | "decode";

/** Milliseconds of everything between nothing and the first packet, in this order; `second` is the same call again. */
export interface Steps {
  readonly load: number;
  readonly create: number;
  readonly table: number;
  readonly first: number;
  readonly second: number;
}

/** What a client has at hand: its table's binary form, and a packet or a float32 latent. */
export interface Inputs {
  readonly table: Uint8Array;
  readonly packet: Uint8Array;
  readonly latent: Float32Array;
  readonly dims: number[];
}

/** Nothing of the package may have run before: one call per process or page. */
export async function steps(load: () => Promise<Package>, op: Op, inputs: Inputs): Promise<Steps> {
  const times = [performance.now()];
  const lap = () => times.push(performance.now());
  const { create } = await load();
  lap();
  const codec = await create();
  lap();
  const prior = codec.factorized(codec.table(inputs.table));
  lap();
  const latent = { type: "float32", dims: inputs.dims, data: inputs.latent };
  const call = op === "encode" ? () => codec.encode(latent, prior) : () => codec.decode(inputs.packet, prior);
  const result = call();
  lap();
  call();
  lap();
  const size = "data" in result ? result.data.length : result.length;
  if (size !== (op === "encode" ? inputs.packet : inputs.latent).length)
    throw new Error(`${op} gives ${size} elements`);
  const [l, c, t, first, second] = times.slice(1).map((time, i) => time - times[i]);
  return { load: l, create: c, table: t, first, second };
}
