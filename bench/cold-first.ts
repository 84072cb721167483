// The first packet of a fresh process or page. In Node: cold-first.js OP FOLDER prints the steps as JSON. In a page: ?OP; the driver reads
// `steps`, a promise, so that a failure reaches it with its message.
type Package = typeof import("latentwire");

export type Op = "encode" | "decode";

/** Milliseconds of everything between nothing and the first packet, in this order; `second` is the same call again. */
const STEPS = ["load", "create", "table", "first", "second"] as const;
export type Steps = Readonly<Record<(typeof STEPS)[number], number>>;

/** `read`: a file of what a client has at hand, its table's binary form, and a packet or a float32 latent. */
async function measure(op: Op, load: () => Promise<Package>, read: (name: string) => Promise<ArrayBuffer>) {
  const [table, packet, floats] = await Promise.all(["table", "packet", "latent"].map(read));
  const latent = { type: "float32", dims: [1, 48, 28, 28], data: new Float32Array(floats) };
  const times = [performance.now()];
  const lap = () => times.push(performance.now());
  const { create } = await load();
  lap();
  const codec = await create();
  lap();
  const prior = codec.factorized(codec.table(new Uint8Array(table)));
  lap();
  const call = () => (op === "encode" ? codec.encode(latent, prior) : codec.decode(new Uint8Array(packet), prior).data);
  const { length } = call();
  lap();
  call();
  lap();
  if (length !== (op === "encode" ? packet.byteLength : latent.data.length)) throw new Error(`${op} gives ${length}`);
  return Object.fromEntries(STEPS.map((name, i) => [name, times[i + 1] - times[i]])) as Steps;
}

if (typeof document === "object") {
  const bundle = "/latentwire.js";
  const read = async (name: string) => (await fetch(`/${name}`)).arrayBuffer();
  Object.assign(globalThis, { steps: measure(location.search.slice(1) as Op, () => import(bundle), read) });
} else {
  const { readFile } = await import("node:fs/promises");
  const [op, folder] = process.argv.slice(2);
  const read = async (name: string) => new Uint8Array(await readFile(`${folder}/${name}`)).buffer;
  console.log(JSON.stringify(await measure(op as Op, () => import("latentwire"), read)));
}
