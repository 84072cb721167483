/** The program of a pool's worker: a codec, and tasks as they come. */
import { codecOf } from "./instantiate.js";
import { toWire } from "./pool-errors.js";
import { isShared, type Reply, type Start, type WirePrior, type WireTask, type Work } from "./pool-messages.js";
import { serve } from "./pool-threads.js";
import type { Codec, Prior, Table } from "./types.js";

let codec: Codec;
const tables = new Map<string, Table>();
/** Of the last task that brought one; undefined where it was no good, and then for all tasks that share it. */
let prior: Prior | undefined;
let refused: unknown;

function build({ kind, table: fingerprint, axis, step, scales, scaleTable, rows, means }: WirePrior): Prior {
  const table = tables.get(fingerprint)!;
  if (kind === "factorized") return codec.factorized(table, { axis, step });
  if (kind === "indexed") return codec.indexed(table, rows!, { means, step });
  return codec.gaussian(scales!, { table, scaleTable, means, step });
}

function perform({ id, prior: wire, encode, decode }: WireTask): Reply {
  try {
    if (wire !== undefined) {
      prior = undefined;
      try {
        prior = build(wire);
      } catch (error) {
        refused = error;
      }
    }
    if (prior === undefined) throw refused;
    if (encode) return { id, result: codec.encode(encode.latent, prior, encode.options) };
    const { packet, options, out } = decode!;
    return { id, result: codec.decode(packet, prior, out ? { ...options, out } : options) };
  } catch (error) {
    return { id, error: toWire(error) };
  }
}

serve((data, reply) => {
  if ("module" in (data as Start)) {
    codec = codecOf((data as Start).module);
    return reply("ready", []);
  }
  const work = data as Work;
  for (const [fingerprint, bytes] of work.tables) tables.set(fingerprint, codec.table(bytes));
  const replies = work.tasks.map(perform);
  const transfer: ArrayBuffer[] = [];
  for (const { result } of replies) {
    const view = result === undefined || "buffer" in result ? result : result.data;
    if (view && !isShared(view)) transfer.push(view.buffer as ArrayBuffer);
  }
  reply(replies, transfer);
});
