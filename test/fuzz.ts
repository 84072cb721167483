// npm run fuzz -- --count N --seed S
import { parseArgs } from "node:util";
import { builds } from "./builds.js";
import { runFuzz } from "./fuzz-run.js";

const { values } = parseArgs({
  options: {
    count: { type: "string", default: "2000000" },
    seed: { type: "string", default: String(Date.now() % 2 ** 31) },
  },
});
const count = Number(values.count);
const seed = Number(values.seed);
if (!Number.isInteger(count) || count < 1 || !Number.isInteger(seed)) {
  console.error("usage: npm run fuzz -- [--count N] [--seed S]");
  process.exit(2);
}
console.log(`${count} packets, seed ${seed}`);

const started = Date.now();
const progress = (done: number) => {
  const share = done / count;
  const left = ((Date.now() - started) / 1000 / share) * (1 - share);
  process.stderr.write(
    `\r[${"#".repeat(Math.round(share * 30)).padEnd(30)}] ${done} / ${count}, ${left.toFixed(0)} s left   `,
  );
};
const { outcomes, compared } = runFuzz({ count, seed, builds, progress });
process.stderr.write("\n");
console.log(
  `${count} packets in ${((Date.now() - started) / 1000).toFixed(1)} s, ${compared} compared with the reference`,
);
for (const [outcome, number] of Object.entries(outcomes).sort()) console.log(`${outcome.padEnd(20)} ${number}`);
