// The sizes that the README promises, on the workloads of the benchmarks.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { type Item, type Workload, w1, w2, w4 } from "../bench/workloads.js";
import { builds } from "./builds.js";
import { idealBits, tableFromJson } from "./reference.js";

const [{ codec }] = builds;

function eachItem(workload: Workload, visit: (item: Item, idealBytes: number) => void): void {
  const { rows } = tableFromJson(workload.table.toJSON());
  assert.ok(workload.items.length > 0);
  for (const item of workload.items) visit(item, idealBits(item.symbols, { rows, index: workload.rows, run: 1 }) / 8);
}

for (const [workload, allowed] of [
  [w1(codec), (ideal: number) => 0.003 * ideal],
  [w2(codec), () => 32],
  [w4(codec), () => 20],
] as const) {
  test(`a full packet with automatic lanes: ${workload.name}`, () => {
    eachItem(workload, ({ latent }, ideal) => {
      const over = codec.encode(latent, workload.prior(codec)).length - ideal;
      assert.ok(over <= allowed(ideal), `${over.toFixed(1)} bytes over an ideal of ${ideal.toFixed(1)}`);
    });
  });
}

for (const [workload, lanes, allowed] of [
  [w2(codec), 16, 18],
  [w2(codec), 1, 8],
  [w4(codec), "auto", 5],
] as const) {
  test(`a bare stream, ${lanes} lanes: ${workload.name}`, () => {
    eachItem(workload, ({ latent }, ideal) => {
      const over = codec.encode(latent, workload.prior(codec), { header: "none", lanes }).length - ideal;
      assert.ok(over <= allowed, `${over.toFixed(1)} bytes over an ideal of ${ideal.toFixed(1)}`);
    });
  });
}

test.run();
