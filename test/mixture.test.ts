// Rows made at run time: bit for bit the reference's, for any parameters; docs/format.md section 9.
import type { Codec, MixtureOptions, MixtureParameters } from "latentwire";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { stockScales } from "../bindings/cdfs.js";
import { both } from "./builds.js";
import { mixtureSample, random } from "./cases.js";
import { sameNumbers, throwsCode } from "./expect.js";
import { erfc } from "./formulas.js";
import { writeParts } from "./io.js";
import { encodePacket, type Mixture, mixtureKinds, mixtureRow, quantizeMixture } from "./reference.js";

const plain = { lanes: 1, checksum: false, fingerprint: false } as const;
const plainReference = { check: 0, fingerprint: false } as const;

/** Packets of one mixture, with an index check and without: what the package and the reference make of the same symbols. */
function compare(codec: Codec, mixture: Mixture, symbols: Int32Array, what: string): void {
  const n = symbols.length;
  const { kind, components, support, weights, means, scales } = mixture;
  const prior = codec.mixture({ weights, means, scales }, { kind, components, support, dims: [n] });
  const latent = { type: "int32", dims: [n], data: symbols };
  const parts = [{ prior: { kind: "mixture", mixture }, dims: [n], symbols }] as const;
  const alone = codec.encode(latent, prior, plain);
  sameNumbers(alone, encodePacket(parts, plainReference), what);
  sameNumbers(codec.decode(alone, prior, { type: "int32" }).data, symbols, what);
  const writer = codec.writer({ ...plain, indexChecks: true });
  writer.write(latent, prior);
  const packet = writer.finish();
  sameNumbers(packet, encodePacket(parts, { ...plainReference, indexChecks: true }), what);
  const reader = codec.reader(packet);
  sameNumbers(reader.read(prior, { type: "int32" }).data, symbols, what);
  reader.finish();
}

both("every symbol of every support, under every kind", (codec) => {
  const rng = random(70);
  const highest = { "-32768": -32767, "-2048": 2047, "-128": 127, "-3": 4, "-1": 0, "0": 0, "32000": 32767 };
  for (const kind of mixtureKinds) {
    for (const [low, b] of Object.entries(highest)) {
      const a = Number(low);
      const support = [a, b] as const;
      const symbols = Int32Array.from({ length: b - a + 1 }, (_, k) => a + k);
      const count = symbols.length > 1000 ? 1 : 3;
      const fill = (make: () => number) => {
        // The same row for all symbols: all of its entries are met.
        const own = Array.from({ length: count }, make);
        return Float32Array.from({ length: count * symbols.length }, (_, i) => own[Math.floor(i / symbols.length)]);
      };
      const mixture = {
        kind,
        components: count,
        support,
        weights: fill(() => rng.unit()),
        means: fill(() => a + (b - a + 1) * rng.unit()),
        scales: fill(() => Math.exp(8 * rng.unit() - 2.5)),
      } satisfies Mixture;
      if (symbols.length > 1000) {
        // The reference makes a row per symbol: some of them do.
        const some = symbols.filter((_, k) => k % 97 === 0 || k < 3 || k > 4092);
        const cut = (values: Float32Array) => values.subarray(0, some.length);
        const { weights, means, scales } = mixture;
        compare(codec, { ...mixture, weights: cut(weights), means: cut(means), scales: cut(scales) }, some, kind);
      } else compare(codec, mixture, symbols, `${kind} ${support}`);
    }
  }
});

both("any parameters, escapes included", (codec) => {
  const rng = random(71);
  const ties = [0.5 / 256, 1.5 / 256, 2.5 / 64];
  const odd = [0, -1, 1e-30, 1e30, Infinity, -Infinity, ...ties, 0.11, 256, 32768.5, -32768.5, 3e38];
  for (let round = 0; round < 120; round++) {
    const components = [1, 2, 3, 4, 7, 16][rng(6)];
    const low = [-32768, -200, -20, 0, 32767][rng(5)];
    const support = [low, Math.min(32767, low + rng(60))] as const;
    const n = 1 + rng(60);
    const values = (normal: () => number) =>
      Float32Array.from({ length: components * n }, () => (rng(6) === 0 ? odd[rng(odd.length)] : normal()));
    const mixture: Mixture = {
      kind: mixtureKinds[round % 3],
      components,
      support,
      weights: values(() => rng.unit()),
      means: values(() => low + 60 * rng.unit()),
      scales: values(() => Math.exp(7 * rng.unit() - 3)),
    };
    const symbols = Int32Array.from({ length: n }, () =>
      rng(10) === 0 ? [-(2 ** 31), 2 ** 31 - 1, low - 1, support[1] + 1][rng(4)] : low + rng(support[1] - low + 1),
    );
    compare(codec, mixture, symbols, `round ${round}`);
  }
});

both("shapes of the parameters, defaults", (codec) => {
  const rng = random(73);
  const n = 2 * 3 * 4;
  const floats = (count: number) => Float32Array.from({ length: count }, () => 0.5 + rng.unit());
  const tensor = (dims: number[], data: Float32Array) => ({ type: "float32", dims, data });
  const packetOf = (parameters: MixtureParameters, options?: MixtureOptions, dims = [1, 2, 3, 4]) => {
    const writer = codec.writer({ checksum: false, indexChecks: true });
    writer.write({ type: "int32", dims, data: new Int32Array(n).fill(1) }, codec.mixture(parameters, options));
    const packet = writer.finish();
    const reader = codec.reader(packet);
    const read = reader.read(codec.mixture(parameters, options), { type: "int32" });
    assert.equal(read.dims, dims);
    reader.finish();
    return packet;
  };
  const [weights, means, scales] = [floats(3 * n), floats(3 * n), floats(3 * n)];
  const of = (dims: number[]) => ({
    weights: tensor(dims, weights),
    means: tensor(dims, means),
    scales: tensor(dims, scales),
  });
  const packet = packetOf({ weights, means, scales }, { components: 3, dims: [1, 2, 3, 4] });
  // [K, C, H, W] and [1, K * C, H, W] lie in memory alike; the shape of the part is said.
  assert.equal(packetOf(of([3, 2, 3, 4]), { components: 3, dims: [1, 2, 3, 4] }), packet);
  assert.equal(packetOf(of([1, 6, 3, 4]), { components: 3, dims: [1, 2, 3, 4] }), packet);
  // It need not be said: the parameters have it, with one dimension of components in front or multiplied in.
  assert.equal(packetOf(of([3, 2, 3, 4]), { components: 3 }), packet);
  assert.equal(packetOf(of([1, 6, 3, 4]), { components: 3 }), packet);
  // Of another shape only the number of elements is known, and any latent of that many fits.
  assert.equal(packetOf(of([8, 9]), { components: 3 }), packet);
  throwsCode(() => packetOf(of([3, 3, 2, 4]), { components: 3 }), "SHAPE_MISMATCH", /\[3,2,4\].*\[1,2,3,4\]/);
  // One component: its tensors have the part's shape, and weights are not needed.
  const one = {
    means: tensor([1, 2, 3, 4], means.subarray(0, n)),
    scales: tensor([1, 2, 3, 4], scales.subarray(0, n)),
  };
  const single = packetOf(one);
  assert.equal(packetOf({ ...one, weights: new Float32Array(n).fill(1) }), single);
  assert.equal(packetOf(one, { components: 1, kind: "gaussian", support: [-128, 127] }), single);
});

both("a NaN is named, and the writer goes on", (codec) => {
  const latent = { type: "int32", dims: [4], data: new Int32Array(4) };
  const good = {
    weights: new Float32Array(8).fill(1),
    means: new Float32Array(8),
    scales: new Float32Array(8).fill(1),
  };
  const writer = codec.writer();
  for (const key of ["weights", "means", "scales"] as const) {
    const values = good[key].slice();
    values[6] = Number.NaN;
    const options = { components: 2, dims: [4] };
    throwsCode(() => writer.write(latent, codec.mixture({ ...good, [key]: values }, options)), "NON_FINITE");
  }
  const prior = codec.mixture(good, { components: 2, dims: [4] });
  writer.write(latent, prior);
  const reader = codec.reader(writer.finish());
  assert.equal([...reader.read(prior).data], [0, 0, 0, 0]);
  reader.finish();
});

both("what a mixture costs is what its distribution says", (codec) => {
  const rng = random(74);
  const part = mixtureSample(rng, [1, 8, 20, 20], { components: 3, kind: "gaussian", support: [-128, 127] });
  const { mixture } = part.reference;
  let bits = 0;
  quantizeMixture(mixture, stockScales).forEach((own, i) => {
    const total = own.reduce((sum, { weight }) => sum + weight, 0);
    const at = (x: number) =>
      own.reduce((sum, { weight, mean, scale }) => {
        const t = (x - mean / 64) / stockScales[scale];
        return sum + (weight / total) * (erfc(-t / Math.SQRT2) / 2);
      }, 0);
    bits -= Math.log2(Math.max(1 / 65536, at(part.symbols[i] + 0.5) - at(part.symbols[i] - 0.5)));
  });
  const { length } = writeParts(codec, [part], { lanes: 1 });
  // 256 of 65536 frequencies are given to values that may not need them: 0.0056 bits a symbol.
  const allowed = (bits + part.symbols.length * 0.0065) / 8 + 20;
  assert.ok(length < allowed && length > bits / 8, `${length} bytes, ${(bits / 8).toFixed(0)} by the distribution`);
});

both("Laplace and logistic tables have their densities", (codec) => {
  const laplace = (x: number, b: number) => (x < 0 ? 0.5 * Math.exp(x / b) : 1 - 0.5 * Math.exp(-x / b));
  const logistic = (x: number, s: number) => 1 / (1 + Math.exp(-x / s));
  for (const [table, distribution] of [
    [codec.laplaceTable(), laplace],
    [codec.logisticTable(), logistic],
  ] as const) {
    assert.is(table.rows, 64);
    const { offsets, cdfs } = table.toJSON();
    cdfs.forEach((cdf, r) => {
      const s = stockScales[r];
      const values = cdf.length - 2;
      const empty = Array.from({ length: values }, (_, k) => k + offsets[r]).filter(
        (k) => 65536 * (distribution(k + 0.5, s) - distribution(k - 0.5, s)) < 1,
      ).length;
      const outside = distribution(offsets[r] - 0.5, s) + 1 - distribution(offsets[r] + values - 0.5, s);
      assert.ok(outside < 1e-3, `row ${r} leaves ${outside} out`);
      for (let k = 0; k < values; k++) {
        const p = distribution(offsets[r] + k + 0.5, s) - distribution(offsets[r] + k - 0.5, s);
        const freq = cdf[k + 1] - cdf[k];
        // Empty bins take their 1 from small ones, and the sum is scaled to 65536.
        assert.ok(
          Math.abs(freq - 65536 * p) < 2 + empty + 0.001 * 65536 * p,
          `row ${r}, value ${offsets[r] + k}: ${freq}, ${65536 * p}`,
        );
      }
    });
  }
  const own = Float32Array.of(0.5, 2);
  assert.is(codec.laplaceTable(own).rows, 2);
  assert.is(codec.logisticTable(own).rows, 2);
});

test("rows of a mixture differ where kinds do", () => {
  const rows = mixtureKinds.map((kind) =>
    mixtureRow([{ weight: 1, mean: 0, scale: 20 }], { kind, support: [-9, 9] }, stockScales),
  );
  assert.is(new Set(rows.map(({ cdf }) => cdf.join())).size, 3);
});

test.run();
