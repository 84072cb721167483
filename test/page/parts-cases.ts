// As cases.ts, for packets of several parts: what every engine must agree on, byte for byte.
import { type Codec, channels, checkerboardHalf, type MixtureOptions, permute } from "latentwire";
import { fnv, generator, hex, latent, type Outcome, testTable } from "./cases.js";

const dims = [1, 12, 8, 8];
const n = 12 * 8 * 8;

/** Positive numbers, small ones more often. */
function positive(count: number, seed: number): Float32Array {
  const random = generator(seed);
  return new Float32Array(count).map(() => 0.05 + 30 * random() * random() * random());
}

/** Writes one packet of every kind of part, reads it back, and so for each lane count; then CompressAI's strings of the same. */
export function partsOutcomes(codec: Codec): Outcome[] {
  const y = latent(dims, 21, 9);
  const means = latent(dims, 22, 2);
  const scales = { type: "float32", dims, data: positive(n, 23) };
  const z = latent([1, 6, 16, 16], 24);
  const table = codec.table(testTable(6));
  const components = 3;
  const mixtureOf = (kind: MixtureOptions["kind"]) =>
    codec.mixture(
      { weights: positive(3 * n, 25), means: latent([3 * n], 26, 20).data, scales: positive(3 * n, 27) },
      { components, kind, support: [-40, 40], dims },
    );
  const priors = [
    codec.factorized(table, { step: 0.5 }),
    codec.gaussian(channels(scales, 0, 5), { means: channels(means, 0, 5) }),
    codec.gaussian(checkerboardHalf(channels(scales, 5, 12), 0), {
      means: checkerboardHalf(channels(means, 5, 12), 0),
    }),
    codec.gaussian(checkerboardHalf(channels(scales, 5, 12), 1), { table: codec.laplaceTable() }),
    codec.gaussian(permute(scales, [0, 2, 3, 1]), { table: codec.logisticTable() }),
    mixtureOf("gaussian"),
    mixtureOf("laplace"),
    mixtureOf("logistic"),
  ];
  const tensors = [
    z,
    channels(y, 0, 5),
    checkerboardHalf(channels(y, 5, 12), 0),
    checkerboardHalf(channels(y, 5, 12), 1),
    permute(y, [0, 2, 3, 1]),
    y,
    y,
    y,
  ];
  const pixel = new Float32Array(12);
  const list: Outcome[] = [];
  for (const lanes of ["auto", 1, 8, 16, 32] as const) {
    const writer = codec.writer({ lanes, guard: 1e-5 });
    const seen = tensors.map((tensor, i) => fnv(writer.write(tensor, priors[i], { dequantize: true }).data));
    const pushed = writer.sequence();
    for (let at = 0; at < n; at += 12)
      pushed.next(y.data.subarray(at, at + 12), scales.data.subarray(at, at + 12), undefined, pixel);
    const packet = writer.finish();
    const reader = codec.reader(packet);
    const read = priors.map((prior) => fnv(reader.read(prior).data));
    const pulled = reader.sequence();
    for (let at = 0; at < n; at += 12) pulled.next(scales.data.subarray(at, at + 12), undefined, pixel);
    read.push(fnv(pixel));
    reader.finish();
    if (read.slice(0, -1).join() !== seen.join()) throw new Error(`lanes ${lanes}: the reader sees other values`);
    list.push({ name: `parts, lanes ${lanes}`, packet: hex(packet), decoded: read.join() });
  }
  const writer = codec.writer({ format: "strings" });
  tensors.forEach((tensor, i) => {
    writer.write(tensor, priors[i]);
  });
  const strings = writer.finishStrings();
  const reader = codec.reader(strings);
  const read = priors.map((prior, i) => fnv(reader.read(prior, { dims: tensors[i].dims }).data));
  reader.finish();
  list.push({ name: "strings", packet: strings.map(hex).join(), decoded: read.join() });
  return list;
}
