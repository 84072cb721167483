// One fresh page: ?encode or ?decode. The driver reads `steps`, a promise, so that a failure reaches it with its message.
import { type Op, steps } from "./steps.js";

const get = async (name: string) => (await fetch(`/${name}`)).arrayBuffer();

async function run() {
  const [table, packet, latent] = await Promise.all(["table", "packet", "latent"].map(get));
  const dims = await (await fetch("/dims")).json();
  const inputs = {
    table: new Uint8Array(table),
    packet: new Uint8Array(packet),
    latent: new Float32Array(latent),
    dims,
  };
  const bundle = "/latentwire.js";
  return steps(() => import(bundle), location.search.slice(1) as Op, inputs);
}

Object.assign(globalThis, { steps: run() });
