// Tensors of several chunks (bindings/codec.ts brings 65,536 elements at a time into Wasm memory): same bytes as the reference, every source of rows,
// every element type, positions in errors.
import type { Prior } from "latentwire";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { builds } from "./builds.js";
import { factorizedSample, hyperprior, makeTable, random, type Sample } from "./cases.js";
import { sameNumbers, throwsCode } from "./expect.js";
import { agree } from "./io.js";

const n = 150_001;

function sparse(): Sample {
  // Two symbols in 65,536 are not 0, so the tail alone is longer than a chunk.
  const cdf = [0, 1, 65534, 65535, 65536];
  return factorizedSample(random(8), { offsets: [-1], cdfs: [cdf] }, [1, 1, 400_000]);
}

const samples: Record<string, Sample> = {
  "a row per symbol": hyperprior(3, n, 0.001),
  "runs longer than a chunk": factorizedSample(
    random(4),
    makeTable(random(5), { rows: 2, entries: 20, flavour: "peaked" }),
    [1, 2, 75_013],
  ),
  "runs that end inside chunks": factorizedSample(
    random(6),
    makeTable(random(7), { rows: 30, entries: 20, flavour: "random" }),
    [1, 30, 77, 65],
    1,
    { escapeRate: 0.01 },
  ),
  "short runs": factorizedSample(
    random(9),
    makeTable(random(10), { rows: 50, entries: 9, flavour: "peaked" }),
    [300, 50, 3, 3],
    1,
    { escapeRate: 0.01 },
  ),
  "a tail of several chunks": sparse(),
};

for (const { name: build, codec } of builds) {
  for (const [name, sample] of Object.entries(samples)) {
    test(`${build}: ${name}`, () => {
      for (const lanes of [8, 32] as const) agree(codec, [sample], { lanes });
    });
  }

  test(`${build}: scales, means and every element type`, () => {
    const rng = random(12);
    const sigmas = Float32Array.from({ length: n }, () => Math.fround(0.05 + 4 * rng.unit() ** 4));
    const means = Float32Array.from({ length: n }, () => Math.fround(rng.unit() * 6 - 3));
    const symbols = Int8Array.from(sigmas, (sigma) =>
      Math.round((rng.unit() + rng.unit() + rng.unit() - 1.5) * 2 * sigma),
    );
    const y = Float32Array.from(symbols, (symbol, i) =>
      Math.fround(Math.fround(symbol + means[i]) + (rng.unit() - 0.5) * 0.9),
    );
    const prior = codec.gaussian(sigmas, { means });
    const packet = codec.encode({ type: "float32", dims: [n], data: y }, prior);
    sameNumbers(codec.encode({ type: "int8", dims: [n], data: symbols }, prior), packet, "int8 in");
    sameNumbers(codec.encode({ type: "int16", dims: [n], data: Int16Array.from(symbols) }, prior), packet, "int16 in");
    for (const type of ["int8", "int16", "int32"] as const)
      sameNumbers(
        (codec as { decode(p: Uint8Array, q: Prior, o: { type: string }): { data: ArrayLike<number> } }).decode(
          packet,
          prior,
          { type },
        ).data,
        symbols,
        type,
      );
    sameNumbers(
      codec.decode(packet, prior).data,
      Float32Array.from(symbols, (symbol, i) => symbol + means[i]),
      "float32",
    );

    // Positions are those of the tensor, not of a chunk.
    const hurt = (array: Float32Array, at: number) => Object.assign(array.slice(), { [at]: Number.NaN });
    const latent = { type: "float32", dims: [n], data: y };
    assert.match(
      throwsCode(() => codec.encode({ ...latent, data: hurt(y, 70_007) }, prior), "NON_FINITE"),
      /\b70007\b/,
    );
    assert.match(
      throwsCode(() => codec.encode(latent, codec.gaussian(hurt(sigmas, 70_007))), "NON_FINITE"),
      /\b70007\b/,
    );
    assert.match(
      throwsCode(() => codec.encode(latent, codec.gaussian(sigmas, { means: hurt(means, 3) })), "NON_FINITE"),
      /\b3\b/,
    );
    const wide = Int32Array.from(symbols);
    wide[140_000] = 300;
    const widePacket = codec.encode({ type: "int32", dims: [n], data: wide }, prior);
    assert.match(
      throwsCode(() => codec.decode(widePacket, prior, { type: "int8" }), "OUT_OF_RANGE"),
      /140000 is 300/,
    );
    sameNumbers(codec.decode(packet, prior, { type: "int32" }).data, symbols, "and the codec goes on");
  });
}

test.run();
