// npm run guard -- --symbols N --seed S
// Decodes with perturbed parameters: symbols wrong under a guard (there must be none), what happens without, and what a guard costs.
import { parseArgs } from "node:util";
import { builds } from "./builds.js";
import { random } from "./cases.js";
import { mixtureFieldOf, perturbedMixture, readMixture, writeMixture } from "./guard-mixture.js";
import { boundaryScale, fieldOf, naturalScale, perturbed, read, write, wrongSymbols } from "./guard-trial.js";

const { values } = parseArgs({
  options: { symbols: { type: "string", default: "10000000" }, seed: { type: "string", default: "20250607" } },
});
const symbols = Number(values.symbols);
const seed = Number(values.seed);
if (!Number.isInteger(symbols) || symbols < 1 || !Number.isInteger(seed)) {
  console.error("usage: npm run guard -- [--symbols N] [--seed S]");
  process.exit(2);
}

const errors = [1e-6, 1e-5, 1e-4, 1e-3];
// Two halves of 192 channels of 16 x 16, as one image of 256 x 256 has them.
const partSize = 96 * 16 * 16;
const rounds = Math.ceil(symbols / (2 * partSize));
const [{ codec }] = builds;
const started = Date.now();
let done = 0;

function progress(): void {
  const share = ++done / (errors.length * rounds);
  const left = ((Date.now() - started) / 1000 / share) * (1 - share);
  process.stderr.write(`\r${Math.round(share * 100)} %, ${left.toFixed(0)} s left   `);
}

/** Rows of text under a heading, each column as wide as its widest. */
function table(heading: string, rows: readonly (readonly (string | number)[])[]): void {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => String(row[column]).length)));
  console.log(`\n${heading}`);
  for (const row of rows) console.log(row.map((cell, column) => String(cell).padEnd(widths[column])).join("  "));
}

const percent = (share: number, digits: number) => `${(100 * share).toFixed(digits)} %`;

function trial(error: number) {
  const rng = random(seed + Math.round(1 / error));
  const bound = { relative: error, absolute: 0 };
  const sum = { wrong: 0, refused: 0, failed: 0, undetected: 0, silent: 0, bytes: 0, guarded: 0, corrections: 0 };
  for (let round = 0; round < rounds; round++) {
    // Every tenth packet is made of nothing but scales at boundaries; it does not count for the cost.
    const hard = round % 10 === 9;
    const fields = [0, 1].map(() => fieldOf(rng, partSize, hard ? boundaryScale(rng, error) : naturalScale(rng)));
    const others = fields.map(({ scales, means }) => ({
      scales: perturbed(rng, scales, bound),
      means: perturbed(rng, means, bound),
    }));
    const guarded = write(codec, fields, { guard: error, indexChecks: false });
    const truth = read(codec, guarded.packet, fields);
    if (!Array.isArray(truth)) throw truth;
    const isWrong = (found: ReturnType<typeof read>) => Array.isArray(found) && wrongSymbols(found, truth) > 0;
    const found = read(codec, guarded.packet, others);
    if (Array.isArray(found)) sum.wrong += wrongSymbols(found, truth);
    else sum.refused++;

    const plain = write(codec, fields, {}).packet;
    const unguarded = read(codec, write(codec, fields, { indexChecks: true }).packet, others);
    if (!Array.isArray(unguarded)) sum.failed++;
    if (isWrong(unguarded)) sum.undetected++;
    if (isWrong(read(codec, plain, others))) sum.silent++;
    if (!hard) {
      sum.bytes += plain.length;
      sum.guarded += guarded.packet.length;
      sum.corrections += guarded.corrections;
    }
    progress();
  }
  return sum;
}

function mixtureTrial(error: number, packets: number) {
  const rng = random(seed + Math.round(7 / error));
  const sum = { wrong: 0, failed: 0, undetected: 0, bytes: 0, guarded: 0, corrections: 0 };
  for (let i = 0; i < packets; i++) {
    const field = mixtureFieldOf(rng, partSize);
    const other = perturbedMixture(rng, field.parameters, { relative: error, absolute: 0 });
    const { packet, corrections } = writeMixture(codec, field, { guard: error, indexChecks: true });
    const found = readMixture(codec, packet, other);
    sum.wrong += found instanceof Int32Array ? wrongSymbols([found], [field.symbols]) : partSize;
    const plain = writeMixture(codec, field, { indexChecks: true }).packet;
    const unguarded = readMixture(codec, plain, other);
    if (!(unguarded instanceof Int32Array)) sum.failed++;
    else if (wrongSymbols([unguarded], [field.symbols]) > 0) sum.undetected++;
    sum.bytes += plain.length;
    sum.guarded += packet.length;
    sum.corrections += corrections;
  }
  return sum;
}

console.log(`${rounds} packets of ${2 * partSize} symbols for each error, seed ${seed}`);
const rows = errors.map((error) => ({ name: error.toExponential(0), ...trial(error) }));
process.stderr.write("\n");
table("guard = error: decoded with parameters of another machine", [
  ["error", "symbols", "wrong", "packets refused"],
  ...rows.map(({ name, wrong, refused }) => [name, rounds * 2 * partSize, wrong, refused]),
]);
table("no guard: packets that could not be decoded", [
  ["error", "packets", "refused by index checks", "wrong in spite of them", "wrong and unnoticed without them"],
  ...rows.map(({ name, failed, undetected, silent }) => [name, rounds, failed, undetected, silent]),
]);
const n = (rounds - Math.floor(rounds / 10)) * 2 * partSize;
table("what a guard costs", [
  ["guard", "bits/symbol", "corrected", "bytes"],
  ...rows.map(({ name, bytes, guarded, corrections }) => [
    ...[name, ((8 * bytes) / n).toFixed(3), percent(corrections / n, 4)],
    `+${percent((guarded - bytes) / bytes, 3)}`,
  ]),
]);
// Mixtures have nine parameters a symbol and are slower to decode: one packet of 24,576 symbols in forty.
const packets = Math.ceil(symbols / (40 * partSize));
const mixtures = errors.slice(0, 3).map((error) => ({ name: error.toExponential(0), ...mixtureTrial(error, packets) }));
table(`mixtures of three components, ${packets * partSize} symbols for each error`, [
  ["guard", "wrong", "bits/symbol", "corrections", "bytes", "no guard: packets that could not be decoded"],
  ...mixtures.map(({ name, wrong, failed, bytes, guarded, corrections }) => [
    ...[name, wrong, ((8 * bytes) / (packets * partSize)).toFixed(3), percent(corrections / (packets * partSize), 3)],
    ...[`+${percent((guarded - bytes) / bytes, 2)}`, `${failed} of ${packets}`],
  ]),
]);
const failures = rows.map(({ wrong, refused, undetected }) => wrong + refused + undetected);
if ([...failures, ...mixtures.map(({ wrong, undetected }) => wrong + undetected)].some((count) => count > 0))
  process.exitCode = 1;
